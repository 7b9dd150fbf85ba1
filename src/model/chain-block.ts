/**
 * Chain block: entries that one commit accepted, in the order of their positions. FORMAT.md, "Chain
 * block". Written and read as a fixed shape:
 *
 *   { ts, back: [bytes, ...], prev: bytes | null, first, schema, dataset, entries: [entry, ...], ordinal }
 *
 * `prev` and `back` are weak: CIDs held as bytes, so that nothing that follows links follows history.
 * `prev` names the block with the ordinal before; `back`, in blocks whose ordinal divides by 256, the
 * blocks before it, oldest first, as far back as the writer's chain went: a hint for walking faster.
 */
import { isCairnError } from '../errors.ts'
import { NULL_BYTE, Scanner, writeArrayHead, writeBytes, writeKey, writeUint } from './cbor.ts'
import { CID_BYTES, isEngineCid, type CidBytes } from './cid.ts'
import {
  readEntry,
  scanEntry,
  writeEntry,
  ENTRY_OVERHEAD,
  type ContentMode,
  type Entry,
  type ScannedEntry,
} from './entry.ts'
import { keyOf } from './entity-id.ts'
import { decodeFixed } from './ipld.ts'
import { MAX_BLOCK_BYTES } from './node.ts'
import { asBuffer } from './run.ts'
import { CHAIN_SCHEMA } from './schema.ts'

export const BACK_EVERY = 256
const HEAD_ROOM = 512
const CID_ROOM = CID_BYTES + 2

export interface ChainBlock {
  /** The dataset's identity. */
  readonly dataset: string
  readonly ordinal: number
  /** The position of the first entry. */
  readonly first: number
  readonly prev: CidBytes | null
  readonly back: readonly CidBytes[]
  readonly ts: number
  readonly entries: readonly Entry[]
}

export function encodeChainBlock(block: ChainBlock, content: ContentMode): Buffer {
  const keys = block.entries.map((entry) => keyOf(entry.pi))
  const dataset = keyOf(block.dataset)
  let room = HEAD_ROOM + dataset.length + block.back.length * CID_ROOM
  for (const key of keys) room += ENTRY_OVERHEAD + key.length
  const to = Buffer.allocUnsafe(room)
  let at = 0
  to[at++] = 0xa8
  at = writeUint(to, writeKey(to, at, 'ts'), block.ts)
  at = writeArrayHead(to, writeKey(to, at, 'back'), block.back.length)
  for (const cid of block.back) at = writeBytes(to, at, cid)
  at = writeKey(to, at, 'prev')
  if (block.prev === null) to[at++] = NULL_BYTE
  else at = writeBytes(to, at, block.prev)
  at = writeUint(to, writeKey(to, at, 'first'), block.first)
  at = writeKey(to, writeKey(to, at, 'schema'), CHAIN_SCHEMA)
  at = writeKey(to, writeKey(to, at, 'dataset'), dataset)
  at = writeArrayHead(to, writeKey(to, at, 'entries'), block.entries.length)
  for (const [i, entry] of block.entries.entries()) at = writeEntry(to, at, entry, content, keys[i])
  at = writeUint(to, writeKey(to, at, 'ordinal'), block.ordinal)
  return to.subarray(0, at)
}

/** How many of `entries`, from `from` on, fit one block beside a full `back` list. */
export function entriesThatFit(entries: readonly Entry[], from: number): number {
  let bytes = HEAD_ROOM * 2 + BACK_EVERY * CID_ROOM
  let count = 0
  for (let i = from; i < entries.length; i++) {
    const entry = entries[i]
    if (entry === undefined) break
    bytes += ENTRY_OVERHEAD + keyOf(entry.pi).length
    if (bytes > MAX_BLOCK_BYTES) break
    count += 1
  }
  return count
}

export function decodeChainBlock(block: Uint8Array): ChainBlock {
  return decodeFixed(block, CHAIN_SCHEMA, () => scanChainBlock(asBuffer(block)))
}

/** Undefined for a block of another kind, or none at all. */
export function chainBlockOf(bytes: Uint8Array): ChainBlock | undefined {
  try {
    return decodeChainBlock(bytes)
  } catch (error) {
    if (isCairnError(error)) return undefined
    throw error
  }
}

function scanChainBlock(bytes: Buffer): ChainBlock {
  const scanner = new Scanner(bytes, 0, 'chain block')
  scanner.expect(Uint8Array.of(0xa8))
  expectKey(scanner, bytes, 'ts')
  const ts = scanner.uint()
  expectKey(scanner, bytes, 'back')
  const back = Array.from({ length: boundedCount(scanner, BACK_EVERY) }, () => weakCid(scanner))
  expectKey(scanner, bytes, 'prev')
  const prev = bytes[scanner.at] === NULL_BYTE ? nothing(scanner) : weakCid(scanner)
  expectKey(scanner, bytes, 'first')
  const first = scanner.uint()
  expectKey(scanner, bytes, 'schema')
  if (text(scanner, bytes) !== CHAIN_SCHEMA) scanner.fail('it has another schema tag')
  expectKey(scanner, bytes, 'dataset')
  const dataset = text(scanner, bytes)
  expectKey(scanner, bytes, 'entries')
  const entries = scanEntries(scanner, bytes)
  expectKey(scanner, bytes, 'ordinal')
  const ordinal = scanner.uint()
  scanner.finish()
  return { dataset, ordinal, first, prev, back, ts, entries }
}

function scanEntries(scanner: Scanner, bytes: Buffer): Entry[] {
  const scanned: ScannedEntry = { keyStart: 0, keyEnd: 0, live: false, exp: null }
  const count = boundedCount(scanner, MAX_BLOCK_BYTES)
  if (count === 0) scanner.fail('it has no entries')
  const entries: Entry[] = []
  for (let i = 0; i < count; i++) {
    const start = scanner.at
    scanEntry(scanner, scanned)
    entries.push(readEntry(bytes, start))
  }
  return entries
}

function boundedCount(scanner: Scanner, limit: number): number {
  const count = scanner.arrayHead()
  return count > limit ? scanner.fail('a list is longer than it may be') : count
}

function text(scanner: Scanner, bytes: Buffer): string {
  scanner.text()
  return bytes.toString('utf8', scanner.start, scanner.end)
}

function expectKey(scanner: Scanner, bytes: Buffer, key: string): void {
  if (text(scanner, bytes) !== key) scanner.fail(`the field "${key}" expected`)
}

function weakCid(scanner: Scanner): CidBytes {
  scanner.byteString()
  const cid = scanner.copySpan()
  return isEngineCid(cid) ? cid : scanner.fail('a CID expected')
}

function nothing(scanner: Scanner): null {
  scanner.at += 1
  return null
}
