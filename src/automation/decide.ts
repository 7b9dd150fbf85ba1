/**
 * Decide: what is to be started now, and when to look again. A pure function of the policy, of what was
 * seen, of what is remembered, and of the clock.
 *
 * Invariants: no build but one that was asked for is started while a build is under way, and then it
 * goes behind it. If something is new and nothing failed, a build starts within the smallest time
 * due. After a failure nothing but an emergency or a request starts before the back-off is over.
 */
import type { JobKind } from '../jobs/job.ts'
import { EMERGENCY_PAUSE_MS, PACES } from './back-off.ts'
import { runsOf, type AutomationMemory } from './memory.ts'
import {
  printRule,
  SCHEDULED,
  type AutomationPolicy,
  type ScheduledKind,
  type Thresholds,
} from './policy.ts'
import type { Next } from './state.ts'

/** A dataset as it was seen last. */
export interface DatasetFacts {
  readonly recentCount: number
  readonly snapshotTs: number
  /** Since when the chain is known to hold something; null while it is empty. */
  readonly pendingSince: number | null
  /** Nothing was ever written to it. */
  readonly empty: boolean
  readonly thresholds: Thresholds
}

export interface Observed {
  /** Null while it cannot be looked at. */
  readonly facts: DatasetFacts | null
  /** The kinds of its jobs that have not ended. */
  readonly underWay: ReadonlySet<JobKind>
  /** The reasons of those who ask for a build that covers everything up to now; the last one counts. */
  readonly requests: readonly string[]
  /** When the automation began: moments before were missed. */
  readonly startedAt: number
}

export interface Situation {
  readonly policy: AutomationPolicy
  readonly observed: Observed
  readonly memory: AutomationMemory
  readonly now: number
}

export interface Start {
  readonly kind: JobKind
  readonly reason: string
  /** Whatever else runs. */
  readonly urgent: boolean
  /** Behind the one of its kind that runs. */
  readonly follow: boolean
}

export interface Decision {
  readonly start: readonly Start[]
  /** Schedules whose moment came while there was nothing to do. */
  readonly passed: readonly ScheduledKind[]
  /** Null: only a change gives a reason to look again. */
  readonly wakeAt: number | null
  /** What is to come, the soonest first. */
  readonly next: readonly Next[]
}

interface Part {
  readonly start?: Start
  readonly passed?: ScheduledKind
  readonly next?: Next
}

/** What was missed while the process was down waits until it has settled. */
export const SETTLE_MS = 15_000
/** After so long a dataset that has data gets its first CAR, and that one its first drill. */
export const FIRST_MS = 60_000

export function decide(situation: Situation): Decision {
  const others = SCHEDULED.filter((kind) => kind !== 'build')
  const parts = [decideBuild(situation), ...others.map((kind) => decideSchedule(situation, kind))]
  const next = parts
    .flatMap((part) => (part.next === undefined ? [] : [part.next]))
    .toSorted((a, b) => a.at - b.at)
  return {
    start: parts.flatMap(({ start }) => (start === undefined ? [] : [start])),
    passed: parts.flatMap(({ passed }) => (passed === undefined ? [] : [passed])),
    wakeAt: next[0]?.at ?? null,
    next,
  }
}

function decideBuild(situation: Situation): Part {
  const { observed, now } = situation
  const request = observed.requests.at(-1)
  if (request !== undefined)
    return { start: { kind: 'build', reason: request, urgent: false, follow: true } }
  if (observed.facts === null || observed.underWay.has('build')) return {}
  if (observed.facts.recentCount === 0) return decideNothingNew(situation)
  const due = soonest(buildTimes(situation, observed.facts), now)
  if (due === undefined) return {}
  const urgent = due.reason === 'emergency'
  const at = Math.max(due.at, urgent ? emergencyHold(situation) : holdOf(situation, 'build'))
  if (at > now) return { next: { kind: 'build', at, reason: due.reason } }
  return { start: { kind: 'build', reason: due.reason, urgent, follow: false } }
}

/** A build would say that nothing is new: the moment of its schedule passes. */
function decideNothingNew(situation: Situation): Part {
  const at = scheduledAt(situation, 'build')
  if (at === null) return {}
  if (at <= situation.now) return { passed: 'build' }
  return { next: { kind: 'build', at, reason: 'schedule' } }
}

