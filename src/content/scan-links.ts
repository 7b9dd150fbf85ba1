/**
 * The Links of a DAG-CBOR block without decoding it: content is walked by the hundred thousand blocks,
 * and a decoder makes objects of all of it. What this does not know for sure it leaves to the decoder
 * (undefined); property tests hold its answers to the decoder's.
 */
import type { CidBytes } from '../model/cid.ts'

const MAX_NESTING = 64
const TAG_42 = 0xd82a
const TEXT = 3
/** What nearly all Links hold: a 0 and a CID of 36 bytes. */
const LINK_BYTES = 37

/** The Links in the order of the encoding; undefined when the decoder has to judge. */
export function scanLinks(bytes: Uint8Array): CidBytes[] | undefined {
  const links: CidBytes[] = []
  const end = scanItem(bytes, 0, 0, links)
  return end === bytes.length ? links : undefined
}

/** The offset behind the item at `at`; -1 when the decoder has to judge. */
function scanItem(bytes: Uint8Array, at: number, depth: number, links: CidBytes[]): number {
  const head = bytes[at]
  if (head === undefined || depth > MAX_NESTING) return -1
  const major = head >> 5
  const info = head & 0x1f
  if (major === 7) return scanSimple(bytes, at, info)
  if (major === 6) return scanLink(bytes, at, links)
  if (info > 27) return -1
  const size = info < 24 ? 0 : 1 << (info - 24)
  // Counts and lengths of eight bytes are none of a block; whole numbers may have them.
  if (size === 8 && major > 1) return -1
  const next = at + 1 + size
  if (next > bytes.length) return -1
  if (size > 0 && !isShortest(bytes, at + 1, size)) return -1
  if (major < 2) return next
  const value = size === 0 ? info : readUint(bytes, at + 1, size)
  if (major < 4) return next + value <= bytes.length ? next + value : -1
  if (major === 4) return scanItems(bytes, next, value, depth, links)
  return scanEntries(bytes, next, value, depth, links)
}

function scanItems(
  bytes: Uint8Array,
  from: number,
  count: number,
  depth: number,
  links: CidBytes[],
): number {
  let at = from
  for (let i = 0; i < count; i++) {
    at = scanItem(bytes, at, depth + 1, links)
    if (at < 0) return -1
  }
  return at
}

/** The entries of a map; its keys are texts, shorter ones first, then by their bytes, none twice. */
function scanEntries(
  bytes: Uint8Array,
  from: number,
  count: number,
  depth: number,
  links: CidBytes[],
): number {
  let at = from
  let before = -1
  for (let i = 0; i < count; i++) {
    if ((bytes[at] ?? 0) >> 5 !== TEXT) return -1
    const end = scanItem(bytes, at, depth + 1, links)
    // The head holds the length, so encoded keys compare as their order asks for.
    if (end < 0 || (before >= 0 && !ascends(bytes, before, at, end))) return -1
    before = at
    at = scanItem(bytes, end, depth + 1, links)
    if (at < 0) return -1
  }
  return at
}

/** Whether the encoded text at `a` comes before the one from `b` to `end`. */
function ascends(bytes: Uint8Array, a: number, b: number, end: number): boolean {
  for (let i = 0; b + i < end; i++) {
    const difference = (bytes[b + i] ?? 0) - (bytes[a + i] ?? 0)
    if (difference !== 0) return difference > 0
  }
  return false
}

/** false, true, null, and fractions of 64 bits that are numbers. */
function scanSimple(bytes: Uint8Array, at: number, info: number): number {
  if (info >= 20 && info <= 22) return at + 1
  if (info !== 27 || at + 9 > bytes.length) return -1
  const exponent = (((bytes[at + 1] ?? 0) & 0x7f) << 8) | ((bytes[at + 2] ?? 0) & 0xf0)
  return exponent === 0x7ff0 ? -1 : at + 9
}

/** Tag 42 with the byte 0 and a CIDv1 of sha2-256 under a codec of one byte; others the decoder judges. */
function scanLink(bytes: Uint8Array, at: number, links: CidBytes[]): number {
  const from = at + 5
  const usual =
    (((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)) === TAG_42 &&
    bytes[at + 2] === 0x58 &&
    bytes[at + 3] === LINK_BYTES &&
    bytes[at + 4] === 0 &&
    bytes[from] === 1 &&
    (bytes[from + 1] ?? 0xff) < 0x80 &&
    bytes[from + 2] === 0x12 &&
    bytes[from + 3] === 32
  const end = at + 4 + LINK_BYTES
  if (!usual || end > bytes.length) return -1
  links.push(bytes.slice(from, end))
  return end
}

function isShortest(bytes: Uint8Array, at: number, size: number): boolean {
  if (size === 1) return (bytes[at] ?? 0) >= 24
  for (let i = 0; i < size / 2; i++) if (bytes[at + i] !== 0) return true
  return false
}

function readUint(bytes: Uint8Array, at: number, size: number): number {
  let value = 0
  for (let i = 0; i < size; i++) value = value * 256 + (bytes[at + i] ?? 0)
  return value
}
