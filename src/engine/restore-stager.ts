/**
 * The way of a CAR's blocks into the store: content goes before the leaf or chain block that holds it,
 * which therefore waits until the walk has left it.
 */
import type { CidBytes } from '../model/cid.ts'
import type { ContentMode } from '../model/entry.ts'
import type { Met } from '../reach/met.ts'
import type { HeldBlock, Hold, Staging } from '../store/backend.ts'
import type { Context } from './context.ts'

const BATCH_BYTES = 2 << 20
/** What a block takes in memory besides its bytes: of small ones most. */
const BLOCK_WEIGHT = 600

export class RestoreStager {
  /** The engine's own blocks: what is read back. */
  readonly records: CidBytes[] = []
  readonly #context: Pick<Context, 'timers'>
  readonly #staging: Staging
  /** Of leaves and chain blocks. Where content is external they link to nothing. */
  readonly #hold: Hold
  readonly #signal: AbortSignal | undefined
  #batch: HeldBlock[] = []
  #bytes = 0

  constructor(
    context: Pick<Context, 'timers'>,
    staging: Staging,
    content: ContentMode,
    signal: AbortSignal | undefined,
  ) {
    this.#context = context
    this.#staging = staging
    this.#hold = content === 'linked' ? 'deep' : 'self'
    this.#signal = signal
  }

  block(met: Met): Promise<void> | undefined {
    if (met.kind === 'content') return this.#put(met, 'under')
    if (met.kind === 'branch' || met.kind === 'snapshot') return this.#putRecord(met, 'self')
    return undefined
  }

  leave(met: Met): Promise<void> | undefined {
    return this.#putRecord(met, this.#hold)
  }

  #putRecord(met: Met, hold: Hold): Promise<void> | undefined {
    this.records.push(met.cid)
    return this.#put(met, hold)
  }

  #put({ cid, bytes }: Met, hold: Hold): Promise<void> | undefined {
    this.#batch.push({ cid, bytes, hold })
    this.#bytes += bytes.length + BLOCK_WEIGHT
    return this.#bytes < BATCH_BYTES ? undefined : this.#send()
  }

  async #send(): Promise<void> {
    const batch = this.#batch
    this.#batch = []
    this.#bytes = 0
    await this.#staging.put(batch, { signal: this.#signal })
    // A walk through a file never waits, and what is sent needs turns of its own to go on.
    await this.#context.timers.turn()
  }

  async finish(): Promise<void> {
    await this.#send()
    await this.#staging.flush({ signal: this.#signal })
  }
}
