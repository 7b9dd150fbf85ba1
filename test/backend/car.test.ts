import { copyFile, open, rm, truncate } from 'node:fs/promises'
import { expect, onTestFinished, test } from 'vitest'
import { openCarBackend } from '../../src/backend/car.ts'
import { CarFile } from '../../src/car/file.ts'
import { FileSink } from '../../src/car/file-sink.ts'
import { CarWriter } from '../../src/car/writer.ts'
import { cairnOfCars, openBackend, openCairn } from '../../src/compose.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import { bytesEqual, cborCidOf, parseCid, printCid, rawCidOf } from '../../src/model/cid.ts'
import type { Backend } from '../../src/store/backend.ts'
import { carPath, writeCar } from '../helpers/cars.ts'
import {
  collect,
  expectRefused,
  newestCommit,
  openTest,
  plain,
  refusal,
  START,
} from '../helpers/engine.ts'

const DAY = 86_400_000

/** A dataset with snapshots, deletions, expiries and a recent chain of several blocks. */
async function makeDataset(name = 'main'): Promise<Dataset> {
  const { dataset, clock } = await openTest({
    name,
    init: { content: 'linked', chunkSize: 64 },
    clock: { now: START },
  })
  const puts = Array.from({ length: 400 }, (_, i) => ({ pi: `e${i}`, value: { i } }))
  await dataset.putBatch(puts)
  await dataset.append({ pi: 'e7', tip: null })
  await dataset.put('gone', 1, { exp: START + DAY })
  await dataset.build({ reason: 'first', tags: ['kept'] })
  clock.now += 1000
  await dataset.put('e1', { second: true })
  await dataset.put('zz', new Uint8Array(2_000_000).fill(7))
  await dataset.append({ pi: 'e9', tip: null })
  return dataset
}

async function openedCar(
  dataset: Dataset,
  options: Parameters<typeof writeCar>[2] = {},
): Promise<CarFile> {
  const path = carPath()
  await writeCar(dataset, path, options)
  const car = await CarFile.open(path)
  onTestFinished(async () => {
    await car.close()
    await rm(path, { force: true })
  })
  return car
}

const at = { now: () => START + 2000 }

async function reading(dataset: Dataset): Promise<Record<string, unknown>> {
  const pages = []
  for (const order of ['asc', 'desc'] as const) {
    for (const offset of [0, 3, 250, 399]) {
      const { items, ...page } = await dataset.list({ order, offset, limit: 60 })
      pages.push({ ...page, items: items.map(plain) })
    }
  }
  const prefixed = await dataset.list({ prefix: 'e1', limit: 10_000 })
  const all = await collect(dataset.entries({ deleted: true, order: 'asc' }))
  const [first, ...further] = await collect(dataset.snapshots())
  return {
    pages,
    prefixed: prefixed.items.map(plain),
    all: all.map(plain),
    one: plain((await dataset.get('e1')) ?? expect.fail('no e1')),
    none: await dataset.get('e9'),
    history: (await collect(dataset.history('e1'))).map(({ position }) => position)[0],
    snapshot: { ...first, cid: printCid(first?.cid ?? new Uint8Array()) },
    older: further.length,
  }
}

test('what the engine reads from a CAR is what it reads from the store it was exported from', async () => {
  const dataset = await makeDataset()
  const car = await openedCar(dataset)
  const fromCar = await reading(await (await cairnOfCars([car], at)).dataset())
  const fromStore = await reading(dataset)
  // The CAR keeps one snapshot, its own.
  expect(fromCar).toEqual({ ...fromStore, older: 0 })
  const tree = (await (await cairnOfCars([car], at)).dataset()).diff('latest', 'latest')
  expect(await collect(tree)).toEqual([])
})

