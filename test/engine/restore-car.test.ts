/** A CAR brings everything back: the state, its positions and numbers, and nothing half. */
import * as dagCbor from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { CarFile } from '../../src/car/file.ts'
import { Cairn } from '../../src/cairn.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import type { Backend } from '../../src/store/backend.ts'
import { cborBlock } from '../../src/model/cid.ts'
import type { CommitRecord } from '../../src/model/commit.ts'
import { carPath, exported, writeCar } from '../helpers/cars.ts'

interface Store {
  readonly backend: Backend
  readonly cairn: Cairn
}

const DAY = 86_400_000

function store(now: () => number = clock()): Store {
  const backend = openMemory()
  return { backend, cairn: new Cairn(backend, { now }) }
}

function clock(start = Date.UTC(2026, 5, 1)): () => number {
  let at = start
  return () => (at += 1000)
}

async function filled({ cairn }: Store, name = 'main'): Promise<Dataset> {
  const { dataset } = await cairn.init(name, {
    chunkSize: 64,
    chainLimit: 500,
    deletedMs: 10 * DAY,
  })
  await dataset.putBatch(Array.from({ length: 400 }, (_, i) => ({ pi: `e${i}`, value: { i } })))
  await dataset.build({ tags: ['first'], meta: { initialized: true } })
  await dataset.putBatch(
    Array.from({ length: 50 }, (_, i) => ({ pi: `e${i * 3}`, value: { i, v: 2 } })),
  )
  await dataset.append({ pi: 'e5', tip: null })
  await dataset.put('soon', 'gone', { exp: Date.UTC(2026, 5, 3) })
  return dataset
}

async function stateOf(dataset: Dataset): Promise<unknown[]> {
  const found: unknown[] = []
  for await (const entry of dataset.entries({ deleted: true })) {
    found.push(entry.tip === null ? entry : [entry, await dataset.content(entry.tip)])
  }
  return found
}

const pointerOf = async (dataset: Dataset): Promise<CommitRecord> =>
  (await dataset.status()).pointer

test('on an empty store: the same entities, root, positions, settings and metadata', async () => {
  const source = await filled(store())
  await using backup = await exported(source)
  const { cairn } = store()
  const report = await cairn.restoreCar([backup.car])
  expect(report).toMatchObject({ status: 'restored', dataset: 'main', generation: 2, undo: null })
  const restored = await cairn.dataset('main')
  expect(await stateOf(restored)).toEqual(await stateOf(source))
  const [before, after] = [await pointerOf(source), await pointerOf(restored)]
  const cids = ['latest_snapshot_cid', 'recent_chain_head'] as const
  const counts = ['recent_count', 'total_count', 'next', 'next_ordinal', 'next_seq'] as const
  for (const field of ['identity', 'settings', ...cids, ...counts, 'chain_first'] as const)
    expect(after[field], field).toEqual(before[field])
  const [status, old] = [await restored.status(), await source.status()]
  expect([status.root, status.meta]).toEqual([old.root, old.meta])
})

test('what was restored goes on: positions, versions, builds, history, rollback', async () => {
  const source = await filled(store())
  await using backup = await exported(source)
  const { cairn } = store()
  await cairn.restoreCar([backup.car])
  const restored = await cairn.dataset('main')
  const next = (await pointerOf(source)).next
  const put = await restored.put('e0', { again: true })
  expect(put).toMatchObject({ ver: 3, position: next })
  const versions = []
  for await (const { entry } of restored.history('e0')) versions.push(entry.ver)
  // The first version lies before the chain that the CAR holds.
  expect(versions).toEqual([3, 2])
  const built = await restored.build()
  expect(built.seq).toBe(2)
  await restored.rollback({ snapshot: 'latest~1' })
  expect((await restored.get('e0'))?.ver).toBe(1)
})

