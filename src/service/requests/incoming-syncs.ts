/**
 * Replicas of this service that others bring up to date. Each incoming sync is the sync that this service would
 * make of a source that it can reach; what it asks of the source is put to the sender in the answers to its
 * requests, and comes with the next ones.
 *
 * Invariant: a sync whose sender is silent for a while ends, and with it what it held of the store. So does one
 * whose question is not answered in that time, whatever else is asked about it: only a body that is arriving is
 * waited for. How one ended is remembered for as long, for a sender who did not hear it.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { redactor } from '../../config/secrets.ts'
import { AskedSource, type Answer } from '../../engine/replica/asked-source.ts'
import type { SyncReport } from '../../engine/replica/sync.ts'
import { CairnError, toCairnError, type ErrorCode } from '../../errors.ts'
import { printCid } from '../../model/cid.ts'
import type { EncodedCommit } from '../../model/commit.ts'
import type { SyncFailureRecord, SyncStateRecord } from '../schemas/replication.ts'
import type { Service } from '../service.ts'

export interface IncomingLimits {
  /** How long a sender may be silent, and a question open. */
  readonly silentMs: number
  /** How long a body may take to arrive. */
  readonly bodyMs: number
  /** How long a request waits for what it is to be answered with. */
  readonly waitMs: number
  /** So many at once: each holds some MiB of memory, and a staging. */
  readonly most: number
}

export const INCOMING_LIMITS: IncomingLimits = {
  silentMs: 60_000,
  bodyMs: 120_000,
  waitMs: 5000,
  most: 8,
}

/** Those that are remembered, for who has not heard how they ended. */
const MOST_ENDED = 64

/**
 * Not outcomes of a sync, but problems of each request that asks for one: that the service ends, whose sender comes
 * again when it is back, and faults of this program.
 */
const PROBLEMS: ReadonlySet<ErrorCode> = new Set(['closed', 'internal', 'config'])

interface Begin {
  readonly from: string
  readonly first: EncodedCommit
}

type Host = Pick<Service, 'cairn' | 'draining' | 'log' | 'values'>

export class IncomingSyncs {
  readonly #host: Host
  readonly #limits: IncomingLimits
  /** By dataset and id. */
  readonly #syncs = new Map<string, IncomingSync>()