test('contents come out of a CAR, of one block and of many', async () => {
  const car = await openedCar(await makeDataset())
  const dataset = await (await cairnOfCars([car], at)).dataset()
  const value = await dataset.content((await dataset.get('e1'))?.tip ?? '')
  expect(value).toEqual({ kind: 'value', value: { second: true } })
  const file = await dataset.content((await dataset.get('zz'))?.tip ?? '')
  const parts = file.kind === 'bytes' ? await collect(file.bytes) : []
  expect(Buffer.concat(parts).equals(Buffer.alloc(2_000_000, 7))).toBe(true)
})

test('a CAR without content says that a content is missing', async () => {
  const car = await openedCar(await makeDataset(), { content: 'index' })
  const cairn = await cairnOfCars([car], at)
  const dataset = await cairn.dataset()
  const tip = (await dataset.get('e1'))?.tip ?? ''
  await expectRefused(dataset.content(tip), 'block_missing')
  expect((await cairn.status()).notes).toEqual(['the CAR was exported with --content index'])
})

test('a delta is read with its base, and refused without', async () => {
  const { dataset, clock } = await openTest({ init: { content: 'linked', chunkSize: 64 } })
  await dataset.putBatch(Array.from({ length: 400 }, (_, i) => ({ pi: `e${i}`, value: i })))
  await dataset.build()
  const base = await openedCar(dataset)
  clock.now += 1000
  await dataset.put('e5', 'new')
  await dataset.build()
  await dataset.put('e6', 'newer')
  const delta = await openedCar(dataset, { since: 'latest~1' })
  await expectRefused(cairnOfCars([delta]), 'base_missing')
  for (const cars of [
    [base, delta],
    [delta, base],
  ]) {
    const read = await (await cairnOfCars(cars)).dataset()
    const want = (await collect(dataset.entries())).map(plain)
    expect((await collect(read.entries())).map(plain)).toEqual(want)
    for (const pi of ['e5', 'e6', 'e7']) {
      const { value } = (await read.content((await read.get(pi))?.tip ?? '')) as { value: unknown }
      expect(value).toBe({ e5: 'new', e6: 'newer', e7: 7 }[pi])
    }
  }
})

test('a snapshot that a stock tool exported is read as the dataset "main"', async () => {
  const { dataset, backend } = await openTest({ name: 'photos', init: { chunkSize: 64 } })
  await dataset.appendBatch(
    Array.from({ length: 100 }, (_, i) => ({ pi: `e${i}`, tip: rawCidOf(Buffer.of(i)) })),
  )
  await dataset.build()
  const full = await openedCar(dataset)
  const { snapshot } = await newestCommit(backend, 'photos')
  const path = carPath()
  const handle = await open(path, 'w')
  const writer = await CarWriter.begin(new FileSink(handle), [snapshot])
  for await (const batch of full.sections()) {
    for (const { cid, bytes } of batch) {
      if (!full.roots.some((root) => bytesEqual(root, cid))) await writer.put(cid, bytes)
    }
  }
  await writer.finish()
  await handle.close()
  const cairn = await openCairn(`car:${path}`)
  const read = await cairn.dataset()
  expect((await collect(read.entries())).map(plain)).toEqual(
    (await collect(dataset.entries())).map(plain),
  )
  expect((await read.status()).pointer).toMatchObject({ recent_count: 0, total_count: 100 })
  await cairn.close()
})

test('nothing is written to a CAR', async () => {
  const car = await openedCar(await makeDataset())
  const backend = openCarBackend([car])
  const request = { dataset: 'main', number: 1, bytes: new Uint8Array(), blocks: [] }
  const writes: readonly (() => Promise<unknown>)[] = [
    () => backend.stage('main', 'a test'),
    () => backend.commit(request),
    () => backend.forget('main', 0),
    () => backend.sweep({ waitMs: 0 }),
    () => backend.compact(),
  ]
  for (const write of writes) await expectRefused(write(), 'access_denied')
  const cairn = await cairnOfCars([car])
  await expectRefused(cairn.init('other'), 'access_denied')
  const dataset = await cairn.dataset()
  await expectRefused(dataset.put('x', 1), 'access_denied')
  await expectRefused(dataset.append({ pi: 'x', tip: null }), 'access_denied')
  await expectRefused(dataset.build({ reason: 'more' }), 'access_denied')
  expect((await dataset.list()).totalCount).toBe(400)
})

