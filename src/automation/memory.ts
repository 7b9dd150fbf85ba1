/**
 * Memory: what the automation of one dataset remembers, as values. Each function here takes one and gives
 * the next; `memory-file.ts` keeps it on disk.
 *
 * A run that began and never ended was cut off by the death of the process. It counts as a failure, so
 * that what kills the process is tried again later and later, and not at each start at once.
 */
import type { Job, JobError, JobKind } from '../jobs/job.ts'
import { failedHold, isWorthRetrying, pauseOf } from './back-off.ts'
import { SCHEDULED, type AutomationPolicy, type ScheduledKind } from './policy.ts'

/** How a run ended; `interrupted` when the process died before it did. */
export interface LastRun {
  readonly job: string | null
  readonly state: 'succeeded' | 'failed' | 'cancelled' | 'interrupted'
  readonly reason: string
  readonly reasons: readonly string[]
  readonly startedAt: number | null
  readonly finishedAt: number
  /** The plain values of the result, without lists. */
  readonly result: Readonly<Record<string, string | number | boolean | null>> | null
  readonly error: JobError | null
}

export interface RunMemory {
  readonly last: LastRun | null
  /** When the newest run began that succeeded. */
  readonly successAt: number | null
  /** Failures since then. */
  readonly failures: number
  /** Before then it is not tried again. */
  readonly retryAt: number | null
  /** It runs since then, or the process died while it did. */
  readonly begunAt: number | null
}

export interface ScheduleMemory {
  readonly cron: string
  readonly timeZone: string
  /** All moments up to here were dealt with. */
  readonly since: number
}

export interface AutomationMemory {
  readonly dataset: string
  readonly runs: Readonly<Partial<Record<JobKind, RunMemory>>>
  readonly schedules: Readonly<Partial<Record<ScheduledKind, ScheduleMemory>>>
}

export const NO_RUNS: RunMemory = {
  last: null,
  successAt: null,
  failures: 0,
  retryAt: null,
  begunAt: null,
}

/** A clock may be set back a little without a schedule coming round twice. */
const CLOCK_TOLERANCE_MS = 3_600_000

export const freshMemory = (dataset: string): AutomationMemory => ({
  dataset,
  runs: {},
  schedules: {},
})

export function runsOf({ runs }: AutomationMemory, kind: JobKind): RunMemory {
  return runs[kind] ?? NO_RUNS
}

function withRun(
  memory: AutomationMemory,
  kind: JobKind,
  changes: Partial<RunMemory>,
): AutomationMemory {
  const run = { ...runsOf(memory, kind), ...changes }
  return { ...memory, runs: { ...memory.runs, [kind]: run } }
}

/**
 * Whether the last export failed by its copies alone, and no other has come due since: tried again and again
 * while a bucket is away, whole exports would fill the folder.
 */
export function lacksCopiesOnly(
  memory: AutomationMemory,
  { schedules }: Pick<AutomationPolicy, 'schedules'>,
  now: number,
): boolean {
  const { last } = runsOf(memory, 'export')
  if (last?.state !== 'failed' || last.error?.code !== 'offsite_failed') return false
  const next = schedules.export?.next(last.startedAt ?? last.finishedAt) ?? null
  return next === null || next > now
}

/**
 * The schedules of a policy. One that is new or was changed begins now: moments before it was asked for
 * were not missed. So does one whose time lies ahead, because the clock was set back.
 */
export function withSchedules(
  memory: AutomationMemory,
  { schedules }: Pick<AutomationPolicy, 'schedules'>,
  now: number,
): AutomationMemory {
  const next: Partial<Record<ScheduledKind, ScheduleMemory>> = {}
  let changed = false
  for (const kind of SCHEDULED) {
    const wanted = schedules[kind]
    const known = memory.schedules[kind]
    const stands =
      known?.cron === wanted?.cron &&
      known?.timeZone === wanted?.timeZone &&
      (known === undefined || known.since <= now + CLOCK_TOLERANCE_MS)
    changed ||= !stands
    if (wanted === undefined) continue
    const { cron, timeZone } = wanted
    next[kind] = stands && known !== undefined ? known : { cron, timeZone, since: now }
  }
  return changed ? { ...memory, schedules: next } : memory
}

