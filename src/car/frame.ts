/**
 * How a CAR is laid out, and taking it apart: pure functions over bytes. Strict, since a lenient reader
 * would find blocks in a file where another one finds none: lengths in their shortest form, the header
 * in canonical DAG-CBOR, no section without a CID, nothing beyond the end. Whatever else is an
 * `invalid_car` whose `offset` is the place in the file where the bad header or section begins.
 *
 * A section's bytes are not hashed here.
 */
import { CairnError } from '../errors.ts'
import { Scanner } from '../model/cbor.ts'
import { cidParts, MAX_CID_BYTES, type CidBytes } from '../model/cid.ts'
import { varintBytes } from './encode.ts'

const MAX_HEADER_BYTES = 1 << 20
export const MAX_ROOTS = 10_000
export const MAX_BLOCK_BYTES: number = 8 << 20
const MAX_VARINT_BYTES = 8
/** So many bytes hold a section's length and CID whatever they are. */
export const SECTION_HEAD_BYTES: number = MAX_VARINT_BYTES + MAX_CID_BYTES

/** What a CARv2 begins with: the header of a CARv1 with the version 2. */
export const PRAGMA: Uint8Array = Buffer.from('0aa16776657273696f6e02', 'hex')
/** The pragma and the fixed header behind it. */
export const V2_HEAD_BYTES = 51
const CHARACTERISTICS_BYTES = 16

const DAMAGED = 'The file is damaged or was not finished; take another copy of it.'

export function invalidCar(
  sentence: string,
  offset: number,
  details: Readonly<Record<string, unknown>> = {},
): CairnError {
  return new CairnError('invalid_car', sentence, { hint: DAMAGED, offset, ...details })
}

/** The number of a varint that begins at `at` and ends before `end`; below 0 if it is none. */
function readVarint(bytes: Uint8Array, at: number, end: number): number {
  let value = 0
  let factor = 1
  for (let i = at; i < at + MAX_VARINT_BYTES; i++) {
    if (i >= end) return VARINT_CUT
    const byte = bytes[i] ?? 0
    value += (byte & 0x7f) * factor
    if (byte < 0x80) return byte === 0 && i > at ? VARINT_NOT_SHORTEST : value
    factor *= 0x80
  }
  return VARINT_LONG
}

const VARINT_CUT = -1
const VARINT_NOT_SHORTEST = -2
const VARINT_LONG = -3

function varintProblem(fault: number): string {
  if (fault === VARINT_CUT) return 'the file is cut short within its length'
  if (fault === VARINT_LONG) return `its length takes more than ${MAX_VARINT_BYTES} bytes`
  return 'its length is not in its shortest form'
}

/**
 * One section's frame, reused from section to section: where its CID and its block begin and where it
 * ends, as places in the bytes that were parsed.
 */
export class SectionFrame {
  cidAt = 0
  blockAt = 0
  end = 0

  /**
   * The section that begins at `at` in `bytes` and at `offset` in the file, whose sections end at
   * `limit`. `bytes` has SECTION_HEAD_BYTES from `at` on, or all up to the limit.
   */
  parse(bytes: Uint8Array, at: number, offset: number, limit: number): void {
    const present = Math.min(bytes.length, at + (limit - offset))
    const length = readVarint(bytes, at, present)
    if (length < 0) throw badSection(offset, varintProblem(length))
    if (length === 0) throw badSection(offset, 'its length is 0')
    if (length > MAX_BLOCK_BYTES + MAX_CID_BYTES) throw tooLong(offset, length)
    this.cidAt = at + varintBytes(length)
    this.end = this.cidAt + length
    if (this.end > at + (limit - offset)) {
      const left = limit - offset - (this.cidAt - at)
      throw badSection(
        offset,
        `the file is cut short: the section has ${length} bytes, ${left} are left`,
      )
    }
    this.blockAt = this.cidAt + cidBytesAt(bytes, this.cidAt, Math.min(this.end, present), offset)
    if (this.end - this.blockAt > MAX_BLOCK_BYTES) throw tooLong(offset, length)
  }
}

function badSection(offset: number, problem: string): CairnError {
  return invalidCar(`The CAR has a bad section at byte ${offset}: ${problem}.`, offset)
}

function tooLong(offset: number, length: number): CairnError {
  return badSection(offset, `it says to have ${length} bytes, a block has at most 8 MiB`)
}

/** How many bytes the CID at `at` takes; it must end before `end`. */
function cidBytesAt(bytes: Uint8Array, at: number, end: number, offset: number): number {
  const first = bytes[at]
  const second = bytes[at + 1] ?? 0x80
  let length = 0
  if (first === 0x12 && second === 0x20) length = 34
  else if (first === 1 && second < 0x80 && bytes[at + 2] === 0x12 && bytes[at + 3] === 0x20) {
    length = 36
  }
  if (length === 0 || at + length > end) length = oddCidBytes(bytes, at, end, offset)
  return length
}

function oddCidBytes(bytes: Uint8Array, at: number, end: number, offset: number): number {
  const most = bytes.subarray(at, Math.min(end, at + MAX_CID_BYTES))
  let next = 0
  let number = 0
  for (let field = 0; field < 4 && number >= 0; field++) {
    number = readVarint(most, next, most.length)
    if (number >= 0) next += varintBytes(number)
  }
  const length = number < 0 ? most.length : Math.min(most.length, next + number)
  try {
    cidParts(most.subarray(0, length))
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : ''
    throw badSection(offset, `it does not begin with a CID. ${why.replace(/\.$/, '')}`)
  }
  return length
}

