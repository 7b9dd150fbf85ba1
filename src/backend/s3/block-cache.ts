/** Single blocks that were read lately, by their digests, in bounded memory. */
import { digestKey, type Block, type CidBytes } from '../../model/cid.ts'
import { ByteLru } from '../../util/byte-lru.ts'
import { pooledCopy } from '../../util/pooled-copy.ts'

/** What a block takes in memory besides its bytes: of small ones most. */
const BLOCK_WEIGHT = 400

export class BlockCache {
  readonly #blocks: ByteLru<Uint8Array>

  constructor(limitBytes: number) {
    this.#blocks = new ByteLru(limitBytes)
  }

  get(cid: CidBytes): Uint8Array | undefined {
    return this.#blocks.get(digestKey(cid))
  }

  /** A copy of a block that was proved. */
  set({ cid, bytes }: Block): void {
    this.#blocks.set(digestKey(cid), pooledCopy(bytes), bytes.length + BLOCK_WEIGHT)
  }
}
