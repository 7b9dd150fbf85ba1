/** Situations for `decide`: a quiet one, of which a test changes what it is about. */
import {
  decide,
  type Decision,
  type DatasetFacts,
  type Observed,
} from '../../src/automation/decide.ts'
import {
  freshMemory,
  NO_RUNS,
  withSchedules,
  type AutomationMemory,
  type LastRun,
  type RunMemory,
} from '../../src/automation/memory.ts'
import { policyOf } from '../../src/automation/policy.ts'
import type { Values } from '../../src/config/schema.ts'
import type { JobKind } from '../../src/jobs/job.ts'
import { quietValues } from './values.ts'

/** A Wednesday, at noon in UTC. */
export const NOON: number = Date.parse('2026-07-29T12:00:00Z')
export const SECOND = 1000
export const MINUTE = 60_000
export const HOUR = 3_600_000
export const DAY = 86_400_000

export interface Given {
  readonly values?: Partial<Values>
  readonly facts?: Partial<DatasetFacts> | null
  readonly underWay?: readonly JobKind[]
  readonly requests?: readonly string[]
  readonly startedAt?: number
  readonly runs?: Readonly<Partial<Record<JobKind, Partial<RunMemory>>>>
  /** Since when the schedules are followed. */
  readonly since?: number
  readonly now?: number
}

const QUIET: DatasetFacts = {
  recentCount: 0,
  snapshotTs: NOON - DAY,
  pendingSince: null,
  empty: true,
  thresholds: { rebuild: 5000, alert: 7000, emergency: 8000 },
}

export function decided(given: Given): Decision {
  const { values = {}, facts = {}, now = NOON, since = NOON - MINUTE, startedAt = 0 } = given
  const policy = policyOf(quietValues(values))
  const runs = Object.fromEntries(
    Object.entries(given.runs ?? {}).map(([kind, run]) => [kind, { ...NO_RUNS, ...run }]),
  )
  const memory: AutomationMemory = withSchedules({ ...freshMemory('main'), runs }, policy, since)
  const observed: Observed = {
    facts: facts === null ? null : { ...QUIET, ...facts },
    underWay: new Set(given.underWay),
    requests: given.requests ?? [],
    startedAt,
  }
  return decide({ policy, observed, memory, now })
}

export function lastRun(given: Partial<LastRun> = {}): LastRun {
  return {
    job: 'a',
    state: 'failed',
    reason: 'threshold',
    reasons: ['threshold'],
    startedAt: NOON,
    finishedAt: NOON,
    result: null,
    error: { code: 'no_space', message: 'Full.' },
    ...given,
  }
}
