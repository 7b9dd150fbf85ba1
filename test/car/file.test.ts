/** A CAR on disk as a store to read from. */
import { randomBytes } from 'node:crypto'
import { readdir, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CarIndexer } from '@ipld/car'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { CarFile } from '../../src/car/file.ts'
import { PRAGMA } from '../../src/car/frame.ts'
import { cborCidOf, cidMatches, rawCidOf, type Block } from '../../src/model/cid.ts'
import { getProvedBlocks } from '../../src/store/proved.ts'
import { collect, expectRefused, tempDir } from '../helpers/engine.ts'
import { Random } from '../helpers/random.ts'
import {
  blockText,
  carAt,
  carBytes,
  cborBlock,
  identityBlock,
  oldBlock,
  openBytes,
  otherCar,
  rawBlock,
  reading,
} from './cars.ts'

const someBlocks = (count: number, bytes: number): Block[] =>
  Array.from({ length: count }, () => rawBlock(randomBytes(bytes)))

test('what @ipld/car writes is found block by block, where its indexer says it is', async () => {
  const dir = await tempDir()
  const bytes = fc.oneof(fc.uint8Array({ maxLength: 60 }), fc.uint8Array({ maxLength: 5000 }))
  const blocks = fc.array(
    fc.tuple(bytes, fc.constantFrom(rawBlock, cborBlock, oldBlock)).map(([data, of]) => of(data)),
    { minLength: 1, maxLength: 60 },
  )
  await fc.assert(
    fc.asyncProperty(blocks, async (all) => {
      const roots = all.slice(0, 2).map(({ cid }) => cid)
      const written = await otherCar(roots, all)
      const car = await openBytes(dir, written)
      const digests = new Set(all.map(({ cid }) => cid.slice(-32).join()))
      expect(car.roots.map(String)).toEqual(roots.map(String))
      expect(car.blockCount).toBe(all.length)
      expect(car.duplicates).toBe(all.length - digests.size)
      expect(car.size).toBe(written.length)
      expect(car.dataBytes).toBe(written.length)
      for (const { cid, bytes: expected } of all.toReversed()) {
        expect(car.read(cid)).toEqual(Uint8Array.from(expected))
      }
      const places = new Map<string, number>()
      for await (const { cid, offset } of await CarIndexer.fromBytes(written)) {
        const digest = cid.bytes.slice(-32).join()
        if (!places.has(digest)) places.set(digest, offset)
      }
      for (const { cid } of all) expect(car.offsetOf(cid)).toBe(places.get(cid.slice(-32).join()))
      await car.close()
    }),
    { numRuns: 60 },
  )
})

test('a block is found under any codec and version of its CID, and read to keep', async () => {
  const block = rawBlock(Buffer.from('the same bytes'))
  const car = await carAt(carBytes([], [block, cborBlock(block.bytes), oldBlock(block.bytes)]))
  expect(car.blockCount).toBe(3)
  expect(car.duplicates).toBe(2)
  for (const cid of [block.cid, cborCidOf(block.bytes), oldBlock(block.bytes).cid]) {
    expect(car.has(cid)).toBe(true)
    const bytes = car.read(cid)
    expect(bytes).toEqual(Uint8Array.from(block.bytes))
    bytes?.fill(0)
    expect(car.read(cid)).toEqual(Uint8Array.from(block.bytes))
  }
})

test('an identity CID has its block in itself, in the file or not', async () => {
  const block = identityBlock(Buffer.from('self'))
  const car = await carAt(carBytes([], [block]))
  const other = identityBlock(Buffer.from('other'))
  expect(car.blockCount).toBe(1)
  expect(car.duplicates).toBe(0)
  expect(car.read(block.cid)).toEqual(Uint8Array.from(block.bytes))
  expect(car.read(other.cid)).toEqual(Uint8Array.from(other.bytes))
  expect(car.has(other.cid)).toBe(true)
  expect(car.offsetOf(block.cid)).toBeUndefined()
})

