/**
 * What is taken for a CAR. The invariant for any bytes: either they are refused as `invalid_car` with an
 * offset within the file, or @ipld/car reads the same roots and blocks from them, in the same order.
 * And what is a CAR by the specification, within the bounds, is not refused.
 */
import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { encode } from '@ipld/dag-cbor'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { carHeader, sectionHead, varint, varintBytes } from '../../src/car/encode.ts'
import { CarFile } from '../../src/car/file.ts'
import { PRAGMA } from '../../src/car/frame.ts'
import { isCairnError } from '../../src/errors.ts'
import type { Block } from '../../src/model/cid.ts'
import { expectRefused, tempDir } from '../helpers/engine.ts'
import {
  carBytes,
  cborBlock,
  identityBlock,
  oldBlock,
  openBytes,
  otherReading,
  rawBlock,
  reading,
  type Found,
} from './cars.ts'

const BLOCKS: readonly Block[] = [
  rawBlock(Buffer.from('one')),
  cborBlock(Buffer.from([0x80])),
  oldBlock(Buffer.from('three')),
  identityBlock(Buffer.from('me')),
  rawBlock(new Uint8Array(0)),
  rawBlock(new Uint8Array(150).fill(3)),
]
const ROOTS = BLOCKS.slice(0, 2).map(({ cid }) => cid)
const CAR = carBytes(ROOTS, BLOCKS)

/** Where each section begins, and last where the file ends. */
const STARTS: readonly number[] = BLOCKS.reduce<number[]>(
  (starts, { cid, bytes }) => [
    ...starts,
    (starts.at(-1) ?? 0) + sectionHead(cid, bytes.length).length + bytes.length,
  ],
  [carHeader(ROOTS).length],
)

/** What Cairn reads, by every way there is to read it; undefined if it refuses. */
async function ourReading(dir: string, bytes: Uint8Array): Promise<Found | undefined> {
  let car: CarFile
  try {
    car = await openBytes(dir, bytes)
  } catch (error) {
    if (!isCairnError(error, 'invalid_car')) throw error
    const offset = error.details['offset'] as number
    expect(offset).toBeGreaterThanOrEqual(0)
    expect(offset).toBeLessThanOrEqual(bytes.length)
    expect(error.hint).toMatch(/\.$/)
    return undefined
  }
  const found = await reading(car)
  expect(car.blockCount).toBe(found.blocks.length)
  await car.close()
  return found
}

test('cut anywhere but between sections it is refused, with the section that is cut', async () => {
  const dir = await tempDir()
  for (let length = 0; length < CAR.length; length++) {
    const cut = CAR.subarray(0, length)
    const whole = STARTS.indexOf(length)
    if (whole !== -1) {
      const found = await ourReading(dir, cut)
      expect(found?.blocks).toHaveLength(whole)
      expect(found).toEqual(await otherReading(cut))
      continue
    }
    const error = await expectRefused(openBytes(dir, cut), 'invalid_car')
    expect(error.details['offset']).toBe(STARTS.findLast((start) => start < length) ?? 0)
    if (length > 10) expect(error.message).toContain('cut short')
  }
})

/** The bytes that are no frame: digests and blocks may be anything. */
function freeBytes(): Set<number> {
  const free = new Set<number>()
  const add = (from: number, to: number): void => {
    for (let at = from; at < to; at++) free.add(at)
  }
  for (const [i, { cid, bytes }] of BLOCKS.entries()) {
    const end = STARTS[i + 1] ?? 0
    const digest = cid[2] === 0 ? bytes.length : 32
    add(end - bytes.length - digest, end)
  }
  for (const cid of ROOTS) {
    const at = Buffer.from(CAR).indexOf(cid)
    add(at + 4, at + cid.length)
  }
  return free
}

