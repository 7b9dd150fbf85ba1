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
  const chunks: Uint8Array[] = [varint(header.length), header]
  for (const { cid, bytes } of blocks) {
    chunks.push(varint(cid.length + bytes.length), cid, bytes)
  }
  return chunks
}

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
