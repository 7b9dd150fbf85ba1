/** The answer to "is my data safe?", in a sentence, from what the service tells. Pure. */
import type {
  AutomationRecord,
  Finding,
  HealthReport,
  JobKind,
} from '../../../../src/client/index.ts'
import type { DatasetStatus } from '../../app/status.ts'
import { countText, momentText, relativeText } from '../../ui/format.ts'

export interface Verdict {
  readonly level: HealthReport['level']
  readonly headline: string
  readonly detail: string
  /** What is wrong, the worst first; what to do is in its hint. */
  readonly trouble: readonly Finding[]
}

export interface Facts {
  readonly status: DatasetStatus
  readonly health: HealthReport
}

const HEADLINES: Readonly<Record<HealthReport['level'], string>> = {
  ok: 'Your data is safe',
  warning: 'Your data is saved, but look at this',
  critical: 'Your data is at risk',
}

const RANK: Readonly<Record<HealthReport['level'], number>> = { ok: 0, warning: 1, critical: 2 }

export function verdictOf({ status, health }: Facts, now: number): Verdict {
  const { level, alerts } = health
  const isEmpty = status.next === 0 && level === 'ok'
  return {
    level,
    headline: isEmpty ? 'There is nothing to lose yet' : HEADLINES[level],
    detail: isEmpty
      ? 'No entry was written. From the first one on, each is saved before it is acknowledged.'
      : `${savedText(status, now)}; ${provedText(health, now)}.`,
    trouble: alerts.toSorted((a, b) => RANK[b.level] - RANK[a.level]),
  }
}

function savedText({ ts, store }: DatasetStatus, now: number): string {
  const until = `Everything up to ${momentText(ts, now)} is saved`
  return store.synced === true ? until : `${until}, though a power cut might cost the newest of it`
}

/** When the newest drill passed. */
export function provedAt({ checks, checked_at }: HealthReport): number | undefined {
  const drill = checks.find(({ check }) => check === 'drill')
  if (drill?.value === undefined || drill.level === 'critical') return undefined
  return Date.parse(checked_at) - drill.value
}

function provedText(health: HealthReport, now: number): string {
  const at = provedAt(health)
  return at === undefined
    ? 'that it can be restored was not proved yet'
    : `last proved restorable ${relativeText(at, now)}`
}

/** The job that makes a finding better. */
const CURES: Readonly<Record<string, JobKind>> = {
  chain: 'build',
  snapshot: 'build',
  build: 'build',
  car: 'export',
  export: 'export',
  drill: 'drill',
  verify: 'verify',
}

/** When that is done by itself, if it is. */
export function cureOf(
  { check }: Finding,
  automation: AutomationRecord | undefined,
): AutomationRecord['next'][number] | undefined {
  const kind = CURES[check]
  return automation?.next.find((next) => next.kind === kind)
}

export function waitingText({ recent_count, settings }: DatasetStatus): string {
  if (recent_count === 0) return 'All of it is in the newest snapshot'
  return `Of at most ${countText(settings.chain_limit)}; the others are in snapshots`
}
