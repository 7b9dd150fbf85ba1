/**
 * Writes a CARv1 as a list of buffers. By hand, because `CarWriter` of @ipld/car is an asynchronous
 * channel (6 us a block, and it waits forever when its consumer leaves), wants CID objects and copies;
 * this takes the bytes as they are. A test reads the result with @ipld/car.
 */
import { encode } from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import type { Block, CidBytes } from '../../model/cid.ts'

export function carChunks(roots: readonly CidBytes[], blocks: Iterable<Block>): Uint8Array[] {
  const header = encode({ roots: roots.map((root) => CID.decode(root)), version: 1 })
  const chunks: Uint8Array[] = []
  let small: Uint8Array[] = [varint(header.length), header]
  let size = 0
  const gather = (): void => {
    chunks.push(Buffer.concat(small))
    small = []
    size = 0
  }
  for (const { cid, bytes } of blocks) {
    small.push(varint(cid.length + bytes.length), cid)
    if (bytes.length < GATHERED_BYTES) small.push(bytes)
    size += bytes.length
    if (size < GATHERED_BYTES) continue
    gather()
    if (bytes.length >= GATHERED_BYTES) chunks.push(bytes)
  }
  gather()
  return chunks
}

/** Small blocks go out together: a write to the socket costs more than copying them. */
const GATHERED_BYTES = 64 * 1024

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  while (rest >= 0x80) {
    bytes.push((rest & 0x7f) | 0x80)
    rest >>>= 7
  }
  bytes.push(rest)
  return Uint8Array.from(bytes)
}
