/**
 * The way of a CAR's blocks into the store: content goes before the leaf or chain block that holds it,
 * which therefore waits until the walk has left it. Blocks that the CARs do not hold are there already.
 */
import type { CidBytes } from '../model/cid.ts'
import type { Met, Visitor } from '../reach/met.ts'
import type { HeldBlock, Hold, Staging } from '../store/backend.ts'
import type { LongOptions } from './context.ts'

const BATCH_BYTES = 2 << 20
/** What a block takes in memory besides its bytes: of small ones most. */
const BLOCK_WEIGHT = 600

export class RestoreStager {
  /** The engine's own blocks: what is read back. */
  readonly records: CidBytes[] = []
  readonly #staging: Staging
  readonly #isGiven: (cid: CidBytes) => boolean
  readonly #options: LongOptions
  #batch: HeldBlock[] = []
  #bytes = 0
  #done = 0

  constructor(staging: Staging, isGiven: (cid: CidBytes) => boolean, options: LongOptions) {
    this.#staging = staging
    this.#isGiven = isGiven
    this.#options = options
  }

  readonly visitor: Visitor = {
    block: (met) => {
      if (met.kind === 'content') return this.#put(met, 'under')
      if (met.kind === 'branch' || met.kind === 'snapshot') return this.#putRecord(met, 'self')
      return undefined
    },
    leave: (met) => this.#putRecord(met, 'deep'),
    problem: (error) => {
      throw error
    },
  }

  #putRecord(met: Met, hold: Hold): Promise<void> | undefined {
    if (!this.#isGiven(met.cid)) return undefined
    this.records.push(met.cid)
    return this.#put(met, hold)
  }

  #put({ cid, bytes }: Met, hold: Hold): Promise<void> | undefined {
    if (!this.#isGiven(cid)) return undefined
    this.#batch.push({ cid, bytes, hold })
    this.#bytes += bytes.length + BLOCK_WEIGHT
    this.#done += 1
    return this.#bytes < BATCH_BYTES ? undefined : this.#send()
  }

  async #send(): Promise<void> {
    const batch = this.#batch
    this.#batch = []
    this.#bytes = 0
    await this.#staging.put(batch, { signal: this.#options.signal })
    this.#options.onProgress?.({ step: 'restore', done: this.#done })
  }

  async finish(): Promise<void> {
    await this.#send()
    await this.#staging.flush({ signal: this.#options.signal })
  }
}
