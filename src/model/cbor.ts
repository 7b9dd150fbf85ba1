/**
 * The few pieces of DAG-CBOR that the hot records (entries, leaves, branches) are made of, without
 * objects in between. Everything else uses `@ipld/dag-cbor`; property tests hold this file to the
 * very bytes of that library.
 */
import { isUtf8 } from 'node:buffer'
import { CairnError } from '../errors.ts'

export const NULL_BYTE = 0xf6
const UINT = 0x00
const BYTES = 0x40
const TEXT = 0x60
const ARRAY = 0x80
const TAG_42_HIGH = 0xd8
const TAG_42_LOW = 0x2a
const IDENTITY_PREFIX = 0x00

const TWO_32 = 0x1_0000_0000

/** Writes the head of a major type in its shortest form; returns the offset behind it. */
function writeHead(to: Uint8Array, at: number, major: number, value: number): number {
  if (value < 24) {
    to[at] = major | value
    return at + 1
  }
  if (value < 0x100) {
    to[at] = major | 24
    to[at + 1] = value
    return at + 2
  }
  if (value < 0x1_0000) {
    to[at] = major | 25
    to[at + 1] = value >>> 8
    to[at + 2] = value
    return at + 3
  }
  if (value < TWO_32) {
    to[at] = major | 26
    writeUint32(to, at + 1, value)
    return at + 5
  }
  to[at] = major | 27
  writeUint32(to, at + 1, Math.floor(value / TWO_32))
  writeUint32(to, at + 5, value % TWO_32)
  return at + 9
}

function writeUint32(to: Uint8Array, at: number, value: number): void {
  to[at] = value >>> 24
  to[at + 1] = value >>> 16
  to[at + 2] = value >>> 8
  to[at + 3] = value
}

export const writeUint = (to: Uint8Array, at: number, value: number): number =>
  writeHead(to, at, UINT, value)

export const writeArrayHead = (to: Uint8Array, at: number, length: number): number =>
  writeHead(to, at, ARRAY, length)

/** Writes `key` (a string of one char per UTF-8 byte, see entity-id.ts) as a text. */
export function writeKey(to: Uint8Array, at: number, key: string): number {
  let next = writeHead(to, at, TEXT, key.length)
  for (let i = 0; i < key.length; i++) to[next++] = key.charCodeAt(i)
  return next
}

export function writeBytes(to: Uint8Array, at: number, bytes: Uint8Array): number {
  const next = writeHead(to, at, BYTES, bytes.length)
  copyShort(to, next, bytes)
  return next + bytes.length
}

export function writeLink(to: Uint8Array, at: number, cid: Uint8Array): number {
  to[at] = TAG_42_HIGH
  to[at + 1] = TAG_42_LOW
  const next = writeHead(to, at + 2, BYTES, cid.length + 1)
  to[next] = IDENTITY_PREFIX
  copyShort(to, next + 1, cid)
  return next + 1 + cid.length
}

/** A loop beats `set` for the few dozen bytes of a CID. */
function copyShort(to: Uint8Array, at: number, from: Uint8Array): void {
  for (let i = 0; i < from.length; i++) to[at + i] = from[i] ?? 0
}

/** A big-endian number of 1, 2, 4 or 8 bytes. */
function readUint(bytes: Uint8Array, at: number, size: number): number {
  if (size === 8) return readUint(bytes, at, 4) * TWO_32 + readUint(bytes, at + 4, 4)
  const first = bytes[at] ?? 0
  if (size === 1) return first
  const two = (first << 8) | (bytes[at + 1] ?? 0)
  if (size === 2) return two
  return ((two << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)) >>> 0
}

/**
 * Reads fixed shapes out of a block and refuses whatever is not the canonical form of what is asked
 * for. Offsets of what was read last stand in `start` and `end`.
 */
export class Scanner {
  readonly bytes: Uint8Array
  at: number
  start = 0
  end = 0
  readonly #what: string

  constructor(bytes: Uint8Array, at: number, what: string) {
    this.bytes = bytes
    this.at = at
    this.#what = what
  }

  fail(problem: string): never {
    throw new CairnError(
      'invalid_block',
      `A ${this.#what} is malformed at byte ${this.at}: ${problem}.`,
      {
        hint: 'The block was not written by Cairn, or by a version with another format.',
        offset: this.at,
      },
    )
  }

  #head(major: number, what: string): number {
    const first = this.bytes[this.at]
    if (first === undefined) return this.fail('it is cut short')
    const info = first - major
    if (info >= 0 && info < 24) {
      this.at += 1
      return info
    }
    return this.#longHead(info, what)
  }

  #longHead(info: number, what: string): number {
    const { bytes, at } = this
    if (info < 24 || info > 27) return this.fail(`${what} expected`)
    const size = 1 << (info - 24)
    if (at + 1 + size > bytes.length) return this.fail('it is cut short')
    const value = readUint(bytes, at + 1, size)
    const least = size === 1 ? 24 : size === 2 ? 0x100 : size === 4 ? 0x1_0000 : TWO_32
    if (value < least) return this.fail('a number is not in its shortest form')
    if (value > Number.MAX_SAFE_INTEGER) return this.fail('a number is too large')
    this.at = at + 1 + size
    return value
  }

  uint(): number {
    return this.#head(UINT, 'a whole number')
  }

  uintOrNull(): number | null {
    if (this.bytes[this.at] === NULL_BYTE) {
      this.at += 1
      return null
    }
    return this.uint()
  }

  arrayHead(): number {
    return this.#head(ARRAY, 'a list')
  }

  #span(length: number): void {
    this.start = this.at
    this.end = this.at + length
    if (this.end > this.bytes.length) this.fail('it is cut short')
    this.at = this.end
  }

  /** A text of valid UTF-8. */
  text(): void {
    this.#span(this.#head(TEXT, 'a text'))
    let high = 0
    for (let i = this.start; i < this.end; i++) high |= this.bytes[i] ?? 0
    if (high >= 0x80 && !isUtf8(this.bytes.subarray(this.start, this.end))) {
      this.fail('a text is not UTF-8')
    }
  }

  byteString(): void {
    this.#span(this.#head(BYTES, 'bytes'))
  }

  link(): void {
    if (this.bytes[this.at] !== TAG_42_HIGH || this.bytes[this.at + 1] !== TAG_42_LOW) {
      this.fail('a link expected')
    }
    this.at += 2
    this.byteString()
    if (this.bytes[this.start] !== IDENTITY_PREFIX || this.start === this.end) {
      this.fail('a link has no CID')
    }
    this.start += 1
  }

  /** What was read last, as bytes of their own, so that they do not keep the block in memory. */
  copySpan(): Uint8Array {
    const copy = new Uint8Array(this.end - this.start)
    for (let i = 0; i < copy.length; i++) copy[i] = this.bytes[this.start + i] ?? 0
    return copy
  }

  expect(prefix: Uint8Array): void {
    for (let i = 0; i < prefix.length; i++) {
      if (this.bytes[this.at + i] !== prefix[i]) this.fail('its head is not the expected one')
    }
    this.at += prefix.length
  }

  finish(): void {
    if (this.at !== this.bytes.length) this.fail('something follows its end')
  }
}
