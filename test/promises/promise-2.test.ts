/** Promise 2: the pointer moves only by compare-and-set; readers see before or after, never between. */
import { expect, test } from 'vitest'
import { openLmdb } from '../../src/backend/lmdb/index.ts'
import { openMemory } from '../../src/backend/memory.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import { decodeCommit } from '../../src/model/commit.ts'
import { rawCidOf } from '../../src/model/cid.ts'
import type { Backend } from '../../src/store/backend.ts'
import { countingBackend, wrapBackend } from '../helpers/counting-backend.ts'
import { collect, newestCommit, openTest, pageThrough, tempDir } from '../helpers/engine.ts'
import { tipOf } from '../helpers/entries.ts'

const A = tipOf('a')
const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** A store whose calls take turns in which others get between. */
function slowBackend(inner: Backend): Backend {
  return wrapBackend(inner, {
    getBlocks: async (cids, options) => {
      await tick()
      return inner.getBlocks(cids, options)
    },
    newest: async (dataset, than, options) => {
      const found = await inner.newest(dataset, than, options)
      await tick()
      return found
    },
    commit: async (request, options) => {
      await tick()
      return inner.commit(request, options)
    },
  })
}

test('of two writers that stand on the same commit only one moves the pointer from it', async () => {
  const memory = openMemory()
  const counting = [1, 2, 3].map(() => countingBackend(slowBackend(memory)))
  const writers = []
  for (const backend of counting) writers.push(await openTest({ backend }))
  const versions = await Promise.all(
    writers.flatMap(({ dataset }) =>
      Array.from({ length: 30 }, async () => {
        await tick()
        return (await dataset.append({ pi: 'x', tip: A })).ver
      }),
    ),
  )
  expect(versions.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 90 }, (_, i) => i + 1))
  expect(counting.reduce((sum, { lost }) => sum + lost, 0)).toBeGreaterThan(0)
})

test('commits form one line: each names the one before, numbers and positions have no gap', async () => {
  const memory = openMemory()
  const writers = await Promise.all([1, 2, 3].map(() => openTest({ backend: slowBackend(memory) })))
  await Promise.all(
    writers.flatMap(({ dataset }, w) => [
      ...Array.from({ length: 15 }, (_, i) => dataset.append({ pi: `w${w}-${i}`, tip: A })),
      dataset.build().catch(() => undefined),
      dataset.append({ pi: `w${w}-last`, tip: A }),
    ]),
  )
  const { number } = await newestCommit(memory)
  let before = decodeCommit((await memory.getCommit('main', 0)) ?? new Uint8Array())
  for (let n = 1; n <= number; n++) {
    const bytes = (await memory.getCommit('main', n)) ?? new Uint8Array()
    const one = decodeCommit(bytes)
    expect(one.commit.number).toBe(n)
    expect(one.commit.prev).toEqual(rawCidOf(before.bytes))
    expect(one.commit.ts).toBeGreaterThanOrEqual(before.commit.ts)
    expect(one.commit.next).toBeGreaterThanOrEqual(before.commit.next)
    before = one
  }
  expect(before.commit.next).toBe(48)
})

interface Seen {
  readonly total: number
  readonly ids: readonly string[]
}

async function checkReader(dataset: Dataset, acknowledged: () => number): Promise<Seen> {
  const least = acknowledged()
  const page = await dataset.list({ limit: 5000, order: 'asc' })
  const ids = page.items.map(({ pi }) => pi)
  // What one page says is of one state: its total is what it holds, and no entity is missing or twice.
  expect(ids.length).toBe(page.totalCount)
  expect(new Set(ids).size).toBe(ids.length)
  expect(page.totalCount).toBeGreaterThanOrEqual(least)
  for (const { pi } of page.items.slice(0, 3)) expect((await dataset.get(pi))?.pi).toBe(pi)
  const middle = Math.floor(ids.length / 2)
  const tail = await dataset.list({ limit: 5000, order: 'asc', offset: middle })
  expect(tail.items.length).toBe(tail.totalCount - middle)
  return { total: page.totalCount, ids }
}