const HEADER_BEGIN = Buffer.from('a265726f6f7473', 'hex')
const HEADER_VERSION = Buffer.from('6776657273696f6e01', 'hex')

/**
 * The length of a CARv1's header by the first bytes of the data, with its varint; `left` is what the
 * file has of the data.
 */
export function headerBytes(start: Uint8Array, offset: number, left: number): number {
  const length = readVarint(start, 0, Math.min(start.length, left))
  if (length <= 0) throw notACar(start, offset)
  const varint = varintBytes(length)
  const begin = start.subarray(varint, varint + HEADER_BEGIN.length)
  if (Buffer.compare(begin, HEADER_BEGIN.subarray(0, begin.length)) !== 0) {
    throw notACar(start, offset)
  }
  if (length > MAX_HEADER_BYTES) {
    throw badHeader(offset, `it says to have ${length} bytes, 1 MiB is the most`)
  }
  if (varint + length > left) throw badHeader(offset, 'the file is cut short within it')
  return varint + length
}

/** The roots that a CARv1's header names; `header` is all of it, with its varint. */
export function parseHeader(header: Uint8Array, offset: number): CidBytes[] {
  const from = varintBytes(readVarint(header, 0, header.length))
  const scanner = new Scanner(header, from, 'CAR header')
  try {
    scanner.expect(HEADER_BEGIN)
    const count = scanner.arrayHead()
    if (count > MAX_ROOTS) scanner.fail(`it has ${count} roots, at most ${MAX_ROOTS} are read`)
    const roots: CidBytes[] = []
    for (let i = 0; i < count; i++) {
      scanner.link()
      const root = scanner.copySpan()
      cidParts(root)
      roots.push(root)
    }
    scanner.expect(HEADER_VERSION)
    scanner.finish()
    return roots
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.replace(/\.$/, '') : 'it is malformed'
    throw badHeader(offset, why)
  }
}

function badHeader(offset: number, problem: string): CairnError {
  return invalidCar(`The header of the CAR at byte ${offset} is bad: ${problem}.`, offset)
}

/** What other files begin with, and what to do with one. */
const OTHER_FILES: readonly (readonly [string, string])[] = [
  ['\x1f\x8b', 'It looks like gzip; unpack it with `gunzip` first.'],
  ['\x28\xb5\x2f\xfd', 'It looks like zstd; unpack it with `zstd -d` first.'],
  ['age-encryption.org/', 'It is encrypted with age; decrypt it first.'],
  ['-----BEGIN AGE', 'It is encrypted with age; decrypt it first.'],
  ['{', 'It looks like JSON; a CAR is a binary file.'],
  ['[', 'It looks like JSON; a CAR is a binary file.'],
]

export function notACar(start: Uint8Array, offset: number): CairnError {
  if (start.length === 0) {
    return new CairnError('invalid_car', 'This is not a CAR: the file is empty.', {
      hint: 'Whatever wrote it did not finish; take another copy.',
      offset,
    })
  }
  const text = Buffer.from(start).toString('latin1')
  const other = OTHER_FILES.find(([prefix]) => text.startsWith(prefix))
  const hint = other?.[1] ?? 'Is it the right file? `ipfs dag export` and `cairn car` write CARs.'
  return new CairnError(
    'invalid_car',
    'This is not a CAR: it does not begin with the header of one.',
    {
      hint,
      offset,
    },
  )
}

/** Where the parts of a CAR are in its file. */
export interface CarLayout {
  readonly version: 1 | 2
  /** Where the CARv1 begins, and where it ends. */
  readonly from: number
  readonly limit: number
  readonly indexAt: number | undefined
}

/** The layout by the first V2_HEAD_BYTES (or all) of a file of `size` bytes. */
export function parseLayout(start: Uint8Array, size: number): CarLayout {
  if (Buffer.compare(start.subarray(0, PRAGMA.length), PRAGMA) !== 0) {
    return { version: 1, from: 0, limit: size, indexAt: undefined }
  }
  if (start.length < V2_HEAD_BYTES) throw badHeader(0, 'the file is cut short within it')
  const [from = 0, length = 0, indexAt = 0] = [0, 8, 16].map((at) => {
    const value = Buffer.from(start).readBigUInt64LE(PRAGMA.length + CHARACTERISTICS_BYTES + at)
    return value > BigInt(size) ? Infinity : Number(value)
  })
  const limit = from + length
  if (from < V2_HEAD_BYTES) throw badHeader(0, 'its data overlaps the header')
  if (limit > size) throw badHeader(0, 'the file is cut short: its data ends beyond the file')
  if (length === 0) throw badHeader(0, 'it has no data')
  if (indexAt === 0 && limit !== size) throw badHeader(0, 'something follows the end of its data')
  if (indexAt !== 0 && indexAt < limit) throw badHeader(0, 'its index overlaps its data')
  if (indexAt >= size) throw badHeader(0, 'the file is cut short: its index begins beyond the file')
  return { version: 2, from, limit, indexAt: indexAt === 0 ? undefined : indexAt }
}
