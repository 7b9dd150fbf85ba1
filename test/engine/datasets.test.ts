/** Several datasets in one store. */
import { expect, test } from 'vitest'
import { openLmdb } from '../../src/backend/lmdb/index.ts'
import { openMemory } from '../../src/backend/memory.ts'
import { Cairn } from '../../src/cairn.ts'
import { bytesEqual } from '../../src/model/cid.ts'
import { collect, expectRefused, newestCommit, openTest, tempDir } from '../helpers/engine.ts'
import { tipOf } from '../helpers/entries.ts'

const A = tipOf('a')

test('datasets of one store do not mix: entities, snapshots, commits, settings', async () => {
  const backend = openMemory()
  const one = await openTest({ backend, name: 'one', init: { chunkSize: 64 } })
  const two = await openTest({ backend, name: 'two', init: { chunkSize: 100 } })
  await one.dataset.appendBatch([
    { pi: 'a', tip: A },
    { pi: 'b', tip: A },
  ])
  await two.dataset.append({ pi: 'b', ver: 9, tip: A })
  await one.dataset.build()
  expect(await two.dataset.get('a')).toBeUndefined()
  expect(await one.dataset.get('b')).toMatchObject({ ver: 1 })
  expect(await two.dataset.get('b')).toMatchObject({ ver: 9 })
  expect((await collect(two.dataset.snapshots())).map(({ seq }) => seq)).toEqual([0])
  expect(await newestCommit(backend, 'one')).toMatchObject({
    number: 2,
    next: 2,
    settings: { chunkSize: 64 },
  })
  expect(await newestCommit(backend, 'two')).toMatchObject({
    number: 1,
    next: 1,
    settings: { chunkSize: 100 },
  })
  await one.dataset.rollback({ snapshot: 'seq:0' })
  expect((await two.dataset.list()).totalCount).toBe(1)
  expect(await one.cairn.datasets()).toEqual(['one', 'two'])
})

test('datasets with the same entities share their blocks and their root, and nothing else', async () => {
  const backend = openMemory()
  const one = await openTest({ backend, name: 'one' })
  const two = await openTest({ backend, name: 'two', clock: one.clock })
  for (const { dataset } of [one, two])
    await dataset.appendBatch([
      { pi: 'a', tip: A },
      { pi: 'b', tip: A },
    ])
  const first = await one.dataset.build()
  const second = await two.dataset.build()
  expect(second.root).toEqual(first.root)
  expect(bytesEqual(second.snapshot, first.snapshot)).toBe(false)
})

test('a dataset is made by its first opening for writing, once, whoever comes first', async () => {
  const backend = openMemory()
  const cairns = [1, 2, 3].map(() => new Cairn(backend))
  await expectRefused(cairns[0]?.dataset('main') ?? Promise.resolve(), 'dataset_not_found')
  const datasets = await Promise.all(cairns.flatMap((cairn) => [cairn.open(), cairn.open('main')]))
  expect((await newestCommit(backend)).number).toBe(0)
  await Promise.all(datasets.map((dataset, i) => dataset.put(`e${i}`, i)))
  for (const dataset of datasets) expect((await dataset.list()).totalCount).toBe(6)
})

test('init of a dataset that is there leaves its settings', async () => {
  const { cairn, dataset, backend } = await openTest({ init: { chunkSize: 64 } })
  await dataset.append({ pi: 'a', tip: A })
  const again = await cairn.init('main', { chunkSize: 5000, content: 'linked' })
  expect(again.created).toBe(false)
  expect(await newestCommit(backend)).toMatchObject({
    number: 1,
    settings: { chunkSize: 64, content: 'external' },
  })
})

test('a store can be closed and opened again, and goes on where it was', async () => {
  const dir = await tempDir()
  for (let round = 0; round < 4; round++) {
    const { dataset, cairn } = await openTest({
      backend: await openLmdb({ dir, create: true }),
      init: { chainLimit: 25 },
    })
    expect((await dataset.list()).totalCount).toBe(round * 20)
    const answers = await dataset.appendBatch(
      Array.from({ length: 20 }, (_, i) => ({ pi: `r${round}-${i}`, tip: A })),
    )
    expect(answers.map(({ position }) => position)).toEqual(
      Array.from({ length: 20 }, (_, i) => round * 20 + i),
    )
    if (round === 1) await dataset.build()
    await cairn.close()
  }
})
