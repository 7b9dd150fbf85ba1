/**
 * Walking the chain from its newest block back. Blocks are proved, and each must be the one its
 * successor names: same dataset, an ordinal and positions below (a rollback leaves gaps in both).
 */
import { CairnError, throwIfAborted } from '../errors.ts'
import { decodeChainBlock, type ChainBlock } from '../model/chain-block.ts'
import { bytesEqual, cidKey, printCid, type CidBytes } from '../model/cid.ts'
import { getProvedBlocks, missingBlock, type BlockReader } from '../store/proved.ts'

export interface LoadedBlock {
  readonly cid: CidBytes
  readonly block: ChainBlock
}

export interface WalkOptions {
  readonly head: CidBytes | null
  /** Where the walk stops, itself not included; null: at the beginning of the chain. */
  readonly base: CidBytes | null
  /** The identities that the blocks may carry: the dataset's own, and its origins. */
  readonly identities: readonly string[]
  /** Below this position a missing block is the end of history; at or above it, damage. */
  readonly floor: number
  /** The position of what follows the head, where that is known. */
  readonly next?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** A read ahead asks for so many blocks at once, and for more until it has read so much. */
const AHEAD_AT_ONCE = 32
const AHEAD_BYTES = 4 << 20

/** The blocks between base and head, newest first. */
export async function* walkBack(
  store: BlockReader,
  options: WalkOptions,
): AsyncGenerator<LoadedBlock> {
  const { base, identities, floor, signal } = options
  const ahead = new Map<string, Uint8Array>()
  let newer: ChainBlock | undefined
  for (let cid = options.head; cid !== null && !(base !== null && bytesEqual(cid, base));) {
    throwIfAborted(signal)
    const bytes = ahead.get(cidKey(cid)) ?? (await readOne(store, cid, signal))
    if (bytes === undefined) {
      const follows = newer?.first ?? options.next
      if (follows !== undefined && follows <= floor) return
      throw missingBlock(cid, 'the chain block')
    }
    const block = decodeChainBlock(bytes)
    checkSuccession(cid, block, newer, identities)
    yield { cid, block }
    if (block.back.length > 0) {
      ahead.clear()
      await readAhead(store, block, ahead, signal)
    }
    newer = block
    cid = block.prev
  }
}

async function readOne(
  store: BlockReader,
  cid: CidBytes,
  signal: AbortSignal | undefined,
): Promise<Uint8Array | undefined> {
  const [bytes] = await getProvedBlocks(store, [cid], { signal })
  return bytes
}

/** Reads the blocks that a `back` list names, the newest first, many in a call: as memory bears. */
async function readAhead(
  store: BlockReader,
  { back }: ChainBlock,
  ahead: Map<string, Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<void> {
  let read = 0
  for (let to = back.length; to > 0 && read < AHEAD_BYTES; to -= AHEAD_AT_ONCE) {
    const cids = back.slice(Math.max(0, to - AHEAD_AT_ONCE), to)
    const blocks = await getProvedBlocks(store, cids, { signal })
    for (const [i, cid] of cids.entries()) {
      const bytes = blocks[i]
      if (bytes === undefined) continue
      ahead.set(cidKey(cid), bytes)
      read += bytes.length
    }
  }
}

function checkSuccession(
  cid: CidBytes,
  block: ChainBlock,
  newer: ChainBlock | undefined,
  identities: readonly string[],
): void {
  const follows =
    newer === undefined ||
    (block.ordinal < newer.ordinal && block.first + block.entries.length <= newer.first)
  if (identities.includes(block.dataset) && follows) return
  throw new CairnError(
    'invalid_block',
    `The chain block ${printCid(cid)} does not belong where it stands.`,
    {
      hint: 'The chain was damaged or forged; restore the dataset from a backup.',
      cid: printCid(cid),
    },
  )
}

/** In blocks that are oldest first, the index of the first one with a position from `since` on. */
export function indexFrom(blocks: readonly LoadedBlock[], since: number): number {
  let low = 0
  let high = blocks.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const block = blocks[middle]?.block
    if (block !== undefined && block.first + block.entries.length <= since) low = middle + 1
    else high = middle
  }
  return low
}

/** The blocks between base and head, oldest first. At most the chain limit, so they fit in memory. */
export async function readChain(store: BlockReader, options: WalkOptions): Promise<LoadedBlock[]> {
  const blocks: LoadedBlock[] = []
  for await (const block of walkBack(store, options)) blocks.push(block)
  return blocks.reverse()
}
