/**
 * Replicas of this service that others bring up to date. Each incoming sync is the sync that this service would
 * make of a source that it can reach; what it asks of the source is put to the sender in the answers to its
 * requests, and comes with the next ones.
 *
 * Invariant: a sync whose sender is silent for a while ends, and with it what it held of the store. How one ended
 * is remembered for as long, for a sender who did not hear it.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Cairn } from '../../cairn.ts'
import { AskedSource, type Answer } from '../../engine/replica/asked-source.ts'
import type { SyncReport } from '../../engine/replica/sync.ts'
import { CairnError } from '../../errors.ts'
import { printCid } from '../../model/cid.ts'
import type { EncodedCommit } from '../../model/commit.ts'
import type { SyncStateRecord } from '../schemas/replication.ts'

export interface IncomingLimits {
  /** How long a sender may be silent. */
  readonly silentMs: number
  /** How long a request waits for what it is to be answered with. */
  readonly waitMs: number
  /** So many at once: each holds some MiB of memory, and a staging. */
  readonly most: number
}

export const INCOMING_LIMITS: IncomingLimits = { silentMs: 60_000, waitMs: 5000, most: 8 }

/** Those that are remembered, for who has not heard how they ended. */
const MOST_ENDED = 64

interface Begin {
  readonly from: string
  readonly first: EncodedCommit
}

export class IncomingSyncs {
  readonly #cairn: Cairn
  readonly #limits: IncomingLimits
  readonly #draining: AbortSignal
  readonly #syncs = new Map<string, IncomingSync>()

  constructor(cairn: Cairn, draining: AbortSignal, limits: IncomingLimits) {
    this.#cairn = cairn
    this.#draining = draining
    this.#limits = limits
    draining.addEventListener('abort', () => this.#endAll(), { once: true })
  }

  begin(dataset: string, { from, first }: Begin): IncomingSync {
    const ended = [...this.#syncs].filter(([, one]) => !one.isRunning)
    const running = this.#syncs.size - ended.length
    if (running >= this.#limits.most) throw tooMany(running)
    for (const [id] of ended.slice(0, -MOST_ENDED)) this.#syncs.delete(id)
    const id = randomBytes(16).toString('hex')
    const forget = (): void => void this.#syncs.delete(id)
    const one = new IncomingSync({ id, dataset, from, first, forget, ...this.#limits }, this.#cairn)
    this.#syncs.set(id, one)
    if (this.#draining.aborted) one.end(ending())
    return one
  }

  find(dataset: string, id: string): IncomingSync {
    const one = this.#syncs.get(id)
    if (one?.dataset === dataset) return one
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

type Outcome = { readonly report: SyncReport } | { readonly error: unknown }

class IncomingSync {
  readonly #options: IncomingOptions
  /** While it runs. */
  #source: AskedSource | undefined
  readonly #ending = new AbortController()
  /** Settles whatever came of it. */
  readonly ended: Promise<void>
  #outcome: Outcome | undefined
  #waiting: (() => void)[] = []
  #requests = 0
  #silence: ReturnType<typeof setTimeout> | undefined

  constructor(options: IncomingOptions, cairn: Cairn) {
    this.#options = options
    const { dataset, from, first } = options
    const source = new AskedSource(`push:${from}`, first, () => this.#wake())
    this.#source = source
    const { signal } = this.#ending
    this.ended = cairn.sync(source, dataset, { signal }).then(
      (report) => this.#become({ report }),
      // Why it was ended says more than that it was.
      (error: unknown) => this.#become({ error: signal.aborted ? signal.reason : error }),
    )
  }

  get dataset(): string {
    return this.#options.dataset
  }

  get isRunning(): boolean {
    return this.#outcome === undefined
  }

  #become(outcome: Outcome): void {
    this.#outcome = outcome
    this.#source = undefined
    this.#wake()
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const one of waiting) one()
  }

  end(reason: CairnError): void {
    if (this.isRunning) this.#ending.abort(reason)
  }

  /** Around a request about it: while there is one its sender is not silent. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    clearTimeout(this.#silence)
    this.#requests += 1
    try {
      return await work()
    } finally {
      this.#requests -= 1
      if (this.#requests === 0) this.#listen()
    }
  }

  #listen(): void {
    this.#silence = setTimeout(() => this.#silent(), this.#options.silentMs).unref()
  }

  #silent(): void {
    this.end(
      new CairnError('deadline_exceeded', 'Nothing was heard of the sender of the sync.', {
        hint: 'Begin another: what was sent is found again.',
      }),
    )
    void this.ended.then(this.#options.forget)
  }

  answer(step: number, answer: Answer): void {
    this.#source?.answer(step, answer)
  }

  get asks(): 'newest' | 'blocks' | undefined {
    return this.#source?.asked?.question.kind
  }

  /** What is wanted next, or what came of it; `nothing` where it is at work for longer than a request may wait. */
  async state(): Promise<SyncStateRecord> {
    if (this.isRunning && this.asks === undefined) await this.#changed()
    const nothing = { sync: this.#options.id, cids: [], log_from: null, report: null }
    const asked = this.#source?.asked
    const outcome = this.#outcome
    if (outcome !== undefined && 'error' in outcome) throw outcome.error
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

function tooMany(count: number): CairnError {
  return new CairnError(
    'overloaded',
    `The service takes ${count} syncs at once, which there are.`,
    {
      hint: 'Send it again when one of them has ended.',
    },
  )
}
