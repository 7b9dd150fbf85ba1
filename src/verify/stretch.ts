/**
 * Walking the log from a block back, for those who want to know what is wrong with it: the walk ends at
 * the first block that is missing or is not what it should be, which is told and not thrown.
 */
import { CairnError, throwIfAborted } from '../errors.ts'
import type { ChainBlock } from '../model/chain-block.ts'
import { bytesEqual, cidKey, type CidBytes } from '../model/cid.ts'
import type { ContentMode } from '../model/entry.ts'
import { checkedChainBlock, misplaced, named } from '../reach/checks.ts'
import { problemOf } from '../reach/met.ts'
import type { BlockReader } from '../store/proved.ts'

export interface LogFacts {
  readonly identities: readonly string[]
  readonly content: ContentMode
  /** Entries below this position are not kept. */
  readonly floor: number
}

export interface LogWalk extends LogFacts {
  readonly store: BlockReader
  readonly signal: AbortSignal | undefined
  readonly problem: (error: CairnError, cid: CidBytes) => void
}

export interface LogBlock {
  readonly cid: CidBytes
  readonly bytes: Uint8Array
  readonly block: ChainBlock
}

const AHEAD_AT_ONCE = 32
const AHEAD_BYTES = 4 << 20

/**
 * The blocks from `from` back, newest first, to `stop` (not included) or as far as they are kept. Their
 * entries stand before the position `follows`.
 */
export async function* walkLog(
  walk: LogWalk,
  from: CidBytes | null,
  follows: number,
  stop: CidBytes | null,
): AsyncGenerator<LogBlock> {
  const ahead = new Map<string, Uint8Array>()
  let ordinal = Infinity
  for (let cid = from, end = follows; cid !== null && end > walk.floor;) {
    if (stop !== null && bytesEqual(cid, stop)) return
    throwIfAborted(walk.signal)
    const bytes = ahead.get(cidKey(cid)) ?? (await readOne(walk, cid))
    const block = proved(walk, cid, bytes, end, ordinal)
    if (block === undefined || bytes === undefined) return
    yield { cid, bytes, block }
    if (block.back.length > 0) await readAhead(walk, block, ahead)
    ordinal = block.ordinal
    end = block.first
    cid = block.prev
  }
}

function proved(
  walk: LogWalk,
  cid: CidBytes,
  bytes: Uint8Array | undefined,
  end: number,
  ordinal: number,
): ChainBlock | undefined {
  const problem = problemOf(cid, bytes, 'chain')
  if (problem !== undefined || bytes === undefined) {
    if (problem !== undefined) walk.problem(problem, cid)
    return undefined
  }
  try {
    const facts = { ...walk, base: null, recentCount: 0, chainFirst: 0, next: 0 }
    const block = checkedChainBlock(bytes, cid, 'unknown', facts)
    if (block.ordinal < ordinal && block.first + block.entries.length <= end) return block
    throw misplaced('The chain block', cid)
  } catch (error) {
    if (!(error instanceof CairnError)) throw error
    walk.problem(named(error, cid), cid)
    return undefined
  }
}

async function readOne({ store, signal }: LogWalk, cid: CidBytes): Promise<Uint8Array | undefined> {
  const [bytes] = await store.getBlocks([cid], { signal })
  return bytes
}

/** The blocks that a `back` list names, the newest first, as many as memory bears; unproved as yet. */
async function readAhead(
  { store, signal }: LogWalk,
  { back }: ChainBlock,
  ahead: Map<string, Uint8Array>,
): Promise<void> {
  ahead.clear()
  let read = 0
  for (let to = back.length; to > 0 && read < AHEAD_BYTES; to -= AHEAD_AT_ONCE) {
    const cids = back.slice(Math.max(0, to - AHEAD_AT_ONCE), to)
    const blocks = await store.getBlocks(cids, { signal })
    for (const [i, cid] of cids.entries()) {
      const bytes = blocks[i]
      if (bytes === undefined) continue
      ahead.set(cidKey(cid), bytes)
      read += bytes.length
    }
  }
}
