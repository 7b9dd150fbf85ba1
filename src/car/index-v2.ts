/**
 * The header of a CARv2 and its index, a MultihashIndexSorted (multicodec 0x0401): for each hash
 * function and width of digest the digests in order, each with the place of its section in the CARv1.
 *
 *   codec | count of functions | per function: its code | count of widths
 *         | per width: bytes of an entry | bytes of all entries | entries: digest, place
 *
 * Numbers are little-endian, the codec is a varint. Ours has sha2-256 only; identity CIDs need no index.
 */
import { DIGEST_BYTES } from '../model/cid.ts'
import { varint } from './encode.ts'
import { PRAGMA, V2_HEAD_BYTES, type CarLayout } from './frame.ts'
import { readExactly, type OpenedFile } from './window.ts'

const INDEX_CODEC = varint(0x0401)
const SHA2_256 = 0x12n
const INDEX_ENTRY_BYTES = DIGEST_BYTES + 8
/** No index has so many hash functions or widths unless it is hostile. */
const MAX_BUCKETS = 64

/** The pragma and header before a CARv1 of `dataBytes` bytes with an index right behind it. */
export function v2Head(dataBytes: number): Uint8Array {
  const head = Buffer.alloc(V2_HEAD_BYTES)
  head.set(PRAGMA)
  head.writeBigUInt64LE(BigInt(V2_HEAD_BYTES), V2_HEAD_BYTES - 24)
  head.writeBigUInt64LE(BigInt(dataBytes), V2_HEAD_BYTES - 16)
  head.writeBigUInt64LE(BigInt(V2_HEAD_BYTES + dataBytes), V2_HEAD_BYTES - 8)
  return head
}

/** What stands before the entries of an index of `count` sha2-256 digests. */
export function indexHead(count: number): Uint8Array {
  const functions = Buffer.alloc(4)
  if (count === 0) return Buffer.concat([INDEX_CODEC, functions])
  functions.writeInt32LE(1)
  const bucket = Buffer.alloc(24)
  bucket.writeBigUInt64LE(SHA2_256, 0)
  bucket.writeInt32LE(1, 8)
  bucket.writeUInt32LE(INDEX_ENTRY_BYTES, 12)
  bucket.writeBigUInt64LE(BigInt(count * INDEX_ENTRY_BYTES), 16)
  return Buffer.concat([INDEX_CODEC, functions, bucket])
}

/** An entry's second half: where the section begins in the CARv1. */
export function indexPlace(place: number): Buffer {
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeBigUInt64LE(BigInt(place))
  return bytes
}

export interface SortedIndex {
  /** The place in the file that the index has for a sha2-256 digest, within the data. Not checked further. */
  find(digest: Uint8Array): number | undefined
}

/** The index of a CAR, if it has one of this kind that can be used. */
export function openSortedIndex(file: OpenedFile, layout: CarLayout): SortedIndex | undefined {
  if (layout.indexAt === undefined) return undefined
  const entries = findEntries(new IndexReader(file, layout.indexAt))
  if (entries === undefined) return undefined
  return {
    find(digest) {
      const place = search(file, entries, digest)
      if (place === undefined || place >= layout.limit - layout.from) return undefined
      return layout.from + place
    },
  }
}

interface Entries {
  readonly from: number
  readonly count: number
}

/** Reads the heads of an index; a number is Infinity where the file has ended. */
class IndexReader {
  at: number
  readonly #file: OpenedFile

  constructor(file: OpenedFile, at: number) {
    this.#file = file
    this.at = at
  }

  get left(): number {
    return this.#file.size - this.at
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.alloc(Math.min(length, this.left))
    readExactly(this.#file, bytes, this.at)
    this.at += bytes.length
    return bytes
  }

  uint(length: 4 | 8): number {
    const bytes = this.bytes(length)
    if (bytes.length < length) return Infinity
    return length === 4 ? bytes.readUInt32LE() : Number(bytes.readBigUInt64LE())
  }
}

/** The multicodec that the index of a CAR begins with, a varint; 0 for what is none. */
export function indexCodecOf(file: OpenedFile, { indexAt }: CarLayout): number | undefined {
  if (indexAt === undefined) return undefined
  const start = new IndexReader(file, indexAt).bytes(INDEX_CODEC.length)
  return start.length < INDEX_CODEC.length ? 0 : ((start[0] ?? 0) & 0x7f) + (start[1] ?? 0) * 0x80
}

/** Where the entries of 32-byte sha2-256 digests are; undefined if there are none, or they lie beyond the file. */
function findEntries(reader: IndexReader): Entries | undefined {
  if (!reader.bytes(INDEX_CODEC.length).equals(INDEX_CODEC)) return undefined
  const functions = reader.uint(4)
  if (functions > MAX_BUCKETS) return undefined
  for (let i = 0; i < functions; i++) {
    const code = reader.uint(8)
    const widths = reader.uint(4)
    if (widths > MAX_BUCKETS) return undefined
    for (let j = 0; j < widths; j++) {
      const width = reader.uint(4)
      const length = reader.uint(8)
      if (length > reader.left) return undefined
      if (code === Number(SHA2_256) && width === INDEX_ENTRY_BYTES) {
        return { from: reader.at, count: Math.floor(length / INDEX_ENTRY_BYTES) }
      }
      reader.at += length
    }
  }
  return undefined
}

/** A binary search in the file. */
function search(file: OpenedFile, entries: Entries, digest: Uint8Array): number | undefined {
  const entry = Buffer.alloc(INDEX_ENTRY_BYTES)
  let low = 0
  let high = entries.count
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    readExactly(file, entry, entries.from + middle * INDEX_ENTRY_BYTES)
    const order = Buffer.compare(entry.subarray(0, DIGEST_BYTES), digest)
    if (order === 0) return Number(entry.readBigUInt64LE(DIGEST_BYTES))
    if (order < 0) low = middle + 1
    else high = middle
  }
  return undefined
}
