/**
 * The bytes of a CARv1: its header and the heads of its sections. By hand, because `CarWriter` of
 * @ipld/car is an asynchronous channel (6 us a block, and it waits forever when its consumer leaves),
 * wants CID objects and copies; this takes the bytes as they are. A test reads the result with @ipld/car.
 */
import { writeArrayHead, writeKey, writeLink, writeUint } from '../model/cbor.ts'
import type { Block, CidBytes } from '../model/cid.ts'

/** Small blocks go out together: a write to the socket costs more than copying them. */
const GATHERED_BYTES = 64 * 1024
/** What the header takes beside its roots, and each root beside its CID, at most. */
const HEADER_OVERHEAD = 32
const ROOT_OVERHEAD = 8

/** A whole CARv1 as a list of buffers. */
export function carChunks(roots: readonly CidBytes[], blocks: Iterable<Block>): Uint8Array[] {
  const chunks: Uint8Array[] = []
  let small: Uint8Array[] = [carHeader(roots)]
  let size = 0
  const gather = (): void => {
    chunks.push(Buffer.concat(small))
    small = []
    size = 0
  }
  for (const { cid, bytes } of blocks) {
    small.push(sectionHead(cid, bytes.length))
    if (bytes.length < GATHERED_BYTES) small.push(bytes)
    size += bytes.length
    if (size < GATHERED_BYTES) continue
    gather()
    if (bytes.length >= GATHERED_BYTES) chunks.push(bytes)
  }
  gather()
  return chunks
}

/** The header of a CARv1, with the varint of its length before it. */
export function carHeader(roots: readonly CidBytes[]): Uint8Array {
  const size = roots.reduce((sum, cid) => sum + cid.length + ROOT_OVERHEAD, HEADER_OVERHEAD)
  const header = new Uint8Array(size)
  header[0] = 0xa2
  let at = writeArrayHead(header, writeKey(header, 1, 'roots'), roots.length)
  for (const root of roots) at = writeLink(header, at, root)
  at = writeUint(header, writeKey(header, at, 'version'), 1)
  return Buffer.concat([varint(at), header.subarray(0, at)])
}

/** What stands before the `length` bytes of a block: the section's length and the CID. */
export function sectionHead(cid: CidBytes, length: number): Uint8Array {
  const head = new Uint8Array(varintBytes(cid.length + length) + cid.length)
  head.set(cid, writeVarint(head, 0, cid.length + length))
  return head
}

export function varint(value: number): Uint8Array {
  const bytes = new Uint8Array(varintBytes(value))
  writeVarint(bytes, 0, value)
  return bytes
}

/** How many bytes the varint of `value` takes. */
export function varintBytes(value: number): number {
  let length = 1
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) length += 1
  return length
}

/** Returns the offset behind it. */
export function writeVarint(to: Uint8Array, at: number, value: number): number {
  let next = at
  let rest = value
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) to[next++] = (rest % 0x80) | 0x80
  to[next++] = rest
  return next
}
