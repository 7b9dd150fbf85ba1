/**
 * CIDs as bytes. Inside Cairn a CID is its binary form: building a `CID` object costs more than a
 * lookup, so objects and strings are made at the edge only.
 *
 * Cairn's own blocks all have the same 36-byte shape: version 1, a codec, sha2-256, 32 bytes.
 */
import { hash } from 'node:crypto'
import { base32 } from 'multiformats/bases/base32'
import { CID } from 'multiformats/cid'
import { CairnError, isCairnError } from '../errors.ts'
import { parseUsualBase32, printBase32 } from './base32.ts'

export type CidBytes = Uint8Array

export const CODEC_RAW = 0x55
export const CODEC_DAG_PB = 0x70
export const CODEC_DAG_CBOR = 0x71
export const CODEC_DAG_JSON = 0x0129
const HASH_IDENTITY = 0x00
const HASH_SHA2_256 = 0x12

/** The longest CID a tip may have: DESIGN.md's entry weight counts on it. */
export const MAX_CID_BYTES = 40
/** The length of the CID of every block the engine writes. */
export const CID_BYTES = 36
export const DIGEST_BYTES = 32

export interface Block {
  readonly cid: CidBytes
  readonly bytes: Uint8Array
}

/**
 * As a text, one char per byte. With a `Hash` object, or a Buffer for the answer, each of many small blocks would
 * cost twice as much, and collections besides.
 */
const sha256 = (bytes: Uint8Array): string => hash('sha256', bytes, 'binary')

/** The CID of `bytes` under one of the one-byte codecs (raw, dag-pb, dag-cbor). */
function cidOf(codec: number, bytes: Uint8Array): CidBytes {
  const cid = new Uint8Array(CID_BYTES)
  cid[0] = 1
  cid[1] = codec
  cid[2] = HASH_SHA2_256
  cid[3] = DIGEST_BYTES
  const digest = sha256(bytes)
  for (let i = 0; i < DIGEST_BYTES; i++) cid[4 + i] = digest.charCodeAt(i)
  return cid
}

export const cborCidOf = (bytes: Uint8Array): CidBytes => cidOf(CODEC_DAG_CBOR, bytes)
export const rawCidOf = (bytes: Uint8Array): CidBytes => cidOf(CODEC_RAW, bytes)

export function cborBlock(bytes: Uint8Array): Block {
  return { cid: cborCidOf(bytes), bytes }
}

export function isEngineCid(cid: Uint8Array): boolean {
  return (
    cid.length === CID_BYTES &&
    cid[0] === 1 &&
    cid[1] === CODEC_DAG_CBOR &&
    cid[2] === HASH_SHA2_256 &&
    cid[3] === DIGEST_BYTES
  )
}

export interface CidParts {
  readonly codec: number
  readonly hash: 'sha2-256' | 'identity'
  /** Of a usual CID no view, which costs three times as much as a copy of so few bytes, and memory off the heap. */
  readonly digest: Uint8Array
}

/**
 * Takes a CID apart without making an object of it. Version 1 (or the bare multihash of version 0),
 * sha2-256 or identity, at most 40 bytes: whatever else is an `invalid_entry`.
 */
export function cidParts(cid: Uint8Array): CidParts {
  if (cid.length === CID_BYTES && isUsualCid(cid))
    return { codec: cid[1] ?? 0, hash: 'sha2-256', digest: cid.slice(4) }
  const refuse = (why: string): never => {
    throw new CairnError('invalid_entry', `This is not a CID that Cairn takes: ${why}.`, {
      hint: 'Use a CIDv1 with a sha2-256 (or short identity) hash; `ipfs cid base32` converts.',
    })
  }
  if (cid.length > MAX_CID_BYTES) return refuse(`it has more than ${MAX_CID_BYTES} bytes`)
  if (cid.length === 34 && cid[0] === HASH_SHA2_256 && cid[1] === DIGEST_BYTES) {
    return { codec: CODEC_DAG_PB, hash: 'sha2-256', digest: cid.subarray(2) }
  }
  if (cid[0] !== 1) return refuse('its version is not 1')
  let at = 1
  const varint = (): number => {
    let value = 0
    for (let shift = 0; shift <= 21; shift += 7) {
      const byte = cid[at++]
      if (byte === undefined) return refuse('it is cut short')
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) {
        return byte === 0 && shift > 0
          ? refuse('a number in it is not in its shortest form')
          : value
      }
    }
    return refuse('a number in it is too large')
  }
  const codec = varint()
  const hash = varint()
  const length = varint()
  const digest = cid.subarray(at)
  if (digest.length !== length) return refuse('its digest has the wrong length')
  if (hash === HASH_IDENTITY) return { codec, hash: 'identity', digest }
  if (hash !== HASH_SHA2_256 || length !== DIGEST_BYTES) return refuse('its hash is not sha2-256')
  return { codec, hash: 'sha2-256', digest }
}

