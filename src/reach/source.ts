/**
 * Where a walk gets its blocks from. A source is asked for a block of a list and may answer with
 * those behind it, too, which the walk will want next.
 */
import type { Block, CidBytes } from '../model/cid.ts'
import { cidKey } from '../model/cid.ts'
import type { CallOptions, ReadOptions } from '../store/backend.ts'

/** Unproved; undefined where the source lacks one. */
export type SourceBlocks = readonly (Uint8Array | undefined)[]

export interface WalkReadOptions extends CallOptions {
  /** Lists that are read with the same one have blocks of like sizes; a list is like itself alone unless given. */
  readonly alike?: object
}

export interface WalkSource {
  /** The blocks of `cids[from]` and as many that follow as the source likes; at least one. */
  read(
    cids: readonly CidBytes[],
    from: number,
    options: WalkReadOptions,
  ): SourceBlocks | Promise<SourceBlocks>
}

interface BlockStore {
  getBlocks(cids: readonly CidBytes[], options?: ReadOptions): Promise<SourceBlocks>
}

/** What one read of a store may bring; blocks come in sizes that are not known before. */
const READ_BYTES = 2 << 20
const MOST_BLOCKS = 512
const FIRST_BLOCKS = 16

/**
 * Reads many blocks at a time, as many as the sizes of those before that are alike let expect to fit: a walk reads
 * large leaves and small contents by turns.
 */
export function storeSource(store: BlockStore, rely = false): WalkSource {
  const widths = new WeakMap<object, number>()
  return {
    async read(cids, from, { signal, alike = cids }) {
      const width = widths.get(alike) ?? FIRST_BLOCKS
      const some = cids.slice(from, from + width)
      const blocks = await store.getBlocks(some, { signal, rely })
      let bytes = 0
      for (const block of blocks) bytes += block?.length ?? 0
      const fitting = Math.floor((READ_BYTES * blocks.length) / Math.max(bytes, 1))
      widths.set(alike, Math.max(1, Math.min(MOST_BLOCKS, fitting, width * 4)))
      return blocks
    },
  }
}

interface LocalBlocks {
  has(cid: CidBytes): boolean
  read(cid: CidBytes): Uint8Array | undefined
}

/** Blocks that are at hand (CAR files, blocks in memory), before those of another source. */
export function localSource(local: readonly LocalBlocks[], other?: WalkSource): WalkSource {
  /** A part of the list asked for last, none of which is at hand. */
  let lacking: Lacking | undefined
  return {
    read(cids, from, options) {
      const cid = cids[from]
      if (cid === undefined) return []
      for (const one of local) {
        const bytes = one.read(cid)
        if (bytes !== undefined) return [bytes]
      }
      if (other === undefined) return [undefined]
      const known = lacking?.list === cids && from >= lacking.from && from < lacking.to
      lacking = known ? lacking : lackingFrom(local, cids, from)
      return lacking === undefined
        ? [undefined]
        : other.read(lacking.part, from - lacking.from, { alike: cids, ...options })
    },
  }
}

interface Lacking {
  readonly list: readonly CidBytes[]
  readonly from: number
  readonly to: number
  readonly part: readonly CidBytes[]
}

/** The block wanted and those behind it, up to the first that is at hand. */
function lackingFrom(
  local: readonly LocalBlocks[],
  cids: readonly CidBytes[],
  from: number,
): Lacking {
  let to = from + 1
  const isLocal = (cid: CidBytes): boolean => local.some((one) => one.has(cid))
  for (; to < cids.length && to < from + MOST_BLOCKS; to++) {
    const cid = cids[to]
    if (cid !== undefined && isLocal(cid)) break
  }
  return { list: cids, from, to, part: cids.slice(from, to) }
}

/** Blocks in memory, as local ones. */
export function blocksInMemory(blocks: readonly Block[]): LocalBlocks {
  const held = new Map(blocks.map(({ cid, bytes }) => [cidKey(cid), bytes]))
  return { has: (cid) => held.has(cidKey(cid)), read: (cid) => held.get(cidKey(cid)) }
}

/** Blocks of a stream that are passed over before they are asked for, in bytes. */
const PASSED_BYTES = 16 << 20

/**
 * Blocks of a stream that comes in the order of the walk, before those of another source: a store that
 * sends a whole DAG sends it faster than it answers questions.
 */
export function streamSource(
  stream: AsyncIterable<readonly Block[]>,
  other: WalkSource,
): WalkSource & { close(): Promise<void> } {
  const blocks = stream[Symbol.asyncIterator]()
  const passed = new Map<string, Uint8Array>()
  let passedBytes = 0
  let batch: readonly Block[] = []
  let at = 0
  let ended = false
  const take = (key: string): Uint8Array | undefined => {
    const bytes = passed.get(key)
    if (bytes !== undefined) {
      passed.delete(key)
      passedBytes -= bytes.length
      return bytes
    }
    for (; at < batch.length && passedBytes < PASSED_BYTES; at++) {
      const block = batch[at]
      if (block === undefined) continue
      if (cidKey(block.cid) === key) {
        at += 1
        return block.bytes
      }
      passed.set(cidKey(block.cid), block.bytes)
      passedBytes += block.bytes.length
    }
    return undefined
  }
  const wait = async (
    cids: readonly CidBytes[],
    from: number,
    options: CallOptions,
  ): Promise<SourceBlocks> => {
    const cid = cids[from]
    if (cid === undefined) return []
    while (!ended && passedBytes < PASSED_BYTES) {
      const next = await blocks.next()
      if (next.done === true) ended = true
      else batch = next.value
      at = 0
      const bytes = ended ? undefined : take(cidKey(cid))
      if (bytes !== undefined) return [bytes]
    }
    return other.read([cid], 0, options)
  }
  return {
    read(cids, from, options) {
      const cid = cids[from]
      const bytes = cid === undefined ? undefined : take(cidKey(cid))
      return bytes === undefined ? wait(cids, from, options) : [bytes]
    },
    async close() {
      await blocks.return?.()
    },
  }
}
