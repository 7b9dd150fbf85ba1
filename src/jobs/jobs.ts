/**
 * Jobs: runs tasks beside each other and knows how each is doing. It knows nothing of what a job does.
 *
 * Invariants: of one dataset and kind at most one job runs, and at most one waits behind it. A job ends
 * once, when its work has ended: cancelling asks the work to stop, and the watchdog only tells. What is
 * remembered is bounded.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { REAL_TIMERS, type Timers } from '../engine/context.ts'
import type { Logger } from '../engine/logger.ts'
import { CairnError, throwIfAborted, toCairnError } from '../errors.ts'
import { hasEnded, type Job, type JobFilter, type JobKind, type JobRequest } from './job.ts'
import { addReason, isStuck, jobOf, newRecord, noteFailure, type JobRecord } from './record.ts'

export interface JobsOptions {
  readonly now: () => number
  readonly log: Logger
  /** Without progress for so long a job counts as stuck. */
  readonly stuckAfterMs?: number | undefined
  readonly randomBytes?: ((count: number) => Uint8Array) | undefined
  readonly timers?: Pick<Timers, 'every'> | undefined
}

export interface Started {
  readonly job: Job
  /** It was there already. */
  readonly joined: boolean
}

type EndListener = (job: Job) => void | Promise<void>

const STUCK_AFTER_MS = 10 * 60_000
const WATCH_EVERY_MS = 15_000
const MAX_FINISHED = 200
/** What a cancelled job gets to end before it is left behind. */
const CANCEL_GRACE_MS = 2_000
/** The longest that a timer of Node waits. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** How many jobs that are not urgent run at once, so that a full hour's schedules do not fill the memory. */
const LANES: Readonly<Record<JobKind, string>> = {
  build: 'builds',
  restore: 'restores',
  export: 'upkeep',
  prune: 'upkeep',
  'prune-cars': 'upkeep',
  verify: 'upkeep',
  drill: 'upkeep',
}
const AT_ONCE: Readonly<Record<string, number>> = { builds: 4, restores: 2, upkeep: 2 }

export class Jobs {
  readonly #now: () => number
  readonly #log: Logger
  readonly #stuckAfterMs: number
  readonly #random: (count: number) => Uint8Array
  readonly #timers: Pick<Timers, 'every'>
  /** In the order in which they were asked for; the finished ones among them are bounded. */
  readonly #records = new Map<string, JobRecord>()
  /** Those that have not ended, in that order. */
  readonly #open = new Set<JobRecord>()
  readonly #listeners = new Set<EndListener>()
  readonly #telling = new Set<Promise<void>>()
  #stopWatch: (() => void) | undefined
  #draining = false

  constructor(options: JobsOptions) {
    this.#now = options.now
    this.#log = options.log
    this.#stuckAfterMs = options.stuckAfterMs ?? STUCK_AFTER_MS
    this.#random = options.randomBytes ?? randomBytes
    this.#timers = options.timers ?? REAL_TIMERS
  }