/** The bytes that an identity CID holds itself: there is no block, and no store needs to keep one. */
export function inlineBytes(cid: CidBytes): Uint8Array | undefined {
  const { hash, digest } = cidParts(cid)
  return hash === 'identity' ? digest : undefined
}

/** Whether `bytes` are what `cid` names. */
export function cidMatches(cid: Uint8Array, bytes: Uint8Array): boolean {
  const { hash, digest } = cidParts(cid)
  if (hash === 'identity') return bytesEqual(bytes, digest)
  const actual = sha256(bytes)
  for (let i = 0; i < DIGEST_BYTES; i++) if (digest[i] !== actual.charCodeAt(i)) return false
  return true
}

export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a === b || (a.length === b.length && Buffer.compare(a, b) === 0)
}

/** Whether both are the same CID, or both none. */
export function sameCid(a: CidBytes | null, b: CidBytes | null): boolean {
  return a === null || b === null ? a === b : bytesEqual(a, b)
}

/** A CID's text: base32 for version 1, base58 for version 0. */
export function printCid(cid: CidBytes): string {
  return cid[0] === 1 ? (printBase32(cid) ?? base32.encode(cid)) : CID.decode(cid).toString()
}

/** What needs no taking apart: version 1, a codec of one byte, sha2-256. */
function isUsualCid(bytes: Uint8Array): boolean {
  const head = bytes[0] === 1 && bytes[2] === HASH_SHA2_256 && bytes[3] === DIGEST_BYTES
  return head && (bytes[1] ?? 0x80) < 0x80
}

/** In no base that a CID is printed in is a CID of 40 bytes longer. */
const MAX_CID_TEXT = 100

export function parseCid(text: string): CidBytes {
  const usual = parseUsualBase32(text)
  if (usual !== undefined && isUsualCid(usual)) return usual
  let bytes: Uint8Array
  try {
    // Reading base58 takes time that grows with the square of its length.
    if (text.length > MAX_CID_TEXT) throw new RangeError('too long for a CID')
    bytes = CID.parse(text).bytes
  } catch (cause) {
    throw new CairnError('invalid_entry', `"${text.slice(0, 100)}" is not a CID.`, {
      hint: 'A CID looks like bafyrei... or Qm...; copy it whole.',
      cause,
    })
  }
  cidParts(bytes)
  return bytes
}

/** Undefined for what is no CID, or none of a block here. */
export function readCid(text: string): CidBytes | undefined {
  try {
    return parseCid(text)
  } catch (error) {
    if (isCairnError(error)) return undefined
    throw error
  }
}

/**
 * The CID that a decoded value is. The library's own `asCID` also takes a map for one that has the same
 * text or number under "/" and "bytes"; a CID has its bytes there.
 */
export function linkOf(value: unknown): CID | undefined {
  if (typeof value !== 'object' || value === null || !('/' in value)) return undefined
  return value['/'] instanceof Uint8Array ? (CID.asCID(value) ?? undefined) : undefined
}

/** A map key for a CID: its digest bytes as a string, so that one hash under two codecs is one key. */
export function digestKey(cid: Uint8Array): string {
  const tail = cid.length > DIGEST_BYTES ? cid.subarray(cid.length - DIGEST_BYTES) : cid
  return Buffer.from(tail.buffer, tail.byteOffset, tail.byteLength).toString('latin1')
}

export function cidKey(cid: Uint8Array): string {
  return Buffer.from(cid.buffer, cid.byteOffset, cid.byteLength).toString('latin1')
}
