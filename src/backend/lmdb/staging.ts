/**
 * Blocks written ahead of their commit, in transactions that are large enough to be fast and small
 * enough to keep nobody waiting.
 */
import { CairnError, throwIfAborted, toCairnError } from '../../errors.ts'
import type { CallOptions, HeldBlock, Staging } from '../../store/backend.ts'
import { newBlocks } from './blocks.ts'
import type { NewBlock } from './blocks.ts'
import type { Environment } from './environment.ts'
import type { HeldLease } from './leases.ts'

const MAX_BUFFERED = 8 * 2 ** 20
const START_WRITING = 2 * 2 ** 20
const MAX_TRANSACTION = 8 * 2 ** 20
/** The commit that waits behind such a one takes twice as long as otherwise, not more. */
const MAX_TRANSACTION_BUSY = 256 << 10
/** After as many transactions without a commit the staging takes itself to be alone. */
const ALONE_AFTER = 16
/** What a block takes in memory besides its bytes: mostly the page of its digest, which is like no other's. */
const BLOCK_WEIGHT = 2000

export class LmdbStaging implements Staging {
  /** By which a commit names it. */
  readonly leaseId: string
  readonly #lease: HeldLease
  readonly #environment: Environment
  /** Throws once the backend is closed. */
  readonly #checkOpen: () => void
  readonly #writeBatch: (blocks: readonly NewBlock[]) => Promise<void>
  #queue: NewBlock[] = []
  #buffered = 0
  /** Of other writers, when the last transaction was begun. */
  #commitsSeen: number
  /** Transactions that are still kept small, since there was company lately. */
  #small = 0
  #writing: Promise<void> | undefined
  #failed: CairnError | undefined
  #ended = false

  constructor(
    environment: Environment,
    lease: HeldLease,
    checkOpen: () => void,
    writeBatch: (blocks: readonly NewBlock[]) => Promise<void>,
  ) {
    this.leaseId = lease.id
    this.#lease = lease
    this.#environment = environment
    this.#commitsSeen = environment.askedCommits
    this.#checkOpen = checkOpen
    this.#writeBatch = writeBatch
  }

  async put(blocks: readonly HeldBlock[], options?: CallOptions): Promise<void> {
    this.#enter(options)
    for (const block of newBlocks(blocks)) {
      this.#queue.push(block)
      this.#buffered += weightOf(block)
    }
    if (this.#buffered >= START_WRITING) this.#start()
    while (this.#buffered > MAX_BUFFERED) await this.#oneWritten(options)
  }

  async flush(options?: CallOptions): Promise<void> {
    this.#enter(options)
    await this.#lease.written
    while (this.#queue.length > 0 || this.#writing !== undefined) await this.#oneWritten(options)
  }

  async end(): Promise<void> {
    this.#ended = true
    this.#drop()
    await this.#writing
    await this.#lease.release()
  }

  /** Waits for the transaction under way, or for one that begins now. */
  async #oneWritten(options: CallOptions | undefined): Promise<void> {
    this.#start()
    await this.#writing
    this.#enter(options)
  }

  #start(): void {
    if (this.#writing !== undefined || this.#queue.length === 0) return
    this.#writing = this.#write(this.#take()).finally(() => {
      this.#writing = undefined
      if (this.#buffered >= START_WRITING) this.#start()
    })
  }

  /**
   * Never rejects: whoever calls next is told. Nothing is written before the lease is: a sweep that
   * began in between would see neither the lease nor the need to leave the blocks.
   */
  async #write(batch: readonly NewBlock[]): Promise<void> {
    try {
      await this.#lease.written
      await this.#writeBatch(batch)
    } catch (error) {
      this.#failed = toCairnError(error)
      this.#drop()
    }
  }

  #take(): NewBlock[] {
    const { waitingCommits, askedCommits } = this.#environment
    const company = waitingCommits > 0 || askedCommits > this.#commitsSeen
    this.#commitsSeen = askedCommits
    this.#small = company ? ALONE_AFTER : Math.max(0, this.#small - 1)
    const limit = this.#small > 0 ? MAX_TRANSACTION_BUSY : MAX_TRANSACTION
    let weight = 0
    let count = 0
    for (const block of this.#queue) {
      if (count > 0 && weight + weightOf(block) > limit) break
      weight += weightOf(block)
      count++
    }
    this.#buffered -= weight
    return this.#queue.splice(0, count)
  }

  #drop(): void {
    this.#queue = []
    this.#buffered = 0
  }

  #enter(options: CallOptions | undefined): void {
    this.#checkOpen()
    throwIfAborted(options?.signal)
    if (this.#failed !== undefined) throw this.#failed
    if (this.#ended) throw new CairnError('closed', 'This staging has ended.')
  }
}

function weightOf(block: NewBlock): number {
  return block.bytes.length + BLOCK_WEIGHT
}
