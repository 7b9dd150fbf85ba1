/** Browsing a CAR in a real browser gives what the dataset gives that it was made from. */
import { appendFile, copyFile, rm } from 'node:fs/promises'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Dataset } from '../../../src/engine/dataset.ts'
import { changeRecords, chunkRecord, snapshotRecord } from '../../../src/engine/records.ts'
import { printCid } from '../../../src/model/cid.ts'
import { entryRecord } from '../../../src/model/entry-record.ts'
import type { CarHandle, openCar } from '../../../web/src/car/client.ts'
import { carPath, writeCar } from '../../helpers/cars.ts'
import { collect, openTest } from '../../helpers/engine.ts'
import { openCarPage, type CarPage } from './car-page.ts'

declare const document: { querySelector(selector: string): { files: ArrayLike<File> } }
declare const window: { openCar: typeof openCar; car: CarHandle }

const ENCRYPTED = fileURLToPath(new URL('../../../fixtures/age/hello.age', import.meta.url))
const FILE_BYTES = 2_500_000

let dataset: Dataset
let page: CarPage
const first = carPath()
const second = carPath()
const delta = carPath()

beforeAll(async () => {
  const opened = await openTest({ name: 'main', init: { content: 'linked', chunkSize: 64 } })
  dataset = opened.dataset
  for (let from = 0; from < 400; from += 100) {
    const puts = Array.from({ length: 100 }, (_, i) => {
      const name = `e${String(from + i).padStart(4, '0')}`
      return { pi: from + i === 7 ? 'ä-not-ascii' : name, value: { n: from + i } }
    })
    await dataset.putBatch(puts)
  }
  await dataset.build({ tags: ['first'] })
  await writeCar(dataset, first)
  await dataset.put('e0003', { n: 3, changed: true })
  await dataset.append({ pi: 'e0004', tip: null })
  await dataset.build()
  await dataset.put('file', new Uint8Array(FILE_BYTES).fill(65))
  await dataset.put('e0005', { n: 'recent' })
  await writeCar(dataset, second)
  await writeCar(dataset, delta, { since: 'first' })
  page = await openCarPage('file')
})

afterAll(async () => {
  await page.close()
  await Promise.all([first, second, delta].map((path) => rm(path, { force: true })))
})

/** Opens the files in the page, as `car` there. */
async function choose(...paths: string[]): Promise<unknown> {
  await page.page.setInputFiles('input', paths)
  return page.page.evaluate(async () => {
    try {
      window.car?.close()
      window.car = await window.openCar(Array.from(document.querySelector('input').files))
      return window.car.summary.problem?.code ?? 'open'
    } catch (thrown) {
      const { code, message } = thrown as { code: string; message: string }
      return { code, message }
    }
  })
}

test('pages, single entities and histories, from a page on the disk', async () => {
  expect(await choose(second)).toBe('open')
  const found = await page.page.evaluate(async () => {
    const { car } = window
    const head = await car.entities({ limit: 3 })
    return {
      head,
      next: await car.entities({ limit: 3, cursor: head.next_cursor ?? '' }),
      offset: await car.entities({ limit: 2, offset: 200, order: 'asc' }),
      prefix: await car.entities({ prefix: 'ä' }),
      before: await car.entities({ limit: 1, order: 'asc', at_snapshot: 'latest' }),
      one: await car.entity('e0005'),
      deleted: await car.entity('e0004'),
      history: await car.history('e0005'),
      described: await car.describe(),
    }
  })
  const head = await dataset.list({ limit: 3 })
  const records = (entries: readonly Parameters<typeof entryRecord>[0][]): unknown =>
    entries.map(entryRecord)
  expect(found.head.items).toEqual(records(head.items))
  expect(found.head.total_count).toBe(head.totalCount)
  const next = await dataset.list({ limit: 3, cursor: head.nextCursor })
  expect(found.next.items).toEqual(records(next.items))
  const offset = await dataset.list({ limit: 2, offset: 200, order: 'asc' })
  expect(found.offset.items).toEqual(records(offset.items))
  expect(found.prefix.items.map(({ pi }) => pi)).toEqual(['ä-not-ascii'])
  const before = await dataset.list({ limit: 1, order: 'asc', at: { snapshot: 'latest' } })
  expect(found.before.items).toEqual(records(before.items))
  const one = await dataset.get('e0005')
  expect(found.one).toEqual(one === undefined ? null : entryRecord(one))
  expect(found.deleted).toBeNull()
  expect(found.history.map(({ ver, position }) => [ver, position])).toEqual([
    [2, 403],
    [1, null],
  ])
  expect(found.described).toMatchObject({ kind: 'car', dataset: 'main', seq: 2, recent_count: 2 })
})