  constructor(host: Host, limits: IncomingLimits) {
    this.#host = host
    this.#limits = limits
    host.draining.addEventListener('abort', () => this.#endAll(), { once: true })
  }

  /** The one that runs under this id, or a new one: a sender that had no answer begins it again. */
  begin(dataset: string, begin: Begin, id: string = randomBytes(16).toString('hex')): IncomingSync {
    const name = `${dataset}/${id}`
    const known = this.#syncs.get(name)
    if (known?.isRunning === true) return known
    const ended = [...this.#syncs].filter(([, one]) => !one.isRunning)
    const running = this.#syncs.size - ended.length
    if (running >= this.#limits.most) throw tooMany(running)
    for (const [old] of ended.slice(0, -MOST_ENDED)) this.#syncs.delete(old)
    const forget = (): void => {
      if (this.#syncs.get(name) === one) this.#syncs.delete(name)
    }
    const one = new IncomingSync({ id, dataset, forget, ...begin, ...this.#limits }, this.#host)
    this.#syncs.set(name, one)
    if (this.#host.draining.aborted) one.end(ending())
    return one
  }

  find(dataset: string, id: string): IncomingSync {
    const one = this.#syncs.get(`${dataset}/${id}`)
    if (one !== undefined) return one
    throw new CairnError('not_found', `There is no sync ${id} of "${dataset}".`, {
      hint: 'It has ended, or the service began anew. Begin another: what was sent is found again.',
    })
  }

  #endAll(): void {
    for (const one of this.#syncs.values()) one.end(ending())
  }

  /** When it returns none of them touches the store any more. */
  async close(): Promise<void> {
    this.#endAll()
    await Promise.all([...this.#syncs.values()].map((one) => one.ended))
  }
}

interface IncomingOptions extends Begin, IncomingLimits {
  readonly id: string
  readonly dataset: string
  /** It is over, and who sent it has heard, or had time to. */
  readonly forget: () => void
}

type Outcome = { readonly report: SyncReport } | { readonly error: CairnError }

type Timer = ReturnType<typeof setTimeout> | undefined

/** For a step that is not open: it is passed over, or refused, whatever is said. */
const UNREAD: Answer = { kind: 'blocks', blocks: new Map(), count: 0 }

class IncomingSync {
  readonly #options: IncomingOptions
  readonly #host: Host
  /** While it runs. */
  #source: AskedSource | undefined
  readonly #ending = new AbortController()
  /** Settles whatever came of it. */
  readonly ended: Promise<void>
  #outcome: Outcome | undefined
  #waiting: (() => void)[] = []
  #requests = 0
  #silence: Timer
  /** Of the open question. */
  #time: Timer
  /** That time is over, and a body was arriving then. */
  #isLate = false
  /** Ends the body that is arriving. */
  #body: AbortController | undefined

  constructor(options: IncomingOptions, host: Host) {
    this.#options = options
    this.#host = host
    const { dataset, from, first } = options
    const source = new AskedSource(`push:${from}`, first, () => this.#asked())
    this.#source = source
    const { signal } = this.#ending
    this.ended = host.cairn.sync(source, dataset, { signal }).then(
      (report) => this.#become({ report }),
      // Why it was ended says more than that it was.
      (error: unknown) => this.#fail(toCairnError(signal.aborted ? signal.reason : error)),
    )
  }

  get isRunning(): boolean {
    return this.#outcome === undefined
  }

  #fail(error: CairnError): void {
    this.#become({ error })
    const { code, message, httpStatus } = error
    // Problems are logged with their requests; an end from outside is no failure of this service.
    if (this.#ending.signal.aborted || httpStatus < 500 || PROBLEMS.has(code)) return
    const { id: sync, dataset, from } = this.#options
    this.#host.log.error('sync.failed', { sync, dataset, from, code, message })
  }

  #become(outcome: Outcome): void {
    this.#outcome = outcome
    this.#source = undefined
    clearTimeout(this.#silence)
    clearTimeout(this.#time)
    setTimeout(this.#options.forget, this.#options.silentMs).unref()
    this.#wake()
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const one of waiting) one()
  }

  end(reason: CairnError): void {
    if (!this.isRunning) return
    this.#ending.abort(reason)
    this.#body?.abort(reason)
  }

  /** Around a request about it: while there is one its sender is not silent. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    clearTimeout(this.#silence)
    this.#requests += 1
    try {
      return await work()
    } finally {
      this.#requests -= 1
      if (this.#requests === 0 && this.isRunning) this.#listen()
    }
  }

  #listen(): void {
    const silent = (): void => this.#expire('Nothing was heard of the sender of the sync.')
    this.#silence = setTimeout(silent, this.#options.silentMs).unref()
  }

  #asked(): void {
    clearTimeout(this.#time)
    this.#isLate = false
    this.#time = setTimeout(() => this.#late(), this.#options.silentMs).unref()
    this.#wake()
  }

  /** The time of a question is over; a body that is arriving is waited for, or others that come in its place. */
  #late(): void {
    if (this.asks === undefined) return
    if (this.#body === undefined || this.#isLate)
      return this.#expire('What the sync has asked for did not come in its time.')
    this.#isLate = true
    this.#time = setTimeout(() => this.#late(), this.#options.bodyMs).unref()
  }

  /** Who comes after all is told that there is no such sync, and begins another. */
  #expire(sentence: string): void {
    this.end(
      new CairnError('deadline_exceeded', sentence, {
        hint: 'Begin another: what was sent is found again.',
      }),
    )
    void this.ended.then(this.#options.forget)
  }

  /**
   * What `read` gives answers a question. It is called only for the one that is open, until its signal says
   * otherwise: a sync holds one body at a time. Of two the later one is read, since who sends one again has given
   * up the one before, whose connection may be dead.
   */
  async answer(step: number, read: (signal: AbortSignal) => Promise<Answer>): Promise<void> {
    if (this.#source?.asked?.step !== step) return this.#source?.answer(step, UNREAD)
    this.#body?.abort(replaced())
    const body = new AbortController()
    this.#body = body
    const { signal } = body
    const slow = setTimeout(() => body.abort(tooSlow()), this.#options.bodyMs)
    try {
      const answer = await read(signal)
      this.#source?.answer(step, answer)
    } catch (error) {
      throw signal.aborted ? signal.reason : error
    } finally {
      clearTimeout(slow)
      if (this.#body === body) this.#body = undefined
      if (this.#isLate && this.#body === undefined) this.#late()
    }
  }

  get asks(): 'newest' | 'blocks' | undefined {
    return this.#source?.asked?.question.kind
  }

  /** What is wanted next, or what came of it; `nothing` where it is at work for longer than a request may wait. */
  async state(): Promise<SyncStateRecord> {
    if (this.isRunning && this.asks === undefined) await this.#changed()
    const nothing = { sync: this.#options.id, cids: [], log_from: null, report: null, error: null }
    const asked = this.#source?.asked
    const outcome = this.#outcome
    if (outcome !== undefined && 'error' in outcome)
      return { ...nothing, wants: 'nothing', step: 0, error: this.#told(outcome.error) }
    if (outcome !== undefined) {
      const { totalCount: total_count, ...report } = outcome.report
      return { ...nothing, wants: 'nothing', step: 0, report: { ...report, total_count } }
    }
    if (asked === undefined) return { ...nothing, wants: 'nothing', step: 0 }
    const { step, question } = asked
    if (question.kind === 'newest') return { ...nothing, wants: 'newest', step }
    const { cids, logFrom = null } = question
    return { ...nothing, wants: 'blocks', step, cids: cids.map(printCid), log_from: logFrom }
  }

  #told(error: CairnError): SyncFailureRecord {
    const { code, message, hint } = error
    if (PROBLEMS.has(code)) throw error
    const redact = redactor(this.#host.values())
    return {
      code,
      message: redact(message),
      ...(hint === undefined ? {} : { hint: redact(hint) }),
    }
  }

  async #changed(): Promise<void> {
    const over = new AbortController()
    const changed = new Promise<void>((resolve) => this.#waiting.push(resolve))
    const late = delay(this.#options.waitMs, undefined, { signal: over.signal })
    await Promise.race([changed, late.catch(() => undefined)])
    over.abort()
  }
}

function ending(): CairnError {
  return new CairnError('closed', 'The service is ending.', {
    hint: 'Send it again when the service is back: what was sent is found again.',
  })
}

function replaced(): CairnError {
  return new CairnError('overloaded', 'Another body for the sync has come after this one.', {
    hint: 'Send one at a time; GET the sync to see what it wants.',
  })
}

function tooSlow(): CairnError {
  return new CairnError('deadline_exceeded', 'The body did not come in its time.', {
    hint: 'Send fewer blocks at once, with a lower count.',
  })
}

function tooMany(count: number): CairnError {
  return new CairnError(
    'overloaded',
    `The service takes ${count} syncs at once, which there are.`,
    {
      hint: 'Send it again when one of them has ended.',
    },
  )
}
