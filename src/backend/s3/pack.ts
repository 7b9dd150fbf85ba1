/**
 * A pack: blocks in one object, a CARv2 with its index behind them. Commits are packs, too, whose first
 * root is the commit itself; so any tool that reads CARs reads what lies in a bucket.
 */
import { decode, encode } from '@ipld/dag-cbor'
import { carHeader, sectionHead } from '../../car/encode.ts'
import { headerBytes, SectionFrame, V2_HEAD_BYTES } from '../../car/frame.ts'
import { indexHead, indexPlace, v2Head } from '../../car/index-v2.ts'
import { CairnError } from '../../errors.ts'
import {
  cborBlock,
  cidMatches,
  cidParts,
  DIGEST_BYTES,
  digestKey,
  rawCidOf,
} from '../../model/cid.ts'
import type { Block, CidBytes } from '../../model/cid.ts'

/** A pack is written when it has so many bytes of blocks. Places within it fit into 24 bits. */
export const PACK_BYTES: number = 8 << 20
const ENTRY_BYTES = DIGEST_BYTES + 8
const INDEX_HEAD_BYTES = indexHead(1).length

/** Where a block's section lies in an object, its head included. */
export interface Section {
  readonly digest: Uint8Array
  readonly at: number
  readonly length: number
}

export interface Pack {
  readonly bytes: Uint8Array
  readonly indexAt: number
  readonly sections: readonly Section[]
}

/** Each block once, identity CIDs not at all. */
export function encodePack(blocks: Iterable<Block>, roots: readonly CidBytes[] = []): Pack {
  const parts: Uint8Array[] = [carHeader(roots)]
  let at = V2_HEAD_BYTES + (parts[0]?.length ?? 0)
  const sections = new Map<string, Section>()
  for (const { cid, bytes } of blocks) {
    const { hash, digest } = cidParts(cid)
    const key = digestKey(digest)
    if (hash === 'identity' || sections.has(key)) continue
    const head = sectionHead(cid, bytes.length)
    const length = head.length + bytes.length
    parts.push(head, bytes)
    sections.set(key, { digest, at, length })
    at += length
  }
  const sorted = [...sections.values()].sort((a, b) => Buffer.compare(a.digest, b.digest))
  const index = sorted.flatMap(({ digest, at: place }) => [
    digest,
    indexPlace(place - V2_HEAD_BYTES),
  ])
  const head = v2Head(at - V2_HEAD_BYTES)
  return {
    bytes: Buffer.concat([head, ...parts, indexHead(sorted.length), ...index]),
    indexAt: at,
    sections: [...sections.values()],
  }
}

/** The sections that an index tells of; how long each is follows from where the next one begins. */
export function readIndex(index: Uint8Array, indexAt: number, key: string): Section[] {
  const count = (index.length - INDEX_HEAD_BYTES) / ENTRY_BYTES
  if (Buffer.compare(index, indexHead(0)) === 0) return []
  if (!Number.isSafeInteger(count) || count < 1 || !startsWith(index, indexHead(count))) {
    throw damaged(key, 'its index does not parse')
  }
  const view = new DataView(index.buffer, index.byteOffset, index.length)
  const found = Array.from({ length: count }, (_, i) => {
    const from = INDEX_HEAD_BYTES + i * ENTRY_BYTES
    const at = Number(view.getBigUint64(from + DIGEST_BYTES, true)) + V2_HEAD_BYTES
    return { digest: index.subarray(from, from + DIGEST_BYTES), at }
  }).sort((a, b) => a.at - b.at)
  return found.map(({ digest, at }, i) => {
    const length = (found[i + 1]?.at ?? indexAt) - at
    if (at < V2_HEAD_BYTES || length <= 0) throw damaged(key, 'its index points outside')
    return { digest, at, length }
  })
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

/** What comes with a commit for those who look for its blocks. */
export interface CommitNote {
  /** The blocks of commits up to this number are in packs; -1: of none. */
  readonly folded: number
}

export interface CommitObject extends CommitNote {
  readonly commit: Uint8Array
  readonly cid: CidBytes
  /** Without the commit itself. */
  readonly blocks: readonly Block[]
  readonly sections: readonly Section[]
}

export function encodeCommitObject(
  commit: Uint8Array,
  note: CommitNote,
  blocks: readonly Block[],
): { readonly bytes: Uint8Array; readonly cid: CidBytes } {
  const cid = rawCidOf(commit)
  const noted = cborBlock(encode({ folded: note.folded }))
  const pack = encodePack([{ cid, bytes: commit }, noted, ...blocks], [cid, noted.cid])
  return { bytes: pack.bytes, cid }
}

/** Everything in it is hashed: what does not match its CID is damage. */
export function decodeCommitObject(bytes: Uint8Array, key: string): CommitObject {
  const all = readPack(bytes, key)
  const [first, second] = all
  const note: unknown = second && tryDecode(second.block.bytes)
  const folded =
    typeof note === 'object' && note !== null && 'folded' in note ? note.folded : undefined
  if (first === undefined || typeof folded !== 'number') throw damaged(key, 'it holds no commit')
  const rest = all.slice(2)
  return {
    commit: first.block.bytes,
    cid: first.block.cid,
    folded,
    blocks: rest.map(({ block }) => block),
    sections: rest.map(({ section }) => section),
  }
}

/** All blocks of a whole pack, hashed. */
export function readPack(bytes: Uint8Array, key: string): { block: Block; section: Section }[] {
  const { from, limit } = dataOf(bytes, key)
  const frame = new SectionFrame()
  const found: { block: Block; section: Section }[] = []
  for (let at = from; at < limit; at = frame.end) {
    frame.parse(bytes, at, at, limit)
    const cid = bytes.subarray(frame.cidAt, frame.blockAt)
    const block = { cid, bytes: bytes.subarray(frame.blockAt, frame.end) }
    if (!cidMatches(cid, block.bytes)) throw damaged(key, 'a block does not match its CID')
    found.push({ block, section: { digest: cidParts(cid).digest, at, length: frame.end - at } })
  }
  return found
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

function tryDecode(bytes: Uint8Array): unknown {
  try {
    return decode(bytes)
  } catch {
    return undefined
  }
}

export function damaged(key: string, why: string): CairnError {
  return new CairnError('pointer_damaged', `The object ${key} of the bucket is damaged: ${why}.`, {
    hint: 'If the bucket keeps versions, bring an older one back; else restore from a backup.',
    key,
  })
}
