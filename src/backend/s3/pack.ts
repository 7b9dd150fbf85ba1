/**
 * A pack: blocks in one object, a CARv2 with its index behind them. Commits are packs, too, whose first
 * root is the commit itself; so any tool that reads CARs reads what lies in a bucket.
 */
import { carHeader } from '../../car/encode.ts'
import { headerBytes, SectionFrame, V2_HEAD_BYTES } from '../../car/frame.ts'
import { indexHead, v2Head } from '../../car/index-v2.ts'
import { CairnError, isCairnError } from '../../errors.ts'
import { cidMatches, cidParts, DIGEST_BYTES, rawCidOf } from '../../model/cid.ts'
import type { Block, CidBytes } from '../../model/cid.ts'
import { PackBuilder, type Section } from './pack-builder.ts'

/** A pack is written when it has so many bytes of blocks. Places within it fit into 24 bits. */
export const PACK_BYTES: number = 8 << 20
/** None of ours is larger: a pack has at most one block more than it is full with. */
export const LARGEST_OBJECT: number = 8 * PACK_BYTES
const ENTRY_BYTES = DIGEST_BYTES + 8
const INDEX_HEAD_BYTES = indexHead(1).length

export interface Pack {
  readonly bytes: Uint8Array
  readonly indexAt: number
  readonly sections: readonly Section[]
}

/** Each block once, identity CIDs not at all. */
export function encodePack(blocks: Iterable<Block>, roots: readonly CidBytes[] = []): Pack {
  const builder = new PackBuilder(carHeader(roots))
  for (const block of blocks) builder.add(block)
  return { ...builder.finish(), sections: builder.sections() }
}

/**
 * The sections that an index tells of; how long each is follows from where the next one begins. undefined:
 * it is damaged.
 */
export function readIndex(index: Uint8Array, indexAt: number): Section[] | undefined {
  const count = (index.length - INDEX_HEAD_BYTES) / ENTRY_BYTES
  if (Buffer.compare(index, indexHead(0)) === 0) return []
  if (!Number.isSafeInteger(count) || count < 1 || !startsWith(index, indexHead(count))) {
    return undefined
  }
  const view = new DataView(index.buffer, index.byteOffset, index.length)
  const entryAt = (i: number): number => INDEX_HEAD_BYTES + i * ENTRY_BYTES
  const placeOf = (i: number): number =>
    Number(view.getBigUint64(entryAt(i) + DIGEST_BYTES, true)) + V2_HEAD_BYTES
  const places = Float64Array.from({ length: count }, (_, i) => placeOf(i))
  const order = Uint32Array.from(places.keys()).sort((a, b) => (places[a] ?? 0) - (places[b] ?? 0))
  const sections = Array.from(order, (entry, i) => {
    const digest = index.subarray(entryAt(entry), entryAt(entry) + DIGEST_BYTES)
    const at = places[entry] ?? 0
    return { digest, at, length: (places[order[i + 1] ?? -1] ?? indexAt) - at }
  })
  return sections.every(({ length }) => length > 0) ? sections : undefined
}

/** The block of the section that begins `bytes`; undefined if there is no whole section. */
export function readSection(bytes: Uint8Array): Block | undefined {
  const frame = new SectionFrame()
  try {
    frame.parse(bytes, 0, 0, bytes.length)
  } catch {
    return undefined
  }
  return {
    cid: bytes.subarray(frame.cidAt, frame.blockAt),
    bytes: bytes.subarray(frame.blockAt, frame.end),
  }
}

export interface CommitObject {
  readonly commit: Uint8Array
  readonly cid: CidBytes
  /** Without the commit itself, and without those that are damaged. */
  readonly blocks: readonly Block[]
  readonly sections: readonly Section[]
}

export function encodeCommitObject(
  commit: Uint8Array,
  blocks: readonly Block[],
): { readonly bytes: Uint8Array; readonly cid: CidBytes } {
  const cid = rawCidOf(commit)
  return { bytes: encodePack([{ cid, bytes: commit }, ...blocks], [cid]).bytes, cid }
}

/** A commit that does not match its CID is damage; of a block that does not, only its place is told. */
export function decodeCommitObject(bytes: Uint8Array, key: string): CommitObject {
  const { packed } = readPack(bytes, key)
  const [first, ...rest] = packed
  if (first === undefined || !isWhole(first)) throw damaged(key, 'it holds no commit')
  return {
    commit: first.block.bytes,
    cid: first.block.cid,
    blocks: rest.filter(isWhole).map(({ block }) => block),
    sections: rest.map(({ section }) => section),
  }
}

interface Packed {
  readonly block: Block
  readonly section: Section
}

export const isWhole = ({ block }: Packed): boolean => cidMatches(block.cid, block.bytes)

/** The blocks of a whole pack, unproved, as far as they parse, identity CIDs left out; `end`: all of them do. */
export function readPack(bytes: Uint8Array, key: string): { packed: Packed[]; end: boolean } {
  const packed: Packed[] = []
  const frame = new SectionFrame()
  try {
    const { from, limit } = dataOf(bytes, key)
    for (let at = from; at < limit; at = frame.end) {
      frame.parse(bytes, at, at, limit)
      const cid = bytes.subarray(frame.cidAt, frame.blockAt)
      const { hash, digest } = cidParts(cid)
      // None of ours; of so small ones an object could hold more than memory does.
      if (hash === 'identity') continue
      const block = { cid, bytes: bytes.subarray(frame.blockAt, frame.end) }
      packed.push({ block, section: { digest, at, length: frame.end - at } })
    }
  } catch (error) {
    if (isCairnError(error)) return { packed, end: false }
    throw error
  }
  return { packed, end: true }
}

/** Where the sections are. */
function dataOf(bytes: Uint8Array, key: string): { from: number; limit: number } {
  if (bytes.length < V2_HEAD_BYTES) throw damaged(key, 'it is cut off')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const size = Number(view.getBigUint64(V2_HEAD_BYTES - 16, true))
  const limit = V2_HEAD_BYTES + size
  if (limit > bytes.length || !startsWith(bytes, v2Head(size)))
    throw damaged(key, 'its head is wrong')
  const data = bytes.subarray(V2_HEAD_BYTES, limit)
  return { from: V2_HEAD_BYTES + headerBytes(data, V2_HEAD_BYTES, data.length), limit }
}

function startsWith(bytes: Uint8Array, start: Uint8Array): boolean {
  return Buffer.compare(bytes.subarray(0, start.length), start) === 0
}

export function damaged(key: string, why: string): CairnError {
  return new CairnError('pointer_damaged', `The object ${key} of the bucket is damaged: ${why}.`, {
    hint: 'If the bucket keeps versions, bring an older one back; else restore from a backup.',
    key,
  })
}
