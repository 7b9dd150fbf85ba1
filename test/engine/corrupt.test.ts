/** Hostile and damaged CARs: each is refused with its code, changes nothing, and is judged by verification. */
import { readFileSync, readdirSync } from 'node:fs'
import { open, rm, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import * as dagCbor from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { openLmdb } from '../../src/backend/lmdb/index.ts'
import { openMemory } from '../../src/backend/memory.ts'
import { carHeader, sectionHead } from '../../src/car/encode.ts'
import { CarFile } from '../../src/car/file.ts'
import { FileSink } from '../../src/car/file-sink.ts'
import { CarV2Writer } from '../../src/car/writer-v2.ts'
import { CarWriter } from '../../src/car/writer.ts'
import { Cairn } from '../../src/cairn.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import type { CarVerification } from '../../src/engine/car-verification.ts'
import { verifyCar } from '../../src/engine/verify-car.ts'
import { isCairnError, type ErrorCode } from '../../src/errors.ts'
import { cborBlock, rawCidOf, type Block, type CidBytes } from '../../src/model/cid.ts'
import { encodeNode } from '../../src/model/node.ts'
import { RunBuilder } from '../../src/model/run.ts'
import { encodeSnapshot } from '../../src/model/snapshot.ts'
import type { Backend } from '../../src/store/backend.ts'
import { carPath, writeCar } from '../helpers/cars.ts'
import { collect, openTest, plain, refusal, START, tempDir } from '../helpers/engine.ts'

const FOLDER = fileURLToPath(new URL('../../fixtures/corrupt/', import.meta.url))

interface Expected {
  /** Null: it restores. */
  readonly restore: ErrorCode | null
  readonly verify:
    | { readonly error: ErrorCode }
    | { readonly verdict: CarVerification['verdict']; readonly codes: readonly ErrorCode[] }
  /** Where the section begins that verification must name. */
  readonly offset: number | null
}

const EXPECTED = JSON.parse(readFileSync(`${FOLDER}expected.json`, 'utf8')) as Record<
  string,
  Expected
>
const CASES = Object.entries(EXPECTED)

/** What only shows when all is in the store, whose blocks then stay there without a name. */

test('there is an answer for every file, and a file for every answer', () => {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith('.car'))
  expect(files.toSorted()).toEqual(CASES.map(([name]) => `${name}.car`).toSorted())
  expect(files.length).toBeGreaterThan(60)
})

/** All that must not change when a restore is refused. */
async function stateOf(backend: Backend): Promise<unknown> {
  const datasets = await backend.datasets()
  const cairn = new Cairn(backend)
  const states = []
  for (const name of datasets) {
    const newest = await backend.newest(name, -1)
    const dataset = await cairn.dataset(name)
    const entries = await collect(dataset.entries({ deleted: true }))
    states.push({
      name,
      number: newest?.number,
      commit: Buffer.from(newest?.bytes ?? []).toString('hex'),
      entries: entries.map(plain),
    })
  }
  return states
}

async function storeWithData(backend: Backend): Promise<Backend> {
  const { dataset } = await openTest({ backend, name: 'main', init: { content: 'linked' } })
  await dataset.put('mine', { keep: 'this' })
  await dataset.build()
  await dataset.put('mine too', 2)
  return backend
}

const BACKENDS: readonly (readonly [string, () => Promise<Backend>])[] = [
  ['memory', async () => openMemory()],
  ['lmdb', async () => openLmdb({ dir: await tempDir(), create: true })],
]

test.each(BACKENDS)(
  'on %s a corrupt CAR is refused with its code, and commits and listings stay as they were',
  async (kind, open) => {
    const backend = await storeWithData(await open())
    const blocks = async (): Promise<unknown> => (await backend.status()).details['blocks']
    const wrong: string[] = []
    try {
      const before = await stateOf(backend)
      const blocksBefore = await blocks()
      for (const [name, { restore }] of CASES) {
        if (restore === null) continue
        const error = await restored(backend, `${FOLDER}${name}.car`).catch((e: unknown) => e)
        if (!isCairnError(error)) {
          wrong.push(`${name}: ${String(error)}`)
          continue
        }
        if (error.code !== restore) wrong.push(`${name}: ${error.code}: ${error.message}`)
        if (!/\S/.test(error.hint ?? '')) wrong.push(`${name}: no hint`)
        if (kind === 'memory' && (await blocks()) !== blocksBefore) {
          wrong.push(`${name}: left blocks`)
        }
      }
      expect(wrong).toEqual([])
      expect(await stateOf(backend)).toEqual(before)
    } finally {
      await backend.close()
    }
  },
)

