/**
 * The contents of one batch on their way into the store: small ones travel with the batch's commit, and
 * what is above a few MiB is staged before it, so that a commit stays small.
 */
import type { Block, CidBytes } from '../model/cid.ts'
import type { Staging } from '../store/backend.ts'
import { ContentStager, encodeSmall } from './content-stager.ts'

const MAX_CARRIED_BYTES = 4 << 20

export class BatchContent {
  /** The blocks that go with the commit. */
  readonly carried: Block[] = []
  #carriedBytes = 0
  readonly #staged: ContentStager

  constructor(open: () => Promise<Staging>, signal?: AbortSignal) {
    this.#staged = new ContentStager(open, signal)
  }

  put(value: unknown): CidBytes | Promise<CidBytes> {
    const block = encodeSmall(value)
    if (block === undefined) return this.#staged.put(value)
    const bytes = this.#carriedBytes + block.bytes.length
    if (bytes > MAX_CARRIED_BYTES) return this.#staged.stage(block).then(() => block.cid)
    this.#carriedBytes = bytes
    this.carried.push(block)
    return block.cid
  }

  flush(): Promise<void> {
    return this.#staged.flush()
  }

  end(): Promise<void> {
    return this.#staged.end()
  }
}