  /** Starts a job, or joins the one of the same dataset and kind that is there. */
  start(request: JobRequest): Started {
    if (this.#draining) {
      throw new CairnError('closed', 'No job is started any more: the service is ending.', {
        hint: 'Ask again when it has started again.',
      })
    }
    const there = this.#there(request)
    if (there === undefined) return { job: this.#told(this.#queue(request)), joined: false }
    if (there.state === 'queued') {
      addReason(there, request.reason)
      there.urgent ||= request.urgent === true
      this.#beginWhatMay()
    }
    return { job: this.#told(there), joined: true }
  }

  /** The job to join: one that waits covers whoever asks now; one that runs does not cover a follower. */
  #there({ dataset, kind, follow }: JobRequest): JobRecord | undefined {
    const same = [...this.#open].filter(
      ({ request }) => request.dataset === dataset && request.kind === kind,
    )
    const waiting = same.find(({ state }) => state === 'queued')
    return follow === true ? waiting : (same.find(({ state }) => state === 'running') ?? waiting)
  }

  #queue(request: JobRequest): JobRecord {
    const id = Buffer.from(this.#random(8)).toString('hex')
    const record = newRecord(id, request, this.#now())
    this.#records.set(id, record)
    this.#open.add(record)
    this.#beginWhatMay()
    return record
  }

  /** Not within the call that asks: nobody is told of a job's end before they know its id. */
  #beginWhatMay(): void {
    queueMicrotask(() => {
      for (const record of this.#open) if (this.#mayBegin(record)) void this.#run(record)
    })
  }

  #mayBegin({ state, urgent, request }: JobRecord): boolean {
    if (state !== 'queued') return false
    const lane = LANES[request.kind]
    let inLane = 0
    for (const other of this.#open) {
      if (other.state !== 'running') continue
      const { dataset, kind } = other.request
      if (dataset === request.dataset && kind === request.kind) return false
      if (LANES[kind] === lane && !other.urgent) inLane++
    }
    return urgent || inLane < (AT_ONCE[lane] ?? 1)
  }

  async #run(record: JobRecord): Promise<void> {
    record.state = 'running'
    record.startedAt = this.#now()
    this.#watch()
    const { id, dataset, kind, reason } = this.#told(record)
    this.#log.info('job.started', { job: id, dataset, kind, reason })
    const onProgress: Parameters<JobRequest['work']>[0]['onProgress'] = (progress) => {
      record.progress = { ...progress, at: this.#now() }
      record.silenceLogged = false
    }
    try {
      const { signal } = record.controller
      record.result = await record.request.work({ signal, onProgress, reason })
      record.state = 'succeeded'
    } catch (error) {
      noteFailure(record, toCairnError(error))
    }
    this.#end(record)
  }

  #end(record: JobRecord): void {
    record.finishedAt = this.#now()
    this.#open.delete(record)
    this.#forgetOld()
    if (this.#open.size === 0) this.#unwatch()
    const job = this.#told(record)
    this.#logEnd(job, record)
    record.settle()
    for (const listener of this.#listeners) this.#tell(listener, job)
    this.#beginWhatMay()
  }

  #logEnd({ id: job, dataset, kind, reason, state }: Job, { error, startedAt }: JobRecord): void {
    const seconds = startedAt === null ? 0 : (this.#now() - startedAt) / 1000
    const fields = { job, dataset, kind, reason, state, seconds }
    if (state !== 'failed') return this.#log.info('job.ended', fields)
    const stack = error?.code === 'internal' ? { stack: stackOf(error) } : {}
    this.#log.error('job.failed', { ...fields, ...error?.toJSON(), ...stack })
  }

  /** A listener that fails is its own matter. */
  #tell(listener: EndListener, job: Job): void {
    const telling = (async (): Promise<void> => {
      try {
        await listener(job)
      } catch (error) {
        this.#log.error('job.listener_failed', { job: job.id, error: String(error) })
      }
    })()
    this.#telling.add(telling)
    void telling.finally(() => this.#telling.delete(telling))
  }

  #forgetOld(): void {
    let finished = this.#records.size - this.#open.size
    for (const [id, { state }] of this.#records) {
      if (finished <= MAX_FINISHED) return
      if (!hasEnded({ state })) continue
      this.#records.delete(id)
      finished--
    }
  }

  get(id: string): Job | undefined {
    const record = this.#records.get(id)
    return record && this.#told(record)
  }

  /** Newest first. */
  list({ dataset, kind, limit = Number.POSITIVE_INFINITY }: JobFilter = {}): Job[] {
    const found: Job[] = []
    for (const record of [...this.#records.values()].toReversed()) {
      if (found.length >= limit) break
      const { request } = record
      if (dataset !== undefined && request.dataset !== dataset) continue
      if (kind !== undefined && request.kind !== kind) continue
      found.push(this.#told(record))
    }
    return found
  }

  /** The kinds of a dataset's jobs that have not ended. */
  underWay(dataset: string): Set<JobKind> {
    const kinds = new Set<JobKind>()
    for (const { request } of this.#open) if (request.dataset === dataset) kinds.add(request.kind)
    return kinds
  }

  /** Asks a job to stop; one that has not begun ends here. What has ended stays as it is. */
  cancel(id: string): Job | undefined {
    const record = this.#records.get(id)
    if (record === undefined) return undefined
    if (!hasEnded(record)) this.#abort(record, 'it was cancelled')
    return this.#told(record)
  }

  #abort(record: JobRecord, why: string): void {
    const reason = new CairnError('aborted', `The operation was aborted: ${why}.`)
    record.controller.abort(reason)
    if (record.state !== 'queued') return
    noteFailure(record, reason)
    this.#end(record)
  }

  /** The job at its end, or as it is when the time is over. */
  async wait(
    id: string,
    options: { readonly signal?: AbortSignal | undefined; readonly timeoutMs?: number } = {},
  ): Promise<Job> {
    const record = this.#records.get(id)
    if (record === undefined) throw unknownJob(id)
    await endOrTime(record, options)
    return this.#told(record)
  }

  /** Calls back at the end of every job; answers how to stop that. A drain waits for what it returns. */
  onEnd(listener: EndListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** From here on nothing is started. Waits until all have ended; at the deadline asks the rest to stop. */
  async drain({ deadlineMs }: { readonly deadlineMs: number }): Promise<void> {
    this.#draining = true
    const ended = async (ms: number): Promise<void> => {
      const timer = new AbortController()
      const all = Promise.all([...this.#open].map((record) => record.ended))
      await Promise.race([
        all,
        delay(Math.min(ms, MAX_TIMER_MS), undefined, { signal: timer.signal }).catch(() => {}),
      ])
      timer.abort()
    }
    if (this.#open.size > 0) await ended(deadlineMs)
    for (const record of this.#open) this.#abort(record, 'the service is ending')
    if (this.#open.size > 0) await ended(CANCEL_GRACE_MS)
    this.#unwatch()
    await Promise.all(this.#telling)
  }

  #told(record: JobRecord): Job {
    return jobOf(record, this.#now(), this.#stuckAfterMs)
  }

  #watch(): void {
    this.#stopWatch ??= this.#timers.every(WATCH_EVERY_MS, () => {
      for (const record of this.#open) this.#logSilence(record)
    })
  }

  #unwatch(): void {
    this.#stopWatch?.()
    this.#stopWatch = undefined
  }

  #logSilence(record: JobRecord): void {
    if (record.silenceLogged || !isStuck(record, this.#now(), this.#stuckAfterMs)) return
    record.silenceLogged = true
    const { id, dataset, kind, progress } = this.#told(record)
    const fields = { job: id, dataset, kind, step: progress?.step ?? null }
    const minutes = Math.round(this.#stuckAfterMs / 60_000)
    const message = `The ${kind} of "${dataset}" has made no progress for ${minutes} minutes.`
    this.#log.error('job.stuck', { ...fields, message, after_ms: this.#stuckAfterMs })
  }
}

function endOrTime(
  { ended, state }: JobRecord,
  { signal, timeoutMs }: { readonly signal?: AbortSignal | undefined; readonly timeoutMs?: number },
): Promise<void> {
  throwIfAborted(signal)
  if (hasEnded({ state })) return ended
  return new Promise((resolve, reject) => {
    const timer =
      timeoutMs === undefined ? undefined : setTimeout(over, Math.min(timeoutMs, MAX_TIMER_MS))
    const onAbort = (): void => {
      clearTimeout(timer)
      reject(new CairnError('aborted', 'The operation was aborted.', { cause: signal?.reason }))
    }
    function over(): void {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }
    signal?.addEventListener('abort', onAbort, { once: true })
    void ended.then(over)
  })
}

function unknownJob(id: string): CairnError {
  return new CairnError('not_found', `There is no job "${id.slice(0, 100)}".`, {
    hint: 'Only the last ones are remembered, and none from before a restart.',
    job: id.slice(0, 100),
  })
}

/** Where it was thrown first. */
function stackOf(error: CairnError): string {
  const { cause } = error
  return String((cause instanceof Error ? cause.stack : error.stack) ?? '').slice(0, 4000)
}
