/**
 * Trail: a way through the chain from its newest block back to a position, so that it can be read forwards.
 *
 * The chain is linked backwards only, and may have millions of blocks. A trail remembers at most MAX_MARKS
 * of them, evenly spread: what lies between two marks is found by walking back from the upper one. So its
 * memory is bounded, and the whole way is read three times at the most.
 */
import { decodeChainBlock, type ChainBlock } from '../model/chain-block.ts'
import { type CidBytes } from '../model/cid.ts'
import { getProvedBlocks, missingBlock, type BlockReader } from '../store/proved.ts'
import { walkBack, type WalkOptions } from './walk.ts'

/** Where a walk goes along: all of `WalkOptions` but its ends. */
export interface Way extends Pick<WalkOptions, 'identities' | 'floor' | 'signal'> {
  readonly head: CidBytes | null
  readonly next: number
}

interface Mark {
  readonly cid: CidBytes
  /** The position behind its last entry. */
  readonly end: number
}

export interface Trail {
  /** It leads to every entry from here on ... */
  readonly low: number
  /** ... up to here, this one not included. */
  readonly high: number
  /** Oldest first. */
  readonly marks: readonly Mark[]
  /** Each is so many blocks behind the next. */
  readonly stride: number
}

const MAX_MARKS = 4096
/** Blocks that are read at once; each has 1 MiB at the most. */
const READ_AT_ONCE = 16

const endOf = ({ first, entries }: ChainBlock): number => first + entries.length

/** Walks back until the block that has the position `low`, or the last one behind it. */
export async function layTrail(
  store: BlockReader,
  way: Way,
  low: number,
  high: number,
  maxMarks: number = MAX_MARKS,
): Promise<Trail> {
  let marks: Mark[] = []
  let stride = 1
  let walked = 0
  for await (const { cid, block } of walkBack(store, { ...way, base: null })) {
    if (endOf(block) <= low) break
    if (walked++ % stride === 0) marks.push({ cid, end: endOf(block) })
    if (marks.length > maxMarks) {
      marks = marks.filter((_, i) => i % 2 === 0)
      stride *= 2
    }
    if (block.first <= low) break
  }
  return { low, high, marks: marks.reverse(), stride }
}

/** The blocks of a trail that have positions from `from` on, oldest first. */
export async function* blocksAlong(
  store: BlockReader,
  way: Way,
  trail: Trail,
  from: number,
): AsyncGenerator<ChainBlock> {
  for await (const cids of cidsAlong(store, way, trail, from)) {
    for (let at = 0; at < cids.length; at += READ_AT_ONCE) {
      const some = cids.slice(at, at + READ_AT_ONCE)
      const blocks = await getProvedBlocks(store, some, { signal: way.signal })
      for (const [i, cid] of some.entries()) {
        const bytes = blocks[i]
        if (bytes === undefined) throw missingBlock(cid, 'the chain block')
        yield decodeChainBlock(bytes)
      }
    }
  }
}

async function* cidsAlong(
  store: BlockReader,
  way: Way,
  { marks, stride }: Trail,
  from: number,
): AsyncGenerator<readonly CidBytes[]> {
  const ahead = marks.filter(({ end }) => end > from)
  if (stride === 1) {
    yield ahead.map(({ cid }) => cid)
    return
  }
  let low = from
  for (const { cid, end } of ahead) {
    yield await cidsBetween(store, way, low, { cid, end })
    low = end
  }
}

/** From the block that has the position `low` to a mark, oldest first. */
async function cidsBetween(
  store: BlockReader,
  way: Way,
  low: number,
  { cid: head, end }: Mark,
): Promise<CidBytes[]> {
  const cids: CidBytes[] = []
  for await (const { cid, block } of walkBack(store, { ...way, head, next: end, base: null })) {
    if (endOf(block) <= low) break
    cids.push(cid)
    if (block.first <= low) break
  }
  return cids.reverse()
}