async function restored(backend: Backend, path: string): Promise<string> {
  await using car = await opened(path)
  return (await new Cairn(backend).restoreCar([car.file], { replace: true })).status
}

test('what is odd and yet whole restores, and can be read and written', async () => {
  for (const [name] of CASES.filter(([, { restore }]) => restore === null)) {
    const backend = openMemory()
    expect(await restored(backend, `${FOLDER}${name}.car`), name).toBe('restored')
    const dataset = await new Cairn(backend).dataset()
    expect((await dataset.list()).totalCount, name).toBe(69)
    await dataset.put('new', 1)
    await dataset.build()
    expect((await dataset.list()).totalCount, name).toBe(70)
  }
})

test('verification judges every file as it should, and names the block', async () => {
  const wrong: string[] = []
  for (const [name, { verify, offset }] of CASES) {
    const found = await judged(`${FOLDER}${name}.car`)
    const { offsets, ...verdict } = found
    if (JSON.stringify(verdict) !== JSON.stringify(normal(verify)))
      wrong.push(`${name}: ${JSON.stringify(found)} instead of ${JSON.stringify(verify)}`)
    if (offset !== null && !offsets.includes(offset))
      wrong.push(`${name}: names ${offsets.join(', ')}, not ${offset}`)
  }
  expect(wrong).toEqual([])
})

const normal = (verify: Expected['verify']): unknown =>
  'error' in verify ? verify : { verdict: verify.verdict, codes: verify.codes.toSorted() }

type Judged = Record<string, unknown> & { readonly offsets: readonly (number | null)[] }

async function judged(path: string): Promise<Judged> {
  try {
    await using car = await opened(path)
    const { verdict, problems } = await verifyCar([car.file])
    const codes = [...new Set(problems.map(({ code }) => code))].toSorted()
    return { verdict, codes, offsets: problems.map(({ offset }) => offset) }
  } catch (error) {
    if (isCairnError(error)) return { error: error.code, offsets: [] }
    throw error
  }
}

async function opened(path: string): Promise<AsyncDisposable & { readonly file: CarFile }> {
  const file = await CarFile.open(path)
  return { file, [Symbol.asyncDispose]: () => file.close() }
}

async function writeBytes(bytes: Uint8Array): Promise<string> {
  const path = carPath()
  await writeFile(path, bytes)
  return path
}

const BLOCKS_OF_SMALL = 10

/** A small whole CAR: a few entities in the tree, one in the chain, and their contents. */
async function smallCar(version: 1 | 2 = 1): Promise<Buffer> {
  const { dataset } = await openTest({ init: { content: 'linked', chunkSize: 64 } })
  await dataset.putBatch(['a', 'b', 'c'].map((pi) => ({ pi, value: { of: pi } })))
  await dataset.build()
  await dataset.put('d', 'in the chain')
  const path = carPath()
  if (version === 1) await writeCar(dataset, path)
  else await writeCarV2(dataset, path)
  return readFileSync(path)
}

async function writeCarV2(dataset: Dataset, path: string): Promise<void> {
  const handle = await open(path, 'w+')
  try {
    await dataset.exportCar((root) => CarV2Writer.begin(handle, [root]))
  } finally {
    await handle.close()
  }
}

/** What a restore of `bytes` into an empty store gives: its entities, or the code it is refused with. */
async function outcome(bytes: Uint8Array, path: string): Promise<string> {
  const backend = openMemory()
  await writeFile(path, bytes)
  try {
    await restored(backend, path)
  } catch (error) {
    if (!isCairnError(error) || error.code === 'internal') throw error
    expect([await backend.datasets(), (await backend.status()).details['blocks']]).toEqual([[], 0])
    return error.code
  }
  const entries = await collect((await new Cairn(backend).dataset()).entries({ deleted: true }))
  return JSON.stringify(entries.map(plain))
}