test('twice is a no-op; over something else only when told, and that can be undone', async () => {
  const source = await filled(store())
  await using backup = await exported(source)
  const target = store()
  await target.cairn.restoreCar([backup.car])
  const commits = async (): Promise<unknown> => (await target.backend.newest('main', -1))?.number
  const before = await commits()
  expect((await target.cairn.restoreCar([backup.car])).status).toBe('already_restored')
  expect(await commits()).toBe(before)

  const dataset = await target.cairn.dataset('main')
  await dataset.put('mine', 1)
  const mine = await stateOf(dataset)
  await expect(target.cairn.restoreCar([backup.car])).rejects.toMatchObject({ code: 'conflict' })
  const report = await target.cairn.restoreCar([backup.car], { replace: true })
  expect(await dataset.get('mine')).toBeUndefined()
  expect(await stateOf(dataset)).toEqual(await stateOf(source))
  await dataset.rollback({ commit: report.undo ?? -1 })
  expect(await stateOf(dataset)).toEqual(mine)
})

test('in the place of another dataset’s state, with the way back to it', async () => {
  const source = await filled(store())
  await using backup = await exported(source)
  const target = store()
  const { dataset } = await target.cairn.init('main', { chunkSize: 256 })
  await dataset.put('other', 'state')
  await dataset.build()
  const report = await target.cairn.restoreCar([backup.car], { replace: true })
  expect(await stateOf(dataset)).toEqual(await stateOf(source))
  expect((await pointerOf(dataset)).identity).toBe((await pointerOf(source)).identity)
  await dataset.put('e1', 'goes on')
  await dataset.build()
  await dataset.rollback({ commit: report.undo ?? -1 })
  expect((await stateOf(dataset)).length).toBe(1)
  await dataset.put('other', 'again')
  expect((await dataset.build()).entries).toBe(1)
})

test('under another name it is a dataset of its own, beside the one it came from', async () => {
  const origin = store()
  const source = await filled(origin)
  await using backup = await exported(source)
  await origin.cairn.restoreCar([backup.car], { as: 'copy' })
  const copy = await origin.cairn.dataset('copy')
  const pointer = await pointerOf(copy)
  expect(pointer.identity).not.toBe((await pointerOf(source)).identity)
  expect(pointer.origins).toEqual([(await pointerOf(source)).identity])
  await copy.put('e0', 'in the copy')
  await copy.build()
  expect((await source.get('e0'))?.ver).toBe(2)
  expect((await origin.cairn.restoreCar([backup.car], { as: 'copy', replace: true })).status).toBe(
    'restored',
  )
  // A backup of the copy restores as well: blocks of both identities belong to it.
  await using second = await exported(copy)
  const { cairn } = store()
  await cairn.restoreCar([second.car])
  expect(await stateOf(await cairn.dataset('copy'))).toEqual(await stateOf(copy))
  await using third = await exported(await cairn.dataset('copy'))
  expect(third.report.snapshot).toEqual(second.report.snapshot)
})

test('the same state gives the same bytes, on whatever store, and a dry run changes nothing', async () => {
  const source = await filled(store())
  await using first = await exported(source)
  await using again = await exported(source)
  expect(again.report.sha256).toBe(first.report.sha256)
  const target = store()
  const plan = await target.cairn.restoreCar([first.car], { dryRun: true })
  expect(plan).toMatchObject({ status: 'planned', totalCount: 400 })
  expect(await target.backend.datasets()).toEqual([])
  expect((await target.backend.status()).details['blocks']).toBe(0)
})

test('a kept snapshot without the chain, and one of several states by its number', async () => {
  const source = await filled(store())
  await using old = await exported(source, { snapshot: 'first' })
  await using now = await exported(source)
  expect(old.report.recentCount).toBe(0)
  const { cairn } = store()
  await cairn.restoreCar([old.car])
  const restored = await cairn.dataset('main')
  expect((await restored.get('e0'))?.ver).toBe(1)
  await restored.put('e0', 'later')
  await cairn.restoreCar([old.car, now.car], { as: 'both' })
  expect((await (await cairn.dataset('both')).get('e0'))?.ver).toBe(2)
  await expect(cairn.restoreCar([now.car], { as: 'x', at: 'seq:9' })).rejects.toMatchObject({
    code: 'not_found',
  })
})

