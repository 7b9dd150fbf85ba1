/** Job: what is told of one run of a task. A value: the registry hands out a new one at each look. */
import type { Progress } from '../engine/context.ts'
import type { TaskResult } from '../tasks/context.ts'

export const JOB_KINDS = [
  'build',
  'export',
  'restore',
  'prune',
  'prune-cars',
  'verify',
  'drill',
] as const

export type JobKind = (typeof JOB_KINDS)[number]

export type JobState = 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled'

export interface JobProgress {
  readonly step: string
  readonly done: number
  readonly total: number | null
  readonly at: string
}

export interface JobError {
  readonly code: string
  readonly message: string
  readonly hint?: string
}

export interface Job {
  readonly id: string
  readonly dataset: string
  readonly kind: JobKind
  readonly state: JobState
  /** Why it runs: 'manual', 'schedule', 'threshold', 'user_disconnect:Alice', ... */
  readonly reason: string
  /** All that asked for it before it began, the one in `reason` last. */
  readonly reasons: readonly string[]
  readonly created_at: string
  readonly started_at: string | null
  readonly finished_at: string | null
  readonly progress: JobProgress | null
  /** Running without any progress for longer than the watchdog's limit. */
  readonly stuck: boolean
  /** Also of a job that did its work and failed by what came of it. */
  readonly result: TaskResult | null
  readonly error: JobError | null
}

/** What the work of a job is given. */
export interface JobRun {
  readonly signal: AbortSignal
  readonly onProgress: (progress: Progress) => void
  /** As it stands when the work begins. */
  readonly reason: string
}

export interface JobRequest {
  readonly dataset: string
  readonly kind: JobKind
  readonly reason: string
  readonly work: (run: JobRun) => Promise<TaskResult>
  /**
   * Must begin after now: one that runs already is not joined, but one more is put behind it, which all
   * who ask meanwhile share.
   */
  readonly follow?: boolean | undefined
  /** Begins at once, however many jobs run. */
  readonly urgent?: boolean | undefined
}

export interface JobFilter {
  readonly dataset?: string | undefined
  readonly kind?: JobKind | undefined
  readonly limit?: number | undefined
}

export const hasEnded = ({ state }: Pick<Job, 'state'>): boolean =>
  state !== 'queued' && state !== 'running'
