/** What tests of jobs share: works that end when told to, a clock, a log that is kept. */
import type { Logger } from '../../src/engine/logger.ts'
import type { JobKind, JobRequest, JobRun } from '../../src/jobs/job.ts'
import { Jobs, type JobsOptions } from '../../src/jobs/jobs.ts'
import type { TaskResult } from '../../src/tasks/context.ts'

export interface LogLine {
  readonly level: 'info' | 'error' | 'debug'
  readonly event: string
  readonly fields: Readonly<Record<string, unknown>>
}

export function keptLog(): { log: Logger; lines: LogLine[] } {
  const lines: LogLine[] = []
  const at =
    (level: LogLine['level']) =>
    (event: string, fields: LogLine['fields'] = {}): void => {
      lines.push({ level, event, fields })
    }
  return { log: { info: at('info'), error: at('error'), debug: at('debug') }, lines }
}

/** A work that ends when it is told to. */
export interface Work {
  readonly work: JobRequest['work']
  readonly runs: JobRun[]
  succeed(result?: TaskResult): void
  fail(error: unknown): void
}

export function heldWork(): Work {
  const runs: JobRun[] = []
  let succeed: (result: TaskResult) => void = () => {}
  let fail: (error: unknown) => void = () => {}
  const end = new Promise<TaskResult>((resolve, reject) => {
    succeed = resolve
    fail = reject
  })
  // Told before it runs, nobody hears it yet.
  end.catch(() => {})
  return {
    runs,
    work: (run) => {
      runs.push(run)
      return end
    },
    succeed: (result = {}) => succeed(result),
    fail: (error) => fail(error),
  }
}

/** A work that ends as aborted when it is asked to stop. */
export const stoppable: JobRequest['work'] = ({ signal }) =>
  new Promise((_, reject) => {
    const stop = (): void => reject(new DOMException('stopped', 'AbortError'))
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
  })

export interface JobsWorld {
  readonly jobs: Jobs
  readonly clock: { now: number }
  readonly lines: LogLine[]
  /** Lets the watchdog look. */
  readonly watch: () => void
}

export const START = 1_700_000_000_000

export function openJobs(options: Partial<JobsOptions> = {}): JobsWorld {
  const clock = { now: START }
  const { log, lines } = keptLog()
  const calls = new Set<() => void>()
  const every = (_: number, call: () => void): (() => void) => {
    calls.add(call)
    return () => calls.delete(call)
  }
  const jobs = new Jobs({ now: () => clock.now, log, timers: { every }, ...options })
  return { jobs, clock, lines, watch: () => calls.forEach((call) => call()) }
}

export function request(
  work: JobRequest['work'],
  fields: Partial<JobRequest> & { readonly kind?: JobKind } = {},
): JobRequest {
  return { dataset: 'main', kind: 'build', reason: 'manual', work, ...fields }
}

/** Lets what is ready go first. */
export async function turns(count = 3): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}
