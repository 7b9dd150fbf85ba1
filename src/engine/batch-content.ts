/**
 * The contents of one batch on their way into the store: small ones travel with the batch's commit, and
 * what is above a few MiB is staged before it, so that a commit stays small.
 */
import { LeafBlock } from '../content/encode.ts'
import type { Block } from '../model/cid.ts'
import type { Staging } from '../store/backend.ts'
import { ContentStager, encodeSmall, type FileBytes, type StoredContent } from './content-stager.ts'

/** What is staged costs two syncs more than what is carried: one for it, one for letting it go. */
const MAX_CARRIED_BYTES = 8 << 20

export class BatchContent {
  /** The blocks that go with the commit. */
  readonly carried: Block[] = []
  #carriedBytes = 0
  readonly #staged: ContentStager

  constructor(open: () => Promise<Staging>, signal?: AbortSignal) {
    this.#staged = new ContentStager(open, signal)
  }

  put(value: unknown): StoredContent | Promise<StoredContent> {
    const block = encodeSmall(value)
    if (block === undefined) return this.#staged.putFile(value as FileBytes)
    return this.putBlock(block)
  }

  /** What is staged may be gone when the commit comes, if this process sleeps for an hour: it needs proof. */
  putBlock(block: Block): StoredContent | Promise<StoredContent> {
    const { cid } = block
    const bytes = this.#carriedBytes + block.bytes.length
    if (bytes > MAX_CARRIED_BYTES)
      return this.#staged.stage(block).then(() => ({ cid, isWhole: false }))
    this.#carriedBytes = bytes
    this.carried.push(block)
    return { cid, isWhole: block instanceof LeafBlock }
  }

  flush(): Promise<void> {
    return this.#staged.flush()
  }

  end(): Promise<void> {
    return this.#staged.end()
  }
}
