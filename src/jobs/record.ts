/** What the registry keeps of a job, and how that is told. */
import type { CairnError } from '../errors.ts'
import { TaskFailure, type TaskResult } from '../tasks/context.ts'
import type { Progress } from '../engine/context.ts'
import type { Job, JobRequest, JobState } from './job.ts'

/** Of those who asked for the same job so many are named. */
const MAX_REASONS = 20

export interface JobRecord {
  readonly id: string
  readonly request: JobRequest
  readonly createdAt: number
  readonly controller: AbortController
  /** Settles when the job has ended; never rejects. */
  readonly ended: Promise<void>
  readonly settle: () => void
  state: JobState
  urgent: boolean
  reasons: readonly string[]
  startedAt: number | null
  finishedAt: number | null
  progress: (Progress & { readonly at: number }) | null
  /** Its silence was logged. */
  silenceLogged: boolean
  result: TaskResult | null
  error: CairnError | null
}

export function newRecord(id: string, request: JobRequest, now: number): JobRecord {
  let settle = (): void => {}
  const ended = new Promise<void>((resolve) => (settle = resolve))
  return {
    id,
    request,
    createdAt: now,
    controller: new AbortController(),
    ended,
    settle,
    state: 'queued',
    urgent: request.urgent === true,
    reasons: [request.reason],
    startedAt: null,
    finishedAt: null,
    progress: null,
    silenceLogged: false,
    result: null,
    error: null,
  }
}

/** One more asks for a job that has not begun: its reason is the one that counts. */
export function addReason(record: JobRecord, reason: string): void {
  const others = record.reasons.filter((one) => one !== reason)
  record.reasons = [...others, reason].slice(-MAX_REASONS)
}

const reasonOf = ({ reasons, request }: JobRecord): string => reasons.at(-1) ?? request.reason

export function isStuck(record: JobRecord, now: number, stuckAfterMs: number): boolean {
  const { state, startedAt, progress } = record
  return state === 'running' && now - (progress?.at ?? startedAt ?? now) > stuckAfterMs
}

/** How a job ended that rejected: the record of its work is told as well, where there is one. */
export function noteFailure(record: JobRecord, error: CairnError): void {
  const { signal } = record.controller
  record.state = signal.aborted && error.code === 'aborted' ? 'cancelled' : 'failed'
  record.error = error
  if (error instanceof TaskFailure) record.result = error.record
}

export function jobOf(record: JobRecord, now: number, stuckAfterMs: number): Job {
  const { id, request, state, progress, result, error } = record
  return {
    id,
    dataset: request.dataset,
    kind: request.kind,
    state,
    reason: reasonOf(record),
    reasons: record.reasons,
    created_at: iso(record.createdAt),
    started_at: isoOrNull(record.startedAt),
    finished_at: isoOrNull(record.finishedAt),
    progress: progress && {
      step: progress.step,
      done: progress.done,
      total: progress.total ?? null,
      at: iso(progress.at),
    },
    stuck: isStuck(record, now, stuckAfterMs),
    result,
    error: error && {
      code: error.code,
      message: error.message,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    },
  }
}

const iso = (ms: number): string => new Date(ms).toISOString()
const isoOrNull = (ms: number | null): string | null => (ms === null ? null : iso(ms))