interface Due {
  readonly at: number
  readonly reason: string
}

/** Of what is due already the one that is named first, which is the most pressing; else the soonest. */
function soonest(dues: readonly Due[], now: number): Due | undefined {
  return dues.find(({ at }) => at <= now) ?? dues.toSorted((a, b) => a.at - b.at)[0]
}

/** When each rule wants a build of what is new now, the most pressing rule first. */
function buildTimes(situation: Situation, facts: DatasetFacts): Due[] {
  const { policy, now } = situation
  const { recentCount, thresholds } = facts
  const times: Due[] = []
  if (recentCount >= thresholds.emergency) times.push({ at: now, reason: 'emergency' })
  if (recentCount >= thresholds.rebuild) times.push({ at: now, reason: 'threshold' })
  const saved = savedAt(situation, facts)
  const since = Math.min(facts.pendingSince ?? saved, now)
  if (policy.maxLagMs > 0) times.push({ at: since + policy.maxLagMs, reason: 'max lag' })
  for (const rule of policy.saveRules) {
    // As Redis counts it: from the last snapshot, however long nothing was new since.
    if (recentCount >= rule.entries)
      times.push({ at: saved + rule.afterMs, reason: `save ${printRule(rule)}` })
  }
  const scheduled = scheduledAt(situation, 'build')
  if (scheduled !== null) times.push({ at: settleAt(situation, scheduled), reason: 'schedule' })
  // From the first entry that is new: one after a quiet hour has company before it is saved.
  if (policy.saveIntervalMs > 0)
    times.push({ at: Math.max(since, saved) + policy.saveIntervalMs, reason: 'interval' })
  return times
}

/** When the newest snapshot was made. Times that lie ahead are of a clock that was set back since. */
function savedAt({ memory, now }: Situation, { snapshotTs }: DatasetFacts): number {
  const times = [snapshotTs, runsOf(memory, 'build').successAt ?? 0]
  return Math.max(0, ...times.filter((one) => one <= now))
}

function decideSchedule(situation: Situation, kind: ScheduledKind): Part {
  const { observed, now } = situation
  const scheduled = scheduledAt(situation, kind)
  if (scheduled === null || observed.underWay.has(kind)) return {}
  const planned: Due = { at: settleAt(situation, scheduled), reason: 'schedule' }
  const first = firstAt(situation, kind)
  const due = first !== null && first < planned.at ? { at: first, reason: 'first' } : planned
  const at = Math.max(due.at, holdOf(situation, kind))
  if (at > now) return { next: { kind, at, reason: due.reason } }
  return { start: { kind, reason: due.reason, urgent: false, follow: false } }
}

/** A new dataset does not wait a week for its first CAR, nor a month to learn whether that one restores. */
function firstAt({ observed, memory }: Situation, kind: ScheduledKind): number | null {
  if (observed.facts === null || observed.facts.empty) return null
  if (runsOf(memory, kind).successAt !== null) return null
  if (kind === 'export') return observed.startedAt + FIRST_MS
  const exported = kind === 'drill' ? runsOf(memory, 'export').successAt : null
  return exported === null ? null : Math.max(exported, observed.startedAt) + FIRST_MS
}

/** The first moment of a schedule that was not dealt with. */
function scheduledAt({ policy, memory }: Situation, kind: ScheduledKind): number | null {
  const since = memory.schedules[kind]?.since
  return since === undefined ? null : (policy.schedules[kind]?.next(since) ?? null)
}

function settleAt({ observed: { startedAt } }: Situation, at: number): number {
  return at < startedAt ? startedAt + SETTLE_MS : at
}

/** Before then a kind that failed is not tried. What lies beyond every back-off is of another clock. */
function holdOf({ memory, now }: Situation, kind: JobKind): number {
  const { retryAt } = runsOf(memory, kind)
  return Math.min(retryAt ?? 0, now + PACES[kind].capMs)
}

/** An emergency does not wait for the back-off, but gives a store that fails time to breathe. */
function emergencyHold({ memory, now }: Situation): number {
  const { last, retryAt } = runsOf(memory, 'build')
  if (retryAt === null || last === null) return 0
  return Math.min(retryAt, Math.min(last.finishedAt, now) + EMERGENCY_PAUSE_MS)
}
