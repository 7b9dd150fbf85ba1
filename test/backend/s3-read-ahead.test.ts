/** Packs as they are written and read: their bytes, and how much comes with one request. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { packKey } from '../../src/backend/s3/layout.ts'
import { encodePack, readIndex, readPack } from '../../src/backend/s3/pack.ts'
import { ReadAhead } from '../../src/backend/s3/read-ahead.ts'
import { cborCidOf, rawCidOf, type Block } from '../../src/model/cid.ts'

const blockOf = (bytes: Uint8Array): Block => ({ cid: rawCidOf(bytes), bytes })
const MIB = 1 << 20

test('a pack gives back each block once, in the order in which they came, and its index knows where', () => {
  const some = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 60 })
  fc.assert(
    fc.property(some, fc.boolean(), (values, isCbor) => {
      const blocks = values.map((bytes) => ({
        ...blockOf(bytes),
        ...(isCbor && { cid: cborCidOf(bytes) }),
      }))
      const pack = encodePack(blocks)
      const { packed, end } = readPack(pack.bytes, 'packs/one')
      const once = new Map(blocks.map((block) => [Buffer.from(block.cid).toString('hex'), block]))
      expect(end).toBe(true)
      expect(packed.map(({ block }) => Buffer.from(block.bytes))).toEqual(
        [...once.values()].map(({ bytes }) => Buffer.from(bytes)),
      )
      expect(packed.map(({ section }) => section.at)).toEqual(pack.sections.map(({ at }) => at))
      const index = readIndex(pack.bytes.subarray(pack.indexAt), pack.indexAt)
      expect(index?.map(({ at, length }) => [at, length])).toEqual(
        pack.sections.map(({ at, length }) => [at, length]),
      )
    }),
  )
})

test('large and small blocks grow a pack over all its sizes', () => {
  const blocks = [100, MIB, 5, 2 * MIB, 7 * MIB, 300].map((size) =>
    blockOf(Buffer.alloc(size, size % 251)),
  )
  const { bytes, sections } = encodePack(blocks)
  const found = readPack(bytes, 'packs/one').packed.map(({ block }) => block.bytes.length)
  expect(found).toEqual(blocks.map((block) => block.bytes.length))
  expect(sections).toHaveLength(blocks.length)
})

/** A pack of so many bytes of blocks. */
const keyOf = (bytes: number): string => packKey(1_700_000_000_000, bytes, false, new Uint8Array(0))

test('who reads on gets more each time, up to a limit and to the end of the pack', () => {
  const ahead = new ReadAhead()
  const key = keyOf(8 * MIB)
  const sizes: number[] = []
  for (let at = 100; at < 8 * MIB;) {
    const end = ahead.extend(key, at, at + 1000)
    sizes.push(end - at)
    at = end
  }
  const rest = 8 * MIB - 100 - 1000 - 7.25 * MIB
  expect(sizes).toEqual([1000, MIB / 4, MIB, 2 * MIB, 2 * MIB, 2 * MIB, rest])
})

test('who reads here and there gets what was asked for', () => {
  const ahead = new ReadAhead()
  const key = keyOf(8 * MIB)
  for (const from of [5 * MIB, MIB, 7 * MIB, 3 * MIB]) {
    expect(ahead.extend(key, from, from + 1000)).toBe(from + 1000)
  }
})

test('a block comes from what was kept, hashed; what is damaged is kept no longer', () => {
  const ahead = new ReadAhead()
  const blocks = [1, 2, 3].map((value) => blockOf(Buffer.alloc(1000, value)))
  const { bytes, sections, indexAt } = encodePack(blocks)
  const key = keyOf(indexAt)
  const find = (i: number): number | undefined => {
    const [section, block] = [sections[i], blocks[i]]
    if (section === undefined || block === undefined) throw new Error('no such block')
    // A place's length is rounded up.
    const location = { key, at: section.at, length: section.length + 200 }
    return ahead.find(location, block.cid)?.[0]
  }
  const from = sections[1]?.at ?? 0
  const part = new Uint8Array(bytes.subarray(from, indexAt - 10))
  ahead.keep(key, from, part)
  expect([find(0), find(1), find(2)]).toEqual([undefined, 2, undefined])
  part[500] = 9
  expect(find(1)).toBeUndefined()
  part[500] = 2
  expect(find(1)).toBeUndefined()
})

test('what is kept is bounded: the one used longest ago goes first', () => {
  const ahead = new ReadAhead()
  const blocks = Array.from({ length: 7 }, (_, i) => blockOf(Buffer.alloc(2 * MIB - 200, i)))
  const packs = blocks.map((block) => encodePack([block]))
  const find = (i: number): boolean => {
    const [pack, block] = [packs[i], blocks[i]]
    const at = pack?.sections[0]?.at ?? 0
    return (
      block !== undefined &&
      ahead.find({ key: String(i), at, length: 3 * MIB }, block.cid) !== undefined
    )
  }
  for (const i of [0, 1, 2, 3, 4]) ahead.keep(String(i), 0, packs[i]?.bytes ?? new Uint8Array())
  expect(find(0)).toBe(true)
  for (const i of [5, 6]) ahead.keep(String(i), 0, packs[i]?.bytes ?? new Uint8Array())
  expect([0, 1, 2, 3, 4, 5, 6].filter(find)).toEqual([0, 2, 3, 4, 5, 6])
})