test('as a store: blocks in the order asked for, undefined for what it lacks', async () => {
  const blocks = someBlocks(50, 100)
  const car = await carAt(carBytes([], blocks))
  const absent = rawCidOf(Buffer.from('absent'))
  const cids = [blocks[9]?.cid ?? absent, absent, blocks[3]?.cid ?? absent]
  expect(await car.getBlocks(cids)).toEqual([
    Uint8Array.from(blocks[9]?.bytes ?? []),
    undefined,
    Uint8Array.from(blocks[3]?.bytes ?? []),
  ])
  expect(await car.hasBlocks(cids)).toEqual([true, false, true])
  expect(car.offsetOf(absent)).toBeUndefined()
  await expectRefused(car.getBlocks([new Uint8Array(3)]), 'invalid_entry')
})

test('what is damaged is returned as it is, for the reader to prove', async () => {
  const blocks = someBlocks(3, 100)
  const bytes = Buffer.from(carBytes([], blocks))
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
  const car = await carAt(bytes)
  const cid = blocks[2]?.cid ?? bytes
  expect(cidMatches(cid, car.read(cid) ?? bytes)).toBe(false)
  await expectRefused(getProvedBlocks(car, [cid]), 'block_mismatch')
})

test('blocks of all sizes are read in order, in reverse and at random', async () => {
  const random = new Random(3)
  const blocks = Array.from({ length: 400 }, (_, i) =>
    rawBlock(
      randomBytes(i % 50 === 7 ? random.scaled(100_000, 3_000_000) : random.scaled(20, 9000)),
    ),
  )
  const car = await carAt(carBytes([], blocks))
  const shuffled = blocks.toSorted((a, b) => Buffer.compare(a.cid, b.cid))
  for (const order of [blocks, blocks.toReversed(), shuffled]) {
    for (const { cid, bytes } of order) {
      expect(Buffer.compare(car.read(cid) ?? new Uint8Array(), bytes)).toBe(0)
    }
  }
  const batches = await collect(car.sections())
  expect(batches.length).toBeGreaterThan(5)
  expect(batches.flat().map(({ cid }) => cid.join())).toEqual(blocks.map(({ cid }) => cid.join()))
  for (const { cid, bytes, offset } of batches.flat()) {
    expect(cidMatches(cid, bytes)).toBe(true)
    expect(car.offsetOf(cid)).toBe(offset)
  }
})

test('100,000 small sections are scanned with progress up to the size of the file', async () => {
  const dir = await tempDir()
  const block = rawBlock(randomBytes(200))
  const path = join(dir, 'many.car')
  await writeFile(path, carBytes([block.cid], Array<Block>(100_000).fill(block)))
  const seen: number[] = []
  const car = await CarFile.open(path, { onProgress: ({ done }) => seen.push(done) })
  expect(car.blockCount).toBe(100_000)
  expect(car.duplicates).toBe(99_999)
  expect(seen.at(-1)).toBe(car.size)
  expect(seen.length).toBeLessThan(100)
  await car.close()
})

test('an abort ends the scan and the walk', async () => {
  const dir = await tempDir()
  const path = join(dir, 'a.car')
  await writeFile(path, carBytes([], someBlocks(40, 100_000)))
  const abort = new AbortController()
  await expectRefused(
    CarFile.open(path, { signal: abort.signal, onProgress: () => abort.abort() }).catch(withHint),
    'aborted',
  )
  const car = await CarFile.open(path)
  const walk = async (): Promise<void> => {
    const again = new AbortController()
    for await (const batch of car.sections({ signal: again.signal })) {
      if (batch.length > 0) again.abort()
    }
  }
  await expectRefused(walk().catch(withHint), 'aborted')
  await car.close()
})

/** An abort needs no hint: its reader asked for it. */
const withHint = (error: unknown): never => {
  throw Object.assign(error as Error, { hint: 'None.' })
}