test('with any bit flipped: read as @ipld/car reads it, or refused if the bit is of a frame', async () => {
  const dir = await tempDir()
  const free = freeBytes()
  let refused = 0
  for (let at = 0; at < CAR.length; at++) {
    for (const mask of [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80]) {
      const flipped = Uint8Array.from(CAR)
      flipped[at] = (flipped[at] ?? 0) ^ mask
      const found = await ourReading(dir, flipped)
      if (found !== undefined) expect(found, `byte ${at}`).toEqual(await otherReading(flipped))
      if (free.has(at)) expect(found, `byte ${at}`).toBeDefined()
      if (found === undefined) refused += 1
    }
  }
  // Of the bits of frames only those of codecs may flip, and few lengths fit by chance.
  expect(refused).toBeGreaterThan((CAR.length - free.size) * 8 - 100)
})

test('after any edits it is refused, or read as @ipld/car reads it', async () => {
  const dir = await tempDir()
  const edit = fc.record({
    at: fc.nat({ max: CAR.length }),
    removed: fc.nat({ max: 40 }),
    added: fc.uint8Array({ maxLength: 40 }),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 3 }), async (edits) => {
      let bytes = Buffer.from(CAR)
      for (const { at, removed, added } of edits) {
        bytes = Buffer.concat([bytes.subarray(0, at), added, bytes.subarray(at + removed)])
      }
      const found = await ourReading(dir, bytes)
      if (found !== undefined) expect(found).toEqual(await otherReading(bytes))
    }),
    { numRuns: 300 },
  )
})

test('any CAR within the bounds is read as @ipld/car reads it', async () => {
  const dir = await tempDir()
  const block = fc
    .tuple(fc.uint8Array({ maxLength: 300 }), fc.nat({ max: 4 }))
    .map(([bytes, kind]) => {
      if (kind === 0) return identityBlock(bytes.slice(0, 36))
      return kind === 1 ? oldBlock(bytes) : kind === 2 ? cborBlock(bytes) : rawBlock(bytes)
    })
  await fc.assert(
    fc.asyncProperty(fc.array(block, { maxLength: 40 }), fc.nat(), async (blocks, count) => {
      const roots = blocks.slice(0, count % 30).map(({ cid }) => cid)
      const bytes = carBytes(roots, blocks)
      const found = await ourReading(dir, bytes)
      expect(found).toBeDefined()
      expect(found).toEqual(await otherReading(bytes))
    }),
    { numRuns: 100 },
  )
})

test('the header is the very bytes of @ipld/dag-cbor', () => {
  for (const count of [0, 1, 2, 23, 24, 255, 256, 300]) {
    const roots = Array.from({ length: count }, (_, i) => BLOCKS[i % 4]?.cid ?? new Uint8Array())
    const value = encode({ version: 1, roots: roots.map((cid) => CID.decode(cid)) })
    const expected = Buffer.concat([varint(value.length), value])
    expect(Buffer.compare(carHeader(roots), expected)).toBe(0)
  }
})

test('varints have their shortest form', () => {
  for (const [value, text] of [
    [0, '00'],
    [127, '7f'],
    [128, '8001'],
    [16_383, 'ff7f'],
    [16_384, '808001'],
    [2 ** 32, '8080808010'],
    [2 ** 40 + 5, '858080808020'],
  ] as const) {
    expect(Buffer.from(varint(value)).toString('hex')).toBe(text)
    expect(varintBytes(value)).toBe(text.length / 2)
  }
})

const withHeader = (value: unknown): Uint8Array => {
  const header = encode(value)
  return Buffer.concat([varint(header.length), header])
}
const root = CID.decode(ROOTS[0] ?? new Uint8Array())
const blakeRoot = CID.decode(Uint8Array.from([1, 0x55, 0xa0, 0xe4, 0x02, 32, ...Buffer.alloc(32)]))
const rawHeader = (hex: string): Buffer => {
  const header = Buffer.from(hex, 'hex')
  return Buffer.concat([varint(header.length), header])
}

