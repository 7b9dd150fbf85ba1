/**
 * The log is followed back from block to block, each naming the one before: over a wire that would be a round trip a
 * block. So whoever asks for one says down to where the log is wanted, and those before it come along.
 */
import { chainBlockOf } from '../../model/chain-block.ts'
import { cidKey, cidMatches, type Block, type CidBytes } from '../../model/cid.ts'
import type { CallOptions } from '../../store/backend.ts'

type Blocks = (Uint8Array | undefined)[]

interface Reader {
  getBlocks(
    cids: readonly CidBytes[],
    options: CallOptions,
  ): Promise<readonly (Uint8Array | undefined)[]>
}

/** So much of the log goes along with a block. */
const AHEAD_BYTES = 2 << 20

/** The blocks of the log before one, newest first, down to a position; as many as fit. */
export async function* logBefore(
  store: Reader,
  newest: Uint8Array,
  from: number,
  options: CallOptions,
): AsyncGenerator<Block> {
  let size = 0
  for (let bytes: Uint8Array | undefined = newest; bytes !== undefined;) {
    const block = chainBlockOf(bytes)
    // One of another kind was asked for by mistake.
    if (block === undefined || block.prev === null || block.first <= from) return
    const { prev } = block
    ;[bytes] = await store.getBlocks([prev], options)
    size += bytes?.length ?? 0
    if (bytes === undefined || size > AHEAD_BYTES || !cidMatches(prev, bytes)) return
    yield { cid: prev, bytes }
  }
}

/** Blocks that came along, until they are asked for, or others come. */
export class Along {
  #blocks = new Map<string, Uint8Array>()

  /** Blocks in the order of `cids`, from here or from `ask`; as many of the first as there are. */
  async read(
    cids: readonly CidBytes[],
    ask: (lacking: readonly CidBytes[]) => Promise<readonly (Uint8Array | undefined)[]>,
  ): Promise<Blocks> {
    const here = cids.map((cid) => this.#at(cid))
    const lacking = cids.filter((_, i) => here[i] === undefined)
    const answers = lacking.length === 0 ? [] : await ask(lacking)
    let next = 0
    for (const [i, bytes] of here.entries()) {
      if (bytes !== undefined) continue
      if (next === answers.length) return here.slice(0, i)
      here[i] = answers[next++]
    }
    return here
  }

  #at(cid: CidBytes): Uint8Array | undefined {
    const bytes = this.#blocks.get(cidKey(cid))
    return bytes !== undefined && cidMatches(cid, bytes) ? bytes : undefined
  }

  keep(blocks: ReadonlyMap<string, Uint8Array>): void {
    this.#blocks = new Map(blocks)
  }
}