/** The moments of a schedule up to `until` were dealt with. */
export function withDone(
  memory: AutomationMemory,
  kind: JobKind,
  until: number | null,
): AutomationMemory {
  const scheduled = SCHEDULED.find((one) => one === kind)
  const known = scheduled && memory.schedules[scheduled]
  if (scheduled === undefined || known === undefined || until === null || until <= known.since)
    return memory
  return { ...memory, schedules: { ...memory.schedules, [scheduled]: { ...known, since: until } } }
}

export function withBegun(
  memory: AutomationMemory,
  kind: JobKind,
  begunAt: number,
): AutomationMemory {
  return withRun(memory, kind, { begunAt })
}

export interface EndCircumstances {
  readonly now: number
  /** From 0 up to 1. */
  readonly random: number
  /** The service ends: what is cancelled now goes on at the next start. */
  readonly ending: boolean
}

export function withEnded(
  memory: AutomationMemory,
  job: Job,
  circumstances: EndCircumstances,
): AutomationMemory {
  const { kind, state } = job
  const startedAt = job.started_at === null ? null : Date.parse(job.started_at)
  const last = lastRunOf(job, startedAt, circumstances.now)
  if (last === undefined) return memory
  const ended = withRun(memory, kind, { last, begunAt: null })
  if (state === 'succeeded') {
    const successAt = startedAt ?? circumstances.now
    const run = { successAt, failures: 0, retryAt: null }
    return withDone(withRun(ended, kind, run), kind, successAt)
  }
  if (state === 'cancelled') {
    if (circumstances.ending) return ended
    const retryAt = circumstances.now + pauseOf(kind)
    return withDone(withRun(ended, kind, { retryAt }), kind, startedAt)
  }
  return withFailure(ended, kind, { startedAt, code: job.error?.code ?? 'internal' }, circumstances)
}

function withFailure(
  memory: AutomationMemory,
  kind: JobKind,
  { startedAt, code }: { readonly startedAt: number | null; readonly code: string },
  { now, random }: Pick<EndCircumstances, 'now' | 'random'>,
): AutomationMemory {
  // Another writer's snapshot came first: what was to be saved is saved, or will be by the next look.
  if (kind === 'build' && code === 'conflict')
    return withRun(memory, kind, { retryAt: now + pauseOf(kind, code) })
  const failures = runsOf(memory, kind).failures + 1
  const failed = withRun(memory, kind, {
    failures,
    retryAt: now + failedHold(kind, failures, random),
  })
  return isWorthRetrying(code, failures) ? failed : withDone(failed, kind, startedAt)
}

/** At the start of a process: what the last one was doing when it died. */
export function withInterrupted(
  memory: AutomationMemory,
  now: number,
  random: () => number,
): AutomationMemory {
  let next = memory
  for (const [name, { begunAt }] of Object.entries(memory.runs)) {
    if (begunAt === null) continue
    const kind = name as JobKind
    const error = {
      code: 'interrupted',
      message: `The process ended during this ${kind}.`,
      hint: 'Look at the log of that time, and at the memory of the machine.',
    }
    const last: LastRun = {
      job: null,
      state: 'interrupted',
      reason: 'unknown',
      reasons: [],
      startedAt: begunAt,
      finishedAt: now,
      result: null,
      error,
    }
    const ended = withRun(next, kind, { last, begunAt: null })
    const failure = { startedAt: begunAt, code: error.code }
    next = withFailure(ended, kind, failure, { now, random: random() })
  }
  return next
}

function lastRunOf(job: Job, startedAt: number | null, now: number): LastRun | undefined {
  const { state, reason, reasons, error } = job
  if (state === 'queued' || state === 'running') return undefined
  return {
    job: job.id,
    state,
    reason,
    reasons,
    startedAt,
    finishedAt: job.finished_at === null ? now : Date.parse(job.finished_at),
    result: job.result && smallResult(job.result),
    error,
  }
}

const MAX_FIELDS = 40
const MAX_TEXT = 500

/** The plain values of a result: it is remembered for years and read by people. */
function smallResult(result: Readonly<Record<string, unknown>>): NonNullable<LastRun['result']> {
  const small: Record<string, string | number | boolean | null> = {}
  for (const [name, value] of Object.entries(result).slice(0, MAX_FIELDS)) {
    if (typeof value === 'string') small[name] = value.slice(0, MAX_TEXT)
    else if (typeof value === 'number' || typeof value === 'boolean' || value === null)
      small[name] = value
  }
  return small
}