test('content, and the way to it from block to block', async () => {
  const found = await page.page.evaluate(async () => {
    const { car } = window
    const [file, value] = [await car.entity('file'), await car.entity('e0003')]
    const content = await car.content(file?.tip ?? '', { maxBytes: 1_500_000 })
    const root = await car.block(car.summary.state?.cid ?? '')
    const snapshot = await car.block(root.links.find(({ path }) => path === 'snapshot')?.cid ?? '')
    const tree = await car.block(snapshot.links.find(({ path }) => path === 'root')?.cid ?? '')
    const missing = await car
      .block('bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy')
      .catch((thrown: { code: string }) => thrown.code)
    return {
      file: content.kind === 'bytes' ? [content.bytes.length, content.bytes[0], content.cut] : null,
      value: await car.content(value?.tip ?? ''),
      schemas: [root.schema, snapshot.schema, tree.schema],
      weak: snapshot.links.some(({ weak }) => weak),
      children: tree.links.length,
      missing,
    }
  })
  expect(found.file).toEqual([1_500_000, 65, true])
  expect(found.value).toMatchObject({ kind: 'value', value: { n: 3, changed: true } })
  expect(found.schemas).toEqual(['cairn/checkpoint@v1', 'cairn/snapshot@v1', 'cairn/node@v1'])
  expect(found.weak).toBe(true)
  expect(found.children).toBeGreaterThan(3)
  expect(found.missing).toBe('not_found')
})

test('the chunks of a snapshot, and what lies between two CARs, or a base and its delta', async () => {
  const chunks = (await collect(dataset.chunks())).map(chunkRecord)
  const changes = await collect(changeRecords(dataset.diff('first', 'latest')))
  const kept = (await collect(dataset.snapshots())).slice(0, 2).map(snapshotRecord)
  for (const files of [
    [first, second],
    [delta, first],
  ]) {
    expect(await choose(...files)).toBe('open')
    const found = await page.page.evaluate(async () => {
      const all = async <T>(items: AsyncIterable<T>): Promise<T[]> => {
        const list: T[] = []
        for await (const item of items) list.push(item)
        return list
      }
      const { car } = window
      return {
        chunks: await all(car.chunks('latest')),
        changes: await all(car.diff({ from: 'first' })),
        snapshots: await car.snapshots(),
        verdict: (await car.verify()).verdict,
      }
    })
    expect(found.chunks).toEqual(chunks)
    expect(found.changes).toEqual(changes)
    expect(found.snapshots).toMatchObject(kept)
    expect(found.verdict).toBe('whole')
  }
})

test('a delta without its base can be verified, and says what it needs', async () => {
  expect(await choose(delta)).toBe('base_missing')
  const found = await page.page.evaluate(async () => [
    (await window.car.verify()).states.map(({ scope }) => scope),
    await window.car.entities().catch((thrown: { code: string }) => thrown.code),
  ])
  expect(found).toEqual([['delta'], 'base_missing'])
})

test('an encrypted one, and one that changes while it is read, are refused as such', async () => {
  expect(await choose(ENCRYPTED)).toEqual({
    code: 'access_denied',
    message: `The CAR in ${basename(ENCRYPTED)} is encrypted.`,
  })
  const changing = carPath()
  await copyFile(second, changing)
  expect(await choose(changing)).toBe('open')
  await appendFile(changing, 'more')
  const found = await page.page.evaluate(() =>
    window.car
      .verify()
      .catch(({ code, message }: { code: string; message: string }) => ({ code, message })),
  )
  await rm(changing)
  expect(found).toEqual({
    code: 'invalid_car',
    message: `The file ${basename(changing)} was changed while it was read.`,
  })
})

test('what is closed or no longer wanted ends at once', async () => {
  expect(await choose(second)).toBe('open')
  const found = await page.page.evaluate(async () => {
    const { car } = window
    const codes: string[] = []
    const note = (thrown: { code: string }): number => codes.push(thrown.code)
    await car.verify({ signal: AbortSignal.abort() }).catch(note)
    const waiting = car.verify().catch(note)
    car.close()
    await waiting
    await car.entities().catch(note)
    return codes
  })
  expect(found).toEqual(['aborted', 'closed', 'closed'])
  expect(page.complaints).toEqual([])
})

test('the tips of a page are those that the dataset has', async () => {
  expect(await choose(second)).toBe('open')
  const tips = await page.page.evaluate(async () =>
    (await window.car.entities({ limit: 1000 })).items.map(({ tip }) => tip),
  )
  const all = await dataset.list({ limit: 1000 })
  expect(tips).toEqual(all.items.map(({ tip }) => tip && printCid(tip)))
})
