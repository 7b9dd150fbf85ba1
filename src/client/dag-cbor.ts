/**
 * DAG-CBOR as the values of DAG-JSON: a link is `{"/": CID}`, bytes are `{"/": {"bytes": BASE64}}`, and an
 * integer beyond 2^53 a BigInt. The bytes were proved before they come here; what is none throws.
 */
import { printCid } from './cid.ts'
import { CairnClientError } from './error.ts'

const MAX_DEPTH = 1000
const LINK = 42

export function decodeDagCbor(bytes: Uint8Array): unknown {
  const input = { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length), at: 0 }
  try {
    const value = read(input, 0)
    if (input.at === bytes.length) return value
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof TypeError)) throw error
  }
  throw malformed()
}

interface Input {
  readonly bytes: Uint8Array
  readonly view: DataView
  at: number
}

function read(input: Input, depth: number): unknown {
  if (depth > MAX_DEPTH) throw malformed()
  const first = input.view.getUint8(input.at++)
  const [major, info] = [first >> 5, first & 31]
  if (major === 7) return readSimple(input, info)
  const count = readCount(input, info)
  if (major === 0) return count
  if (major === 1) return typeof count === 'bigint' ? -1n - count : negative(count)
  const length = Number(count)
  switch (major) {
    case 2:
      return { '/': { bytes: base64(take(input, length)) } }
    case 3:
      return textOf(take(input, length))
    case 4:
      return readList(input, length, depth)
    case 5:
      return readMap(input, length, depth)
    default:
      return readLink(input, length)
  }
}

function negative(count: number): number | bigint {
  const value = -1 - count
  return Number.isSafeInteger(value) ? value : -1n - BigInt(count)
}

function readCount(input: Input, info: number): number | bigint {
  const { view, at } = input
  if (info < 24) return info
  input.at += 1 << (info - 24)
  switch (info) {
    case 24:
      return view.getUint8(at)
    case 25:
      return view.getUint16(at)
    case 26:
      return view.getUint32(at)
    case 27: {
      const value = view.getBigUint64(at)
      return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value
    }
    default:
      throw malformed()
  }
}

function readSimple(input: Input, info: number): unknown {
  switch (info) {
    case 20:
      return false
    case 21:
      return true
    case 22:
      return null
    case 27:
      input.at += 8
      return input.view.getFloat64(input.at - 8)
    default:
      throw malformed()
  }
}

/** Never more than there is. */
function take(input: Input, length: number): Uint8Array {
  const end = input.at + length
  if (end > input.bytes.length) throw malformed()
  const part = input.bytes.subarray(input.at, end)
  input.at = end
  return part
}

function readList(input: Input, length: number, depth: number): unknown[] {
  const items: unknown[] = []
  for (let i = 0; i < length; i++) items.push(read(input, depth + 1))
  return items
}

function readMap(input: Input, length: number, depth: number): Record<string, unknown> {
  const map: Record<string, unknown> = {}
  for (let i = 0; i < length; i++) {
    const key = read(input, depth + 1)
    if (typeof key !== 'string') throw malformed()
    const value = read(input, depth + 1)
    // An assignment would take `__proto__` for something else than a key.
    Object.defineProperty(map, key, OWN(value))
  }
  return map
}

const OWN = (value: unknown): PropertyDescriptor => ({
  value,
  enumerable: true,
  configurable: true,
  writable: true,
})

/** Its bytes begin with a zero. */
function readLink(input: Input, tag: number): unknown {
  const first = input.view.getUint8(input.at++)
  if (tag !== LINK || first >> 5 !== 2) throw malformed()
  const bytes = take(input, Number(readCount(input, first & 31)))
  if (bytes[0] !== 0) throw malformed()
  return { '/': printCid(bytes.subarray(1)) }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const textOf = (bytes: Uint8Array): string => utf8.decode(bytes)

/** As DAG-JSON has it: without padding. */
export function base64(bytes: Uint8Array, padded = false): string {
  const PART = 0x6000
  let text = ''
  for (let i = 0; i < bytes.length; i += PART)
    text += btoa(String.fromCharCode(...bytes.subarray(i, i + PART)))
  return padded ? text : text.replace(/=+$/, '')
}

function malformed(): CairnClientError {
  return new CairnClientError('The content is no DAG-CBOR.', {
    code: 'invalid_content',
    hint: 'Its block is what its CID names: it was stored like this.',
  })
}
