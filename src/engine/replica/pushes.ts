/**
 * Bringing replicas up to date while writers wait for them. Writers that wait at the same time share a sync, and
 * a replica that is slow or away holds up only those who need it.
 */
import { CairnError, isCairnError } from '../../errors.ts'
import type { Context } from '../context.ts'
import { storeAsSource } from './source.ts'
import type { ReplicaTarget } from './target.ts'

export interface PushOptions {
  readonly ack: number
  readonly ackMs?: number | undefined
}

interface Waiting {
  readonly number: number
  readonly done: (error?: CairnError) => void
}

const ACK_MS = 10_000
const RETRY_MS = 500

export class Pushes {
  readonly #context: Context
  readonly #replicas: readonly ReplicaTarget[]
  readonly #ack: number
  readonly #ackMs: number
  readonly #datasets = new Map<string, DatasetPush>()
  #closed = false

  constructor(
    context: Context,
    replicas: readonly ReplicaTarget[],
    { ack, ackMs = ACK_MS }: PushOptions,
  ) {
    this.#context = context
    this.#replicas = replicas
    this.#ack = ack
    this.#ackMs = ackMs
  }

  /** Resolves when enough replicas have the commit; rejects with `not_replicated` after a while, or `fenced`. */
  async reach(dataset: string, number: number): Promise<void> {
    const one =
      this.#datasets.get(dataset) ??
      new DatasetPush(this.#context, dataset, this.#replicas, this.#ack, () => this.#closed)
    this.#datasets.set(dataset, one)
    await one.reach(number, this.#ackMs)
  }

  close(): void {
    this.#closed = true
  }
}

class DatasetPush {
  readonly #context: Context
  readonly #dataset: string
  readonly #replicas: readonly ReplicaTarget[]
  readonly #ack: number
  readonly #isClosed: () => boolean
  /** The commit of this store that each replica is known to have. */
  readonly #have = new Map<ReplicaTarget, number>()
  readonly #running = new Set<ReplicaTarget>()
  readonly #waiting = new Set<Waiting>()
  #wanted = -1

  constructor(
    context: Context,
    dataset: string,
    replicas: readonly ReplicaTarget[],
    ack: number,
    isClosed: () => boolean,
  ) {
    this.#context = context
    this.#dataset = dataset
    this.#replicas = replicas
    this.#ack = ack
    this.#isClosed = isClosed
  }

  async reach(number: number, withinMs: number): Promise<void> {
    this.#wanted = Math.max(this.#wanted, number)
    if (this.#has(number)) return
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => one.done(this.#late(withinMs)), withinMs)
      const one: Waiting = {
        number,
        done: (error) => {
          clearTimeout(timer)
          this.#waiting.delete(one)
          if (error === undefined) resolve()
          else reject(error)
        },
      }
      this.#waiting.add(one)
      for (const replica of this.#replicas) void this.#push(replica)
    })
  }

  #has(number: number): boolean {
    let count = 0
    for (const have of this.#have.values()) if (have >= number) count += 1
    return count >= this.#ack
  }

  /**
   * Goes on while someone waits for more than the replica has. After a failure it tries again in a while; who
   * writes meanwhile does not wait for that.
   */
  async #push(replica: ReplicaTarget): Promise<void> {
    if (this.#running.has(replica) || !this.#isNeeded(replica)) return
    this.#running.add(replica)
    try {
      while (this.#isNeeded(replica)) await this.#sync(replica)
    } catch (error) {
      this.#failed(replica, error)
    } finally {
      this.#running.delete(replica)
    }
  }

  #failed(replica: ReplicaTarget, error: unknown): void {
    if (this.#isClosed()) return
    const dataset = this.#dataset
    const { location } = replica
    this.#context.log.error('replica.not_synced', { dataset, location, error: String(error) })
    // It was promoted: this store is the primary no more.
    if (isCairnError(error, 'fenced')) for (const one of this.#waiting) one.done(error)
    else setTimeout(() => void this.#push(replica), RETRY_MS).unref()
  }

  #isNeeded(replica: ReplicaTarget): boolean {
    const have = this.#have.get(replica) ?? -1
    return !this.#isClosed() && this.#waiting.size > 0 && have < this.#wanted
  }

  async #sync(replica: ReplicaTarget): Promise<void> {
    const { backend, log } = this.#context
    const { from } = await replica.sync(storeAsSource(backend, log), this.#dataset)
    this.#have.set(replica, Math.max(from, this.#have.get(replica) ?? -1))
    for (const one of this.#waiting) if (this.#has(one.number)) one.done()
  }

  #late(withinMs: number): CairnError {
    const dataset = this.#dataset
    return new CairnError(
      'not_replicated',
      `What was written to "${dataset}" is durable here, but ${this.#ack} of its replicas did not have it within ${withinMs} ms.`,
      {
        hint: 'Look after the replicas (`cairn sync`). Writing it again with its version is safe, and waits for them again.',
        dataset,
      },
    )
  }
}
