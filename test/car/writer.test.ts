/** CARs that Cairn writes, version 1 and 2: read by others, and with the index that it may trust. */
import { createHash, randomBytes } from 'node:crypto'
import { open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CarReader } from '@ipld/car'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FileSink } from '../../src/car/file-sink.ts'
import { CarFile } from '../../src/car/file.ts'
import { CarV2Writer } from '../../src/car/writer-v2.ts'
import { CarWriter, type BlockWriter, type CarWritten } from '../../src/car/writer.ts'
import { rawCidOf, type Block, type CidBytes } from '../../src/model/cid.ts'
import { expectRefused, tempDir } from '../helpers/engine.ts'
import { Random } from '../helpers/random.ts'
import {
  blockText,
  carBytes,
  cborBlock,
  identityBlock,
  oldBlock,
  otherCar,
  rawBlock,
  reading,
} from './cars.ts'

async function putAll(writer: BlockWriter, blocks: readonly Block[]): Promise<CarWritten> {
  for (const { cid, bytes } of blocks) {
    const writing = writer.put(cid, bytes)
    if (writing !== undefined) await writing
  }
  return writer.finish()
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

async function writeV2(
  path: string,
  roots: readonly CidBytes[],
  blocks: readonly Block[],
): Promise<CarWritten> {
  const handle = await open(path, 'wx+')
  try {
    return await putAll(await CarV2Writer.begin(handle, roots), blocks)
  } finally {
    await handle.close()
  }
}

const anyBlock = fc
  .tuple(
    fc.oneof(fc.uint8Array({ maxLength: 36 }), fc.uint8Array({ maxLength: 3000 })),
    fc.constantFrom(rawBlock, cborBlock, oldBlock, identityBlock),
  )
  .map(([bytes, of]) => of(of === identityBlock ? bytes.slice(0, 36) : bytes))

test('a CARv1 is the very bytes of @ipld/car, with its hash and counts', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyBlock, { maxLength: 60 }), async (blocks) => {
      const roots = blocks.slice(0, 3).map(({ cid }) => cid)
      const chunks: Uint8Array[] = []
      const sink = { write: (chunk: Uint8Array): void => void chunks.push(chunk.slice()) }
      const written = await putAll(await CarWriter.begin(sink, roots), blocks)
      const bytes = Buffer.concat(chunks)
      expect(Buffer.compare(bytes, await otherCar(roots, blocks))).toBe(0)
      expect(written).toEqual({
        bytes: bytes.length,
        blocks: blocks.length,
        sha256: sha256(bytes),
      })
    }),
    { numRuns: 50 },
  )
})

test('a slow sink gets chunks of 1 MiB, one after the other, that do not change under it', async () => {
  const random = new Random(5)
  const blocks = Array.from({ length: 3000 }, (_, i) =>
    rawBlock(randomBytes(i % 500 === 9 ? 3_000_000 : random.scaled(1, 5000))),
  )
  const chunks: Uint8Array[] = []
  let writing = 0
  const sink = {
    async write(chunk: Uint8Array): Promise<void> {
      writing += 1
      expect(writing).toBe(1)
      const before = sha256(chunk)
      await new Promise((resolve) => setTimeout(resolve, 2))
      expect(sha256(chunk)).toBe(before)
      chunks.push(chunk.slice())
      writing -= 1
    },
  }
  const written = await putAll(await CarWriter.begin(sink, []), blocks)
  expect(chunks.slice(0, -1).every(({ length }) => length === 1 << 20)).toBe(true)
  const expected = carBytes([], blocks)
  expect(Buffer.compare(Buffer.concat(chunks), expected)).toBe(0)
  expect(written.sha256).toBe(sha256(expected))
})

test('a sink that fails, fails the writer, at once or at the end', async () => {
  for (const failing of [0, 1, 4]) {
    let writes = 0
    const sink = {
      async write(): Promise<void> {
        await Promise.resolve()
        if (writes++ === failing) throw new Error('no more')
      },
    }
    const blocks = Array.from({ length: 5 }, () => rawBlock(randomBytes(900_000)))
    const all = async (): Promise<CarWritten> => putAll(await CarWriter.begin(sink, []), blocks)
    await expect(all()).rejects.toThrow('no more')
    const writer = await CarWriter.begin(sink, [])
    writes = failing
    await expect(putAll(writer, blocks)).rejects.toThrow('no more')
    await expect(writer.finish()).rejects.toThrow('no more')
  }
})

test('blocks that no reader would take, and too many roots, are refused', async () => {
  const sink = { write: (): void => {} }
  const writer = await CarWriter.begin(sink, [])
  const bytes = new Uint8Array((8 << 20) + 1)
  await expectRefused((async () => writer.put(rawCidOf(bytes), bytes))(), 'too_large')
  const roots = Array<CidBytes>(10_001).fill(rawCidOf(bytes))
  await expectRefused(CarWriter.begin(sink, roots), 'too_large')
})

test('a full disk is an error', async () => {
  const file = await open('/dev/full', 'w')
  const writer = await CarWriter.begin(new FileSink(file), [])
  await expectRefused(putAll(writer, [rawBlock(randomBytes(10))]), 'no_space')
  await file.close()
})

