/**
 * What each operation asks of its bucket, by kind of request: that is what is paid for, and what takes time.
 * Counted by a proxy, not by Cairn itself. Who changes a number on purpose says why in the commit.
 */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { openBucketStore } from '../../src/backend/s3/index.ts'
import { Cairn } from '../../src/cairn.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import { preparedPrefix } from '../helpers/bucket-store.ts'
import { startBucketProxy, type BucketProxy } from '../helpers/bucket-proxy.ts'
import { tipOf } from '../helpers/entries.ts'
import { startMinio, type Minio } from '../helpers/minio.ts'

const COUNT = 20_000

let minio: Minio
let proxy: BucketProxy
/** A store with COUNT entities in one snapshot, for tests that only read. */
let loaded: string

beforeAll(async () => {
  minio = await startMinio()
  Object.assign(process.env, minio.env)
  proxy = await startBucketProxy(minio.endpoint)
  loaded = await newAddress()
  await (await loadedDataset(loaded)).close()
})

afterAll(async () => {
  await proxy.close()
  await minio.dispose()
})

const idOf = (index: number): string => `01JCOUNT${String(index).padStart(18, '0')}`
const changeOf = (index: number, round: number): { pi: string; tip: Uint8Array } => ({
  pi: idOf(index),
  tip: tipOf(`round ${round}`),
})

async function newAddress(): Promise<string> {
  const address = `//${await minio.newBucket()}/${randomBytes(6).toString('hex')}?endpoint=${proxy.endpoint}`
  await preparedPrefix(address)
  return address
}

interface Opened {
  readonly dataset: Dataset
  readonly close: () => Promise<void>
}

/** A process that has seen nothing yet. */
async function opened(address: string, make = false): Promise<Opened> {
  const backend = await openBucketStore({ address, graceMs: 0 })
  const cairn = new Cairn(backend)
  if (make) await cairn.init('main', { content: 'external' })
  return { dataset: await cairn.dataset('main'), close: () => cairn.close() }
}

async function loadedDataset(address: string): Promise<Opened> {
  const one = await opened(address, true)
  await one.dataset.bulkLoad(
    Array.from({ length: COUNT }, (_, i) => ({ ...changeOf(i, 1), ver: 1 })),
  )
  return one
}

/** A store of this test's own. */
async function own(): Promise<Opened & { readonly address: string }> {
  const address = await newAddress()
  const one = await loadedDataset(address)
  onTestFinished(() => one.close())
  return { ...one, address }
}

const KINDS: Readonly<Record<string, string>> = {
  GetObject: 'get',
  HeadObject: 'head',
  PutObject: 'put',
  ListObjectsV2: 'list',
  DeleteObjects: 'delete',
}

/** The requests of a piece of work, by kind; kinds without any are left out. */
async function during(work: () => Promise<unknown>): Promise<Record<string, number>> {
  const before = new Map(proxy.counts)
  await work()
  const asked: Record<string, number> = {}
  for (const [operation, count] of proxy.counts) {
    const more = count - (before.get(operation) ?? 0)
    if (more > 0) asked[KINDS[operation] ?? operation] = more
  }
  return asked
}

/** Whether there is a next commit, and whether the last one is still there; nothing else. */
const NO_NEWS = { get: 1, head: 1 }

const all = async (entries: AsyncIterable<unknown>): Promise<number> => {
  let count = 0
  for await (const _ of entries) count += 1
  return count
}

test('opening a dataset, and then a first page', async () => {
  const opening = opened(loaded)
  expect(await during(() => opening)).toEqual({ get: 9, list: 4 })
  const { dataset, close } = await opening
  onTestFinished(close)
  expect(await during(() => dataset.list({ limit: 100 }))).toEqual({ get: 3, head: 1 })
})

test('a lookup and a page: one question whether there is more, and a leaf that is not at hand', async () => {
  const { dataset, close } = await opened(loaded)
  onTestFinished(close)
  expect(await during(() => dataset.get(idOf(7_000)))).toEqual({ get: 2, head: 1 })
  expect(await during(() => dataset.get(idOf(7_001)))).toEqual(NO_NEWS)
  expect(await during(() => dataset.list({ limit: 100, offset: 1_000 }))).toEqual({
    get: 2,
    head: 1,
  })
  expect(await during(() => dataset.list({ limit: 100, offset: 1_000 }))).toEqual(NO_NEWS)
})

test('every entity of a process that has seen nothing', async () => {
  const { dataset, close } = await opened(loaded)
  onTestFinished(close)
  expect(await during(async () => expect(await all(dataset.entries())).toBe(COUNT))).toEqual({
    get: 5,
    head: 1,
  })
})

test('an append, a batch, and a hundred at once are one object each', async () => {
  const { dataset } = await own()
  // The HEAD asks beside it whether this is still the store that it was.
  const one = { put: 1, head: 1 }
  await dataset.append(changeOf(1, 2))
  expect(await during(() => dataset.append(changeOf(2, 2)))).toEqual(one)
  const batch = Array.from({ length: 100 }, (_, i) => changeOf(100 + i, 2))
  expect(await during(() => dataset.appendBatch(batch))).toEqual(one)
  const together = batch.map(({ pi }, i) => dataset.append.bind(dataset, { ...changeOf(i, 3), pi }))
  expect(await during(() => Promise.all(together.map((append) => append())))).toEqual(one)
})

test('a build writes one pack and one commit', async () => {
  const { dataset } = await own()
  await dataset.appendBatch(Array.from({ length: 50 }, (_, i) => changeOf(i * 400, 2)))
  expect(await during(() => dataset.build())).toEqual({ put: 3, get: 3, head: 4, delete: 1 })
  expect(await during(() => dataset.build())).toEqual(NO_NEWS)
})

test('another process hears of an append, and of a build', async () => {
  const { dataset, address } = await own()
  const other = await opened(address)
  onTestFinished(other.close)
  await other.dataset.get(idOf(1))
  expect(await during(() => other.dataset.get(idOf(1)))).toEqual(NO_NEWS)
  await dataset.append(changeOf(1, 2))
  expect(await during(() => other.dataset.get(idOf(1)))).toEqual({ get: 4, head: 2 })
  await dataset.build()
  expect(await during(() => other.dataset.get(idOf(1)))).toEqual({ get: 8, list: 3, head: 2 })
})

test('a prune that frees nothing, and one that does', async () => {
  const { dataset } = await own()
  const policy = { last: 1 }
  const first = { put: 11, get: 15, list: 14, head: 4, delete: 2 }
  expect(await during(() => dataset.prune({ policy }))).toEqual(first)
  await dataset.append(changeOf(1, 2))
  await dataset.build()
  const second = { put: 12, get: 19, list: 14, head: 4, delete: 5 }
  expect(await during(() => dataset.prune({ policy }))).toEqual(second)
})