test('every flipped byte and every truncation of a small CAR is refused', async () => {
  const car = await smallCar()
  expect(car.length).toBeLessThan(3000)
  const path = carPath()
  const whole = await outcome(car, path)
  const codes = new Set<string>()
  let harmless = 0
  for (let at = 0; at < car.length; at++) {
    codes.add(await outcome(car.subarray(0, at), path))
    const bytes = Buffer.from(car)
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8))
    const found = await outcome(bytes, path)
    if (found !== whole) codes.add(found)
    else {
      // A block is found by its digest, under whatever codec; that the section says another is damage.
      harmless += 1
      expect(await judged(path)).toMatchObject({ verdict: 'damaged', codes: ['invalid_car'] })
    }
  }
  const refusals = ['block_mismatch', 'block_missing', 'content_missing', 'invalid_car']
  expect([...codes].toSorted()).toEqual(refusals)
  expect(harmless).toBeLessThanOrEqual(BLOCKS_OF_SMALL)
})

test('of a CARv2 every flipped byte and every truncation is refused, or does no harm', async () => {
  const car = await smallCar(2)
  const path = carPath()
  const whole = await outcome(car, path)
  const outcomes = new Map<string, number>()
  for (let at = 0; at < car.length; at++) {
    const bytes = Buffer.from(car)
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8))
    for (const one of [bytes, car.subarray(0, at)]) {
      const found = await outcome(one, path)
      outcomes.set(found, (outcomes.get(found) ?? 0) + 1)
    }
  }
  const kinds = [...outcomes.keys()].filter((one) => one !== whole).toSorted()
  expect(kinds).toEqual(['block_mismatch', 'block_missing', 'content_missing', 'invalid_car'])
})

/** The snapshot of one entity, with the blocks of its content. */
async function carWithContent(root: CidBytes, blocks: Iterable<Block>): Promise<string> {
  const run = new RunBuilder()
  run.push({ pi: 'a', ver: 1, tip: root, ts: START, exp: null }, 'linked')
  const leaf = cborBlock(encodeNode(0, 1, run.take().bytes))
  const header = encodeSnapshot({
    dataset: 'bidentity',
    seq: 1,
    ts: START,
    root: leaf.cid,
    entries: 1,
    live: 1,
    chunkCount: 1,
    upto: 1,
    chunkSize: 64,
    content: 'linked',
    reason: 'test',
    tags: [],
    meta: {},
    prev: null,
    head: null,
  })
  const path = carPath()
  const handle = await open(path, 'w')
  try {
    const writer = await CarWriter.begin(new FileSink(handle), [header.cid])
    for (const { cid, bytes } of [header, leaf]) await writer.put(cid, bytes)
    for (const { cid, bytes } of blocks) await writer.put(cid, bytes)
    await writer.finish()
  } finally {
    await handle.close()
  }
  return path
}

test('content 100,000 blocks deep is legal, and is restored and verified', async () => {
  const blocks: Block[] = [cborBlock(dagCbor.encode({ depth: 0 }))]
  for (let depth = 1; depth < 100_000; depth++) {
    const below = blocks.at(-1) ?? expect.fail('no block')
    blocks.push(cborBlock(dagCbor.encode({ below: CID.decode(below.cid) })))
  }
  const root = blocks.at(-1)?.cid ?? expect.fail('no root')
  const path = await carWithContent(root, blocks.toReversed())
  const backend = openMemory()
  expect(await restored(backend, path)).toBe('restored')
  expect((await backend.status()).details['blocks']).toBeGreaterThan(100_000)
  expect(await judged(path)).toEqual({ verdict: 'whole', codes: [], offsets: [] })
  await rm(path)
})

test('a content block above 2 MiB is refused, one of 2 MiB is not', async () => {
  for (const [size, code] of [
    [2 << 20, undefined],
    [(2 << 20) + 1, 'too_large'],
  ] as const) {
    const bytes = new Uint8Array(size)
    const block = { cid: rawCidOf(bytes), bytes }
    const path = await carWithContent(block.cid, [block])
    const answer = await restored(openMemory(), path).catch((error: unknown) => error)
    if (code === undefined) expect(answer).toBe('restored')
    else expect(answer).toMatchObject({ code })
    const { verdict, codes } = await judged(path)
    expect([verdict, codes]).toEqual(code === undefined ? ['whole', []] : ['damaged', [code]])
  }
})

test('a section above 8 MiB is refused before it is read', async () => {
  const bytes = new Uint8Array((8 << 20) + 100)
  const cid = rawCidOf(bytes)
  const car = Buffer.concat([carHeader([cid]), sectionHead(cid, bytes.length), bytes])
  const error = await refusal(restored(openMemory(), await writeBytes(car)))
  expect([error.code, error.details['offset']]).toEqual(['invalid_car', carHeader([cid]).length])
})