test.each<[string, Uint8Array, RegExp]>([
  ['no bytes', new Uint8Array(0), /the file is empty/],
  ['text', Buffer.from('hello, world'), /not a CAR/],
  ['zeros', new Uint8Array(100), /not a CAR/],
  ['another version', withHeader({ roots: [], version: 3 }), /header of the CAR at byte 0 is bad/],
  ['no version', withHeader({ roots: [] }), /not a CAR/],
  ['no roots', withHeader({ version: 1 }), /not a CAR/],
  ['more fields', withHeader({ more: 1, roots: [], version: 1 }), /not a CAR/],
  ['a root as text', withHeader({ roots: [String(root)], version: 1 }), /a link expected/],
  ['a root with another hash', withHeader({ roots: [blakeRoot], version: 1 }), /not sha2-256/],
  ['a root that is empty', rawHeader('a265726f6f747381d82a41006776657273696f6e01'), /version/],
  ['10,001 roots', carHeader(Array(10_001).fill(ROOTS[0])), /10001 roots, at most 10000/],
  ['a count of roots in long form', rawHeader('a265726f6f747398006776657273696f6e01'), /shortest/],
  ['roots without end', rawHeader('a265726f6f74739f6776657273696f6e01'), /a list expected/],
  ['fields in another order', rawHeader('a26776657273696f6e0165726f6f747380'), /not a CAR/],
  ['something behind', rawHeader('a265726f6f7473806776657273696f6e0100'), /follows its end/],
  [
    'a header of 2 MiB',
    Buffer.concat([varint(2 << 20), Buffer.from('a265726f6f747380', 'hex')]),
    /1 MiB/,
  ],
  ['a header of 2^63 bytes', Buffer.alloc(40, 0xff), /not a CAR/],
])('a header is refused: %s', async (_, bytes, message) => {
  const error = await expectRefused(openBytes(await tempDir(), bytes), 'invalid_car')
  expect(error.message).toMatch(message)
  expect(error.details['offset']).toBe(0)
})

test.each<[string, Uint8Array, RegExp]>([
  ['of zero length', Buffer.from([0]), /its length is 0/],
  ['a length in long form', Buffer.from([0x81, 0x00, 1]), /shortest form/],
  ['a length of nine bytes', Buffer.from('ffffffffffffffff01', 'hex'), /more than 8 bytes/],
  ['a huge length', varint(2 ** 50), /at most 8 MiB/],
  [
    'just too long',
    Buffer.concat([sectionHead(ROOTS[0] ?? CAR, (8 << 20) + 1), Buffer.alloc((8 << 20) + 1)]),
    /at most 8 MiB/,
  ],
  [
    'beyond the file',
    Buffer.concat([varint(1000), Buffer.alloc(999, 1)]),
    /cut short: the section has 1000 bytes, 999 are left/,
  ],
  [
    'too short for a CID',
    Buffer.concat([varint(10), Buffer.alloc(10, 1)]),
    /does not begin with a CID/,
  ],
  [
    'a CID longer than it',
    Buffer.concat([varint(20), ROOTS[0] ?? CAR]),
    /does not begin with a CID/,
  ],
  ['another hash', Buffer.concat([varint(50), blakeRoot.bytes, Buffer.alloc(12)]), /not sha2-256/],
  ['a CID of version 2', Buffer.concat([varint(40), Buffer.alloc(40, 2)]), /version is not 1/],
  [
    'a long identity CID',
    Buffer.concat([varint(60), Buffer.from([1, 0x55, 0, 56]), Buffer.alloc(56)]),
    /wrong length/,
  ],
])('a section is refused, with its offset: %s', async (_, section, message) => {
  const bytes = Buffer.concat([CAR, section, CAR.subarray(STARTS[0])])
  const whole = /cut short/.test(message.source) ? Buffer.concat([CAR, section]) : bytes
  const error = await expectRefused(openBytes(await tempDir(), whole), 'invalid_car')
  expect(error.message).toMatch(message)
  expect(error.message).toContain(`at byte ${CAR.length}`)
  expect(error.details['offset']).toBe(CAR.length)
})

test('a block of exactly 8 MiB is read', async () => {
  const block = rawBlock(new Uint8Array(8 << 20))
  const dir = await tempDir()
  const car = await openBytes(dir, carBytes([], [block, ...BLOCKS]))
  expect(car.read(block.cid)?.length).toBe(8 << 20)
  expect((await reading(car)).blocks).toHaveLength(BLOCKS.length + 1)
  await car.close()
})

