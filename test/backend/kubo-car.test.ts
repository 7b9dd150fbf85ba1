import { randomBytes } from 'node:crypto'
import { CarReader } from '@ipld/car'
import { expect, test } from 'vitest'
import { carChunks } from '../../src/car/encode.ts'
import { printCid, rawCidOf, type Block } from '../../src/model/cid.ts'

const blockOf = (bytes: Uint8Array): Block => ({ cid: rawCidOf(bytes), bytes })

test.each([0, 1, 2])(
  'a CAR with %i roots is read by @ipld/car as it was written',
  async (count) => {
    const sizes = [0, 1, 91, 92, 127, 128, 16_347, 16_348, 70_000, 2_097_152]
    const blocks = sizes.map((size) => blockOf(randomBytes(size)))
    const roots = blocks.slice(0, count).map(({ cid }) => cid)
    const reader = await CarReader.fromBytes(Buffer.concat(carChunks(roots, blocks)))
    expect((await reader.getRoots()).map(String)).toEqual(roots.map(printCid))
    const read: Block[] = []
    for await (const { cid, bytes } of reader.blocks()) read.push({ cid: cid.bytes, bytes })
    expect(read.map(({ cid }) => printCid(cid))).toEqual(blocks.map(({ cid }) => printCid(cid)))
    for (const [i, { bytes }] of read.entries()) {
      expect(Buffer.compare(bytes, blocks[i]?.bytes ?? new Uint8Array())).toBe(0)
    }
  },
)
