/** Packs as they are written and read: their bytes, and how much comes with one request. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { commitKey, packKey } from '../../src/backend/s3/layout.ts'
import { encodePack, readIndex, readPack } from '../../src/backend/s3/pack.ts'
import { ReadAhead } from '../../src/backend/s3/read-ahead.ts'
import { Segment } from '../../src/backend/s3/segment.ts'
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

test('of a commit, whose end is not known, who reads on gets more than there may be', () => {
  const ahead = new ReadAhead()
  const key = commitKey('main', 55)
  expect(ahead.extend(key, 100, 1100)).toBe(1100)
  expect(ahead.extend(key, 1100, 2100)).toBe(1100 + MIB / 4)
})

test('a block comes from what was kept, hashed; what is damaged is kept no longer', () => {
  const ahead = new ReadAhead()
  const blocks = [1, 2, 3].map((value) => blockOf(Buffer.alloc(1000, value)))
  const { bytes, sections, indexAt } = encodePack(blocks)
  const find = (i: number): number | undefined => {
    const block = blocks[i]
    if (block === undefined) throw new Error('no such block')
    return ahead.find(block.cid)?.[0]
  }
  const part = new Uint8Array(bytes.subarray(sections[1]?.at ?? 0, indexAt - 10))
  ahead.keep(part)
  expect([find(0), find(1), find(2)]).toEqual([undefined, 2, undefined])
  part[500] = 9
  expect(find(1)).toBeUndefined()
  part[500] = 2
  expect(find(1)).toBeUndefined()
})

test('what is kept is bounded: the one used longest ago goes first', () => {
  const ahead = new ReadAhead()
  const blocks = Array.from({ length: 6 }, (_, i) => blockOf(Buffer.alloc(2 * MIB - 200, i)))
  const find = (i: number): boolean => ahead.find(blocks[i]?.cid ?? new Uint8Array(0)) !== undefined
  const keep = (i: number): void => {
    const { bytes, sections } = encodePack(blocks.slice(i, i + 1))
    ahead.keep(bytes.subarray(sections[0]?.at))
  }
  for (const i of [0, 1, 2, 3]) keep(i)
  expect(find(0)).toBe(true)
  for (const i of [4, 5]) keep(i)
  expect([0, 1, 2, 3, 4, 5].filter(find)).toEqual([0, 3, 4, 5])
})

test('a part of a pack has its whole blocks, and no other', () => {
  const some = fc.uniqueArray(fc.integer({ min: 0, max: 5_000 }), { minLength: 1, maxLength: 80 })
  fc.assert(
    fc.property(some, fc.nat(), fc.nat(), (sizes, first, cut) => {
      const blocks = sizes.map((size) => blockOf(Buffer.alloc(size, size % 251)))
      const { bytes, sections, indexAt } = encodePack(blocks)
      const from = sections[first % sections.length]?.at ?? 0
      const end = from + (cut % (bytes.length - from))
      const segment = new Segment(bytes.subarray(from, end))
      for (const [i, { at, length }] of sections.entries()) {
        const block = blocks[i]
        const whole = at >= from && at + length <= Math.min(end, indexAt)
        const found = segment.find(block?.cid ?? new Uint8Array(0))
        expect(found === undefined ? undefined : Buffer.from(found)).toEqual(
          whole ? block?.bytes : undefined,
        )
      }
    }),
  )
})

test('a part that is no part of a pack is none', () => {
  const wanted = blockOf(Buffer.from('wanted'))
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      expect(new Segment(bytes).find(wanted.cid)).toBeUndefined()
    }),
  )
})