test.each([
  ['1f8b0800', 'gunzip'],
  ['28b52ffd00', 'zstd -d'],
  [Buffer.from('age-encryption.org/v1\n').toString('hex'), 'age'],
  [Buffer.from('-----BEGIN AGE ENCRYPTED FILE-----').toString('hex'), 'age'],
  [Buffer.from('{"roots": []}').toString('hex'), 'JSON'],
])('what is not a CAR is told what it looks like: %s', async (hex, word) => {
  const error = await expectRefused(
    openBytes(await tempDir(), Buffer.from(hex, 'hex')),
    'invalid_car',
  )
  expect(error.message).toContain('not a CAR')
  expect(error.hint).toContain(word)
})

interface V2Parts {
  readonly from?: number
  readonly length?: number
  readonly indexAt?: number
  readonly padding?: number
  readonly behind?: Uint8Array
}

function v2Bytes({ from, length, indexAt, padding = 0, behind }: V2Parts): Uint8Array {
  const head = Buffer.alloc(51)
  head.set(PRAGMA)
  head.writeBigUInt64LE(BigInt(from ?? 51 + padding), 27)
  head.writeBigUInt64LE(BigInt(length ?? CAR.length), 35)
  head.writeBigUInt64LE(BigInt(indexAt ?? 0), 43)
  return Buffer.concat([head, Buffer.alloc(padding), CAR, behind ?? new Uint8Array(0)])
}

test.each<[string, V2Parts]>([
  ['right behind the header', {}],
  ['after padding', { padding: 77 }],
  ['before an index', { indexAt: 51 + CAR.length, behind: Buffer.alloc(10) }],
  ['before padding and an index', { indexAt: 60 + CAR.length, behind: Buffer.alloc(10) }],
])('the data of a CARv2 is found %s', async (_, parts) => {
  const dir = await tempDir()
  const bytes = v2Bytes(parts)
  const car = await openBytes(dir, bytes)
  expect(car.version).toBe(2)
  expect(car.size).toBe(bytes.length)
  expect(car.dataBytes).toBe(CAR.length)
  expect(await reading(car)).toEqual(await otherReading(CAR))
  const from = bytes.length - CAR.length - (parts.behind?.length ?? 0)
  expect(car.offsetOf(ROOTS[0] ?? CAR)).toBe(from + (STARTS[0] ?? 0))
  await car.close()
})

test.each<[string, V2Parts, RegExp]>([
  ['data in the header', { from: 50 }, /overlaps the header/],
  ['no data', { length: 0 }, /no data/],
  ['data beyond the file', { length: CAR.length + 1 }, /cut short: its data/],
  ['data at 2^63', { from: 2 ** 63 }, /cut short: its data/],
  ['data of 2^63 bytes', { length: 2 ** 63 }, /cut short: its data/],
  ['an index in the data', { indexAt: 100 }, /index overlaps/],
  ['an index beyond the file', { indexAt: 51 + CAR.length }, /index begins beyond/],
  ['an index at 2^63', { indexAt: 2 ** 63 }, /index begins beyond/],
  ['something behind the data', { behind: Buffer.alloc(3) }, /something follows/],
])('a CARv2 is refused: %s', async (_, parts, message) => {
  const error = await expectRefused(openBytes(await tempDir(), v2Bytes(parts)), 'invalid_car')
  expect(error.message).toMatch(message)
})

test('a CARv2 that is cut short anywhere is refused', async () => {
  const dir = await tempDir()
  const bytes = v2Bytes({ padding: 5 })
  for (let length = 0; length < bytes.length; length++) {
    await expectRefused(openBytes(dir, bytes.subarray(0, length)), 'invalid_car')
  }
})

test('a path that is no file, and a file that grows, are refused', async () => {
  const dir = await tempDir()
  await expectRefused(CarFile.open(dir), 'usage')
  await expectRefused(CarFile.open(join(dir, 'absent')), 'usage')
  const car = await openBytes(dir, CAR)
  await appendFile(car.path, 'x')
  await expectRefused(reading(car), 'invalid_car')
  await expectRefused(car.getBlocks([ROOTS[0] ?? CAR]), 'invalid_car')
  await car.close()
})
