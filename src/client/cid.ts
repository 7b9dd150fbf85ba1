/** CIDs as text and as bytes: version 1 in base32, version 0 in base58. */
import { CairnClientError } from './error.ts'

export const RAW = 0x55
export const DAG_PB = 0x70
export const DAG_CBOR = 0x71
export const DAG_JSON = 0x0129
const IDENTITY = 0x00
const SHA2_256 = 0x12

export interface CidParts {
  readonly codec: number
  readonly hash: 'sha2-256' | 'identity'
  readonly digest: Uint8Array
}

const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567'
const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
/** More than any of them has. */
const MAX_CHARS = 100

export function parseCid(text: string): CidParts {
  if (text.length > MAX_CHARS) throw notACid(text)
  const bytes = text.startsWith('b') ? fromBase32(text.slice(1)) : fromBase58(text)
  const parts = bytes === undefined ? undefined : partsOf(bytes)
  // One CID has one text, so that comparing texts compares CIDs.
  if (bytes === undefined || parts === undefined || printCid(bytes) !== text) throw notACid(text)
  return parts
}

/** Undefined when the bytes are no CID of a hash that is known here. */
function partsOf(cid: Uint8Array): CidParts | undefined {
  if (cid.length === 34 && cid[0] === SHA2_256 && cid[1] === 32)
    return { codec: DAG_PB, hash: 'sha2-256', digest: cid.subarray(2) }
  const [version, codec, hash, length, start] = varints(cid)
  if (version !== 1 || codec === undefined || start === undefined) return undefined
  const digest = cid.subarray(start)
  if (digest.length !== length) return undefined
  if (hash === IDENTITY) return { codec, hash: 'identity', digest }
  return hash === SHA2_256 && length === 32 ? { codec, hash: 'sha2-256', digest } : undefined
}

/** The first four numbers, and where what follows begins. */
function varints(bytes: Uint8Array): readonly number[] {
  const found: number[] = []
  let at = 0
  while (found.length < 4) {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++]
      if (byte === undefined || shift > 21) return []
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) break
    }
    found.push(value)
  }
  return [...found, at]
}

export function printCid(bytes: Uint8Array): string {
  return bytes.length === 34 && bytes[0] === SHA2_256 ? toBase58(bytes) : `b${toBase32(bytes)}`
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}

function toBase32(bytes: Uint8Array): string {
  let text = ''
  let bits = 0
  let value = 0
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xfff
    bits += 8
    for (; bits >= 5; bits -= 5) text += BASE32[(value >> (bits - 5)) & 31]
  }
  return bits === 0 ? text : text + BASE32[(value << (5 - bits)) & 31]
}

function fromBase32(text: string): Uint8Array | undefined {
  const bytes: number[] = []
  let bits = 0
  let value = 0
  for (const char of text) {
    const digit = BASE32.indexOf(char)
    if (digit < 0) return undefined
    value = ((value << 5) | digit) & 0xfff
    bits += 5
    if (bits < 8) continue
    bits -= 8
    bytes.push((value >> bits) & 255)
  }
  return Uint8Array.from(bytes)
}

function toBase58(bytes: Uint8Array): string {
  let value = 0n
  for (const byte of bytes) value = value * 256n + BigInt(byte)
  let text = ''
  for (; value > 0n; value /= 58n) text = `${BASE58[Number(value % 58n)] ?? ''}${text}`
  return text
}

function fromBase58(text: string): Uint8Array | undefined {
  let value = 0n
  for (const char of text) {
    const digit = BASE58.indexOf(char)
    if (digit < 0) return undefined
    value = value * 58n + BigInt(digit)
  }
  const bytes: number[] = []
  for (; value > 0n; value /= 256n) bytes.unshift(Number(value % 256n))
  return Uint8Array.from(bytes)
}

function notACid(text: string): CairnClientError {
  return new CairnClientError(`"${text.slice(0, MAX_CHARS)}" is no CID that is known here.`, {
    code: 'invalid_entry',
    hint: 'Give one of version 1 in base32, or of version 0, with a hash of sha2-256.',
  })
}