async function readersAndWriters(backend: Backend, readers: readonly Backend[]): Promise<void> {
  const clock = { now: 1_700_000_000_000 }
  const { dataset } = await openTest({ backend, clock, init: { chunkSize: 64 } })
  const writer = await openTest({ backend, clock })
  let acknowledged = 0
  let over = false
  let builds = 0
  const reads = readers.map(async (one) => {
    const { dataset: reader } = await openTest({ backend: one, clock })
    let before: Seen = { total: 0, ids: [] }
    let count = 0
    while (!over) {
      const seen = await checkReader(reader, () => acknowledged)
      // Nothing is deleted here, so what was seen once is seen for good.
      const now = new Set(seen.ids)
      expect(before.ids.filter((pi) => !now.has(pi))).toEqual([])
      before = seen
      count += 1
      await tick()
    }
    return count
  })
  const building = (async () => {
    while (!over) {
      if ((await dataset.build()).status === 'built') builds += 1
      await tick()
    }
  })()
  for (let i = 0; i < 120; i++) {
    const { dataset: target } = i % 2 === 0 ? { dataset } : writer
    // Two of each batch are new, the others new versions, so that order and counts both move.
    await target.appendBatch([
      { pi: `k${String((i * 37) % 120).padStart(3, '0')}-a`, tip: A },
      { pi: `k${String((i * 37) % 120).padStart(3, '0')}-b`, tip: A },
      { pi: 'k000-a', tip: tipOf(String(i)) },
    ])
    acknowledged = (i + 1) * 2
    await tick()
  }
  over = true
  await building
  for (const count of await Promise.all(reads)) expect(count).toBeGreaterThan(5)
  expect(builds).toBeGreaterThan(5)
}

test('readers of a store whose every call gives way see whole states only', async () => {
  const memory = openMemory()
  await readersAndWriters(slowBackend(memory), [slowBackend(memory), slowBackend(memory), memory])
})

test('readers beside writers and builds on an embedded store see whole states only', async () => {
  const dir = await tempDir()
  const opened: Backend[] = []
  for (let i = 0; i < 3; i++) opened.push(await openLmdb({ dir, create: true }))
  const [first, ...readers] = opened
  if (first !== undefined) await readersAndWriters(first, readers)
  for (const backend of opened) await backend.close()
})

test('a read that begins after an acknowledgement sees it, in whichever process it was given', async () => {
  const memory = openMemory()
  const [writer, reader] = [
    await openTest({ backend: memory }),
    await openTest({ backend: slowBackend(memory) }),
  ]
  for (let i = 0; i < 50; i++) {
    await writer.dataset.append({ pi: `e${i}`, tip: A })
    if (i % 10 === 5) await writer.dataset.build()
    expect((await reader.dataset.get(`e${i}`))?.ver).toBe(1)
    expect((await reader.dataset.list()).totalCount).toBe(i + 1)
  }
})

test('a page, a stream and a read of the past stay with the state in which they began', async () => {
  const memory = openMemory()
  const { dataset } = await openTest({ backend: slowBackend(memory), init: { chunkSize: 64 } })
  const ids = Array.from({ length: 300 }, (_, i) => `e${String(i).padStart(3, '0')}`)
  await dataset.appendBatch(ids.map((pi) => ({ pi, tip: A })))
  await dataset.build()
  const before = await newestCommit(memory)
  const reading = Promise.all([
    dataset.list({ limit: 1000, order: 'asc' }),
    collect(dataset.entries()),
    dataset.list({ limit: 1000, order: 'asc', at: { commit: before.number } }),
  ])
  await tick()
  await tick()
  await dataset.appendBatch(
    ids.flatMap((pi) => [
      { pi, tip: null },
      { pi: `${pi}-new`, tip: A },
    ]),
  )
  await dataset.build()
  const [page, stream, past] = await reading
  for (const items of [page.items, stream, past.items])
    expect(items.map(({ pi }) => pi)).toEqual(ids)
  expect([page.totalCount, past.totalCount]).toEqual([300, 300])
  expect(await pageThrough(dataset, 70, 'asc')).toEqual(ids.map((pi) => `${pi}-new`))
})

test('a lookup between an append and a build never misses an entity that is there', async () => {
  const { dataset } = await openTest({
    backend: slowBackend(openMemory()),
    init: { chunkSize: 64 },
  })
  const ids = Array.from({ length: 200 }, (_, i) => `e${i}`)
  await dataset.appendBatch(ids.map((pi) => ({ pi, tip: A })))
  let over = false
  const looking = (async () => {
    let looks = 0
    while (!over) {
      const found = await Promise.all(ids.map((pi) => dataset.get(pi)))
      expect(found.filter((entry) => entry === undefined)).toEqual([])
      looks += 1
    }
    return looks
  })()
  for (let i = 0; i < 15; i++) {
    await dataset.appendBatch(
      ids.filter((_, n) => n % 15 === i).map((pi) => ({ pi, tip: tipOf(`${i}`) })),
    )
    await dataset.build()
  }
  over = true
  expect(await looking).toBeGreaterThan(3)
})