test('it keeps to the contract of stores where they are read', async () => {
  const dataset = await makeDataset('photos')
  const car = await openedCar(dataset)
  let closed = 0
  const backend: Backend = openCarBackend([car], async () => void (closed += 1))
  expect(await backend.datasets()).toEqual(['photos'])
  expect(await backend.newest('photos', 0)).toBeUndefined()
  expect(await backend.newest('main', -1)).toBeUndefined()
  await expectRefused(backend.newest('photos', 1), 'store_changed')
  await expectRefused(backend.newest('main', 0), 'store_changed')
  expect(await backend.oldest('photos')).toBe(0)
  expect(await backend.oldest('main')).toBeUndefined()
  const first = await backend.newest('photos', -1)
  expect(await backend.getCommit('photos', 0)).toEqual(first?.bytes)
  expect(await backend.getCommit('photos', 1)).toBeUndefined()
  first?.bytes.fill(0)
  const commit = await newestCommit(backend, 'photos')
  const nowhere = cborCidOf(Buffer.from('nowhere'))
  const inline = Uint8Array.from([1, 0x55, 0, 2, 104, 105])
  expect(await backend.hasBlocks([commit.kept, nowhere, commit.snapshot, inline])).toEqual([
    true,
    false,
    true,
    true,
  ])
  const [kept, none, snapshot, hi] = await backend.getBlocks([
    commit.kept,
    nowhere,
    commit.snapshot,
    inline,
  ])
  expect([cborCidOf(kept ?? nowhere), none]).toEqual([commit.kept, undefined])
  expect(cborCidOf(snapshot ?? nowhere)).toEqual(commit.snapshot)
  expect(Buffer.from(hi ?? nowhere).toString()).toBe('hi')
  kept?.fill(0)
  expect((await backend.getBlocks([commit.kept]))[0]).not.toEqual(kept)
  const signal = AbortSignal.abort()
  expect((await refusal(backend.getBlocks([], { signal }))).code).toBe('aborted')
  await (await backend.lease('a note')).release()
  expect([await backend.leases(), await backend.sweeps()]).toEqual([[], 0])
  await backend.close()
  await backend.close()
  expect(closed).toBe(1)
  await expect(backend.datasets()).rejects.toMatchObject({ code: 'closed' })
})

test('a damaged block of a CAR is never believed', async () => {
  const path = carPath()
  await writeCar(await makeDataset(), path)
  const whole = await CarFile.open(path)
  const cairn = await openCairn(`car:${path}`)
  const { root } = await (await cairn.dataset()).status()
  const offset = whole.offsetOf(parseCid(root)) ?? 0
  await whole.close()
  await cairn.close()
  const handle = await open(path, 'r+')
  await handle.write(Buffer.from([0xff]), 0, 1, offset + 60)
  await handle.close()
  await using damaged = await openCairn(`car:${path}`)
  await expectRefused(damaged.dataset(), 'block_mismatch')
})

test('stores are named car:FILE, and a file that is no CAR is refused', async () => {
  const path = carPath()
  await writeCar(await makeDataset(), path)
  await expectRefused(openBackend('car:'), 'usage')
  await expectRefused(openBackend('car:/nowhere/at/all.car'), 'usage')
  const cut = carPath()
  await copyFile(path, cut)
  await truncate(cut, 300)
  await expectRefused(openBackend(`car:${path},${cut}`), 'invalid_car')
  const backend = await openBackend(`car:${path}`)
  expect([backend.kind, backend.location]).toEqual(['car', `car:${path}`])
  await backend.close()
})