/** The index of a CARv2 as its specification has it, made the plain way. */
function plainIndex(blocks: readonly Block[], offsets: ReadonlyMap<string, number[]>): Buffer {
  const entries = [...offsets].flatMap(([key, places]) =>
    places.map((place) => {
      const entry = Buffer.alloc(40)
      entry.write(key, 'hex')
      entry.writeBigUInt64LE(BigInt(place), 32)
      return entry
    }),
  )
  entries.sort((a, b) => Buffer.compare(a.subarray(0, 32), b.subarray(0, 32)))
  if (blocks.length === 0 || entries.length === 0) return Buffer.from('810800000000', 'hex')
  const head = Buffer.from('8108010000001200000000000000010000002800000000000000000000', 'hex')
  const sized = Buffer.concat([head, Buffer.alloc(30 - head.length)])
  sized.writeBigUInt64LE(BigInt(entries.length * 40), 22)
  return Buffer.concat([sized, ...entries])
}

test('a CARv2 is header, CARv1 and sorted index to the byte; @ipld/car reads it', async () => {
  const dir = await tempDir()
  let files = 0
  await fc.assert(
    fc.asyncProperty(fc.array(anyBlock, { maxLength: 60 }), async (blocks) => {
      const roots = blocks.slice(0, 2).map(({ cid }) => cid)
      const path = join(dir, `${files++}.car`)
      const written = await writeV2(path, roots, blocks)
      const bytes = await readFile(path)
      expect(written).toEqual({ bytes: bytes.length, blocks: blocks.length, sha256: sha256(bytes) })
      const data = carBytes(roots, blocks)
      expect(Buffer.compare(bytes.subarray(51, 51 + data.length), data)).toBe(0)
      const offsets = new Map<string, number[]>()
      const plain = await CarFile.open(path)
      for await (const batch of plain.sections()) {
        for (const { cid, offset } of batch) {
          if (cid[0] === 1 && cid[2] === 0) continue
          const key = Buffer.from(cid.subarray(-32)).toString('hex')
          offsets.set(key, [...(offsets.get(key) ?? []), offset - 51])
        }
      }
      await plain.close()
      const index = bytes.subarray(51 + data.length)
      expect(Buffer.compare(index, plainIndex(blocks, offsets))).toBe(0)
      const reader = await CarReader.fromBytes(bytes)
      expect(reader.version).toBe(2)
      const found: string[] = []
      for await (const { cid, bytes: block } of reader.blocks()) {
        found.push(blockText({ cid: cid.bytes, bytes: block }))
      }
      expect(found).toEqual(blocks.map(blockText))
      const car = await CarFile.open(path, { trustIndex: true })
      for (const { cid, bytes: block } of blocks) expect(car.read(cid)).toEqual(block)
      if (offsets.size > 0) expect(car.blockCount).toBeUndefined()
      expect(await reading(car)).toMatchObject({ blocks: blocks.map(blockText) })
      await car.close()
    }),
    { numRuns: 50 },
  )
})

test('a trusted index, damaged anywhere, never gives wrong bytes nor hides a block', async () => {
  const dir = await tempDir()
  const path = join(dir, 'whole.car')
  const blocks = [
    ...Array.from({ length: 40 }, (_, i) => rawBlock(Buffer.from(`block ${i}`))),
    identityBlock(Buffer.from('self')),
  ]
  await writeV2(path, [], blocks)
  const whole = await readFile(path)
  const indexAt = 51 + carBytes([], blocks).length
  const absent = rawCidOf(Buffer.from('absent'))
  let scanned = 0
  for (let at = indexAt; at < whole.length; at += at < indexAt + 75 ? 1 : 13) {
    for (const change of [0x01, 0x80, 0xff]) {
      const damaged = Buffer.from(whole)
      damaged[at] = (damaged[at] ?? 0) ^ change
      const copy = join(dir, 'damaged.car')
      await writeFile(copy, damaged)
      const car = await CarFile.open(copy, { trustIndex: true })
      for (const { cid, bytes } of blocks) {
        const read = car.read(cid)
        if (read === undefined || Buffer.compare(read, bytes) !== 0) expect.fail(`byte ${at}`)
      }
      if (car.blockCount !== undefined) scanned += 1
      expect(car.has(absent)).toBe(false)
      expect(car.blockCount).toBe(blocks.length)
      await car.close()
    }
  }
  expect(scanned).toBeGreaterThan(100)
  for (let length = indexAt + 1; length < whole.length; length += 11) {
    const copy = join(dir, 'cut.car')
    await writeFile(copy, whole.subarray(0, length))
    const car = await CarFile.open(copy, { trustIndex: true })
    for (const { cid, bytes } of blocks) expect(car.read(cid)).toEqual(Uint8Array.from(bytes))
    await car.close()
  }
})

test('with a trusted index damage elsewhere in the data is met only by who scans', async () => {
  const dir = await tempDir()
  const path = join(dir, 'a.car')
  const blocks = Array.from({ length: 9 }, (_, i) => rawBlock(Buffer.from(`block ${i}`)))
  await writeV2(path, [], blocks)
  const bytes = await readFile(path)
  const last = blocks.at(-1)?.cid ?? bytes
  bytes[bytes.indexOf(last) - 1] = 0
  await writeFile(path, bytes)
  await expectRefused(CarFile.open(path), 'invalid_car')
  const car = await CarFile.open(path, { trustIndex: true })
  expect(car.read(blocks[0]?.cid ?? last)).toEqual(Uint8Array.from(blocks[0]?.bytes ?? []))
  await expectRefused(car.getBlocks([last]), 'invalid_car')
  await car.close()
})

test('an unfinished CARv2 is refused', async () => {
  const dir = await tempDir()
  const path = join(dir, 'a.car')
  const handle = await open(path, 'wx+')
  const writer = await CarV2Writer.begin(handle, [])
  for (let i = 0; i < 3; i++) await writer.put(rawCidOf(Buffer.from('x')), randomBytes(1_000_000))
  await handle.close()
  await expectRefused(CarFile.open(path), 'invalid_car')
})
