/** A file of UnixFS as small as it gets: a root and two raw leaves, made without the importer. */
import * as dagPb from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { createHash } from 'node:crypto'
import { rawCidOf, type Block } from '../../src/model/cid.ts'

const LEAF_BYTES = 120

export interface SmallFile {
  readonly tip: Uint8Array
  /** The leaves and the root. */
  readonly blocks: readonly Block[]
}

/** Its bytes are a text that begins with `name`. */
export function twoBlockFile(name: string): SmallFile {
  const leaves = [0, 1].map((part): Block => {
    const bytes = Buffer.from(`${name} part ${part} `.padEnd(LEAF_BYTES, '.'))
    return { cid: rawCidOf(bytes), bytes }
  })
  const sizes = leaves.map(({ bytes }) => bytes.length)
  const Links = leaves.map(({ cid, bytes }) => ({
    Name: '',
    Tsize: bytes.length,
    Hash: CID.decode(cid),
  }))
  const bytes = dagPb.encode({ Data: unixfsData(sizes), Links })
  const digest = Digest.create(0x12, createHash('sha256').update(bytes).digest())
  const tip = CID.createV1(dagPb.code, digest).bytes
  return { tip, blocks: [...leaves, { cid: tip, bytes }] }
}

/** The message of UnixFS: a file (2), its size, and the sizes of its parts. */
function unixfsData(sizes: readonly number[]): Uint8Array {
  const total = sizes.reduce((sum, size) => sum + size, 0)
  return Uint8Array.from([
    0x08,
    2,
    0x18,
    ...varint(total),
    ...sizes.flatMap((size) => [0x20, ...varint(size)]),
  ])
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)]
}