test('a delta restores onto a store that has its base, current or not, and beside its base', async () => {
  const origin = store()
  const source = await filled(origin)
  await source.build()
  await using base = await exported(source)
  await source.put('e9', { delta: 1 })
  await source.put('e10', { i: 10 })
  await source.build()
  await source.put('e9', { delta: 2 })
  await using delta = await exported(source, { since: 'latest~1' })
  expect(delta.report.blocks).toBeLessThan(base.report.blocks / 4)

  const target = store()
  await expect(target.cairn.restoreCar([delta.car])).rejects.toMatchObject({ code: 'base_missing' })
  expect(await target.backend.datasets()).toEqual([])
  await target.cairn.restoreCar([base.car])
  const restored = await target.cairn.dataset('main')
  await restored.put('e1', 'not the base any more')
  await restored.build()
  await target.cairn.restoreCar([delta.car], { replace: true })
  expect(await stateOf(restored)).toEqual(await stateOf(source))
  await restored.prune({ policy: { last: 1 } })
  expect(await stateOf(restored)).toEqual(await stateOf(source))

  const other = store()
  await other.cairn.restoreCar([delta.car, base.car])
  expect(await stateOf(await other.cairn.dataset('main'))).toEqual(await stateOf(source))
})

test('without content: restored where the content is, refused where it is not', async () => {
  const origin = store()
  const source = await filled(origin)
  for (const content of ['index', 'tips'] as const) {
    await using backup = await exported(source, { content })
    await origin.cairn.restoreCar([backup.car], { as: content })
    expect(await stateOf(await origin.cairn.dataset(content))).toEqual(await stateOf(source))
    if (content === 'index')
      await expect(store().cairn.restoreCar([backup.car])).rejects.toMatchObject({
        code: 'content_missing',
      })
  }
})

test('a prune in the middle of an export takes nothing from it', async () => {
  const origin = store()
  const source = await filled(origin)
  await source.build()
  const expected = await stateOf(source)
  const path = carPath()
  await writeCar(source, path, {}, async () => {
    // The export has begun: what it is to write is forgotten, and freed as far as it may be.
    for (let i = 0; i < 3; i++) {
      const puts = Array.from({ length: 200 }, (_, n) => ({ pi: `e${n}`, value: { i, n } }))
      await source.putBatch(puts)
      await source.build()
      expect((await source.prune({ policy: { last: 1 } })).forgotten).toBeGreaterThan(0)
    }
  })
  const car = await CarFile.open(path)
  const { cairn } = store()
  await cairn.restoreCar([car])
  expect(await stateOf(await cairn.dataset('main'))).toEqual(expected)
  await car.close()
  // The lease is gone with the export: now it is freed.
  expect((await source.prune({ policy: { last: 1 } })).freed.blocks).toBeGreaterThan(0)
})

test('a block that is there as raw bytes and as a value with links is both', async () => {
  const origin = store()
  const { dataset } = await origin.cairn.init('main')
  const leaf = cborBlock(dagCbor.encode({ leaf: true }))
  const value = dagCbor.encode({ link: CID.decode(leaf.cid) })
  // The bytes alone come first, in the order of ids and in the tree.
  await dataset.put('a', value)
  await dataset.put('b', { leaf: true })
  await dataset.put('c', { link: CID.decode(leaf.cid) })
  await dataset.append({ pi: 'b', tip: null })
  await dataset.build()
  await dataset.prune({ policy: { last: 1 } })
  await using backup = await exported(dataset)
  const { cairn } = store()
  await cairn.restoreCar([backup.car])
  const restored = await cairn.dataset('main')
  expect(await restored.content(leaf.cid)).toEqual({ kind: 'value', value: { leaf: true } })
  await restored.prune({ policy: { last: 1 } })
  expect(await restored.content(leaf.cid)).toEqual({ kind: 'value', value: { leaf: true } })
})