test('a file that is cut or replaced while it is open is an error, not fewer or other blocks', async () => {
  const dir = await tempDir()
  const blocks = someBlocks(300, 1000)
  const bytes = carBytes([], blocks)
  const cid = blocks[250]?.cid ?? bytes
  const cut = await openBytes(dir, bytes)
  await truncate(cut.path, 100_000)
  await expectRefused(cut.getBlocks([cid]), 'invalid_car')
  await expectRefused(reading(cut), 'invalid_car')
  await cut.close()
  const replaced = await openBytes(dir, bytes)
  await writeFile(replaced.path, carBytes([], blocks.toReversed()))
  await expectRefused(replaced.getBlocks([cid]), 'invalid_car')
  await expectRefused(replaced.getBlocks([cid]), 'invalid_car')
  await replaced.close()
})

test('after closing every call is refused, and nothing is left open or behind', async () => {
  const dir = await tempDir()
  const tempDirectory = await tempDir()
  const open = async (): Promise<string[]> => (await readdir('/proc/self/fd')).toSorted()
  const before = await open()
  const block = rawBlock(randomBytes(10))
  const car = await openBytes(dir, carBytes([], [block]), { tempDir: tempDirectory })
  await car.close()
  await car.close()
  await expectRefused(car.getBlocks([block.cid]), 'closed')
  await expectRefused(collect(car.sections()), 'closed')
  await expectRefused(openBytes(dir, Buffer.from('no CAR')), 'invalid_car')
  await expectRefused(openBytes(dir, carBytes([], [block]).subarray(0, 40)), 'invalid_car')
  expect(await open()).toEqual(before)
  expect(await readdir(tempDirectory)).toEqual([])
})

test('a CAR without blocks is one', async () => {
  const car = await carAt(carBytes([], []))
  expect(car.blockCount).toBe(0)
  expect(car.roots).toEqual([])
  expect(await collect(car.sections())).toEqual([])
})

test('sections keep repeated blocks, in file order', async () => {
  const [a, b] = someBlocks(2, 20)
  if (a === undefined || b === undefined) throw new Error('two blocks')
  const all = [a, b, a, a]
  const car = await carAt(carBytes([], all))
  expect((await collect(car.sections())).flat().map(blockText)).toEqual(all.map(blockText))
  expect(CID.decode(a.cid).bytes).toEqual(a.cid)
})

test('an index of several hash functions and widths, behind padding, is used', async () => {
  const blocks = [...someBlocks(20, 50), identityBlock(Buffer.from('self'))]
  const data = carBytes([], blocks)
  const plain = await carAt(data)
  const number = (value: number, bytes: 4 | 8): Buffer => {
    const buffer = Buffer.alloc(bytes)
    buffer.writeUInt32LE(value)
    return buffer
  }
  const places = blocks.slice(0, 20).map(({ cid }) => {
    return Buffer.concat([cid.subarray(4), number(plain.offsetOf(cid) ?? 0, 8)])
  })
  const bucket = (width: number, entries: readonly Buffer[]): Buffer[] => [
    number(width, 4),
    number(width * entries.length, 8),
    ...entries,
  ]
  const index = Buffer.concat([
    Buffer.from([0x81, 0x08]),
    number(2, 4),
    number(0, 8),
    number(1, 4),
    ...bucket(12, [Buffer.alloc(12), Buffer.alloc(12)]),
    number(0x12, 8),
    number(2, 4),
    ...bucket(28, [Buffer.alloc(28)]),
    ...bucket(
      40,
      places.toSorted((a, b) => Buffer.compare(a, b)),
    ),
  ])
  const head = [number(0, 8), number(0, 8), number(151, 8), number(data.length, 8)]
  const at = number(151 + data.length + 30, 8)
  const file = [PRAGMA, ...head, at, Buffer.alloc(100), data, Buffer.alloc(30), index]
  const car = await carAt(Buffer.concat(file), { trustIndex: true })
  for (const { cid, bytes } of blocks) expect(car.read(cid)).toEqual(Uint8Array.from(bytes))
  expect(car.offsetOf(blocks[4]?.cid ?? data)).toBe(
    151 + (plain.offsetOf(blocks[4]?.cid ?? data) ?? 0),
  )
  expect(car.blockCount).toBeUndefined()
  expect(car.has(rawCidOf(Buffer.from('absent')))).toBe(false)
  expect(car.blockCount).toBe(21)
})
