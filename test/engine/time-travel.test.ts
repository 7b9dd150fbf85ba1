/** The past of a dataset: reading it, comparing it, following one entity through it, going back to it. */
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import { printCid } from '../../src/model/cid.ts'
import {
  collect,
  expectRefused,
  newestCommit,
  openTest,
  START,
  type Opened,
} from '../helpers/engine.ts'
import { tipOf } from '../helpers/entries.ts'

const A = tipOf('a')
const B = tipOf('b')

const state = async (dataset: Dataset, at?: Parameters<Dataset['list']>[0]): Promise<string> =>
  (await dataset.list({ order: 'asc', ...at })).items.map(({ pi, ver }) => `${pi}${ver}`).join(' ')

/** Commits 0..6, a second each: init, a b, build, b2 c, build, -a d, e. */
async function storied(): Promise<Opened> {
  const opened = await openTest()
  const { dataset, clock } = opened
  const steps = [
    () =>
      dataset.appendBatch([
        { pi: 'a', tip: A },
        { pi: 'b', tip: A },
      ]),
    () => dataset.build({ tags: ['first'] }),
    () =>
      dataset.appendBatch([
        { pi: 'b', tip: B },
        { pi: 'c', tip: A },
      ]),
    () => dataset.build(),
    () =>
      dataset.appendBatch([
        { pi: 'a', tip: null },
        { pi: 'd', tip: A },
      ]),
    () => dataset.append({ pi: 'e', tip: A }),
  ]
  for (const step of steps) {
    clock.now += 1000
    await step()
  }
  return opened
}

const STATES = ['', 'a1 b1', 'a1 b1', 'a1 b2 c1', 'a1 b2 c1', 'b2 c1 d1', 'b2 c1 d1 e1']

test('every kept commit can be read, by number and by time', async () => {
  const { dataset } = await storied()
  for (const [number, expected] of STATES.entries()) {
    const time = START + number * 1000
    for (const at of [{ commit: number }, { time }, { time: time + 999 }]) {
      expect(await state(dataset, { at }), JSON.stringify(at)).toBe(expected)
      expect((await dataset.list({ at })).totalCount).toBe(
        expected === '' ? 0 : expected.split(' ').length,
      )
      expect((await dataset.get('a', { at }))?.ver).toBe(
        /a(\d)/.exec(expected) === null ? undefined : 1,
      )
      expect((await dataset.get('b', { at }))?.ver).toBe(
        Number(/b(\d)/.exec(expected)?.[1] ?? NaN) || undefined,
      )
    }
  }
  expect(await state(dataset, { at: { time: 8_640_000_000_000_000 } })).toBe(STATES[6])
  await expectRefused(dataset.list({ at: { time: START - 1 } }), 'not_found')
  await expectRefused(dataset.list({ at: { commit: 7 } }), 'not_found')
})

test('a snapshot is read by every kind of selector, without the chain that it had', async () => {
  const { dataset } = await storied()
  const kept = await collect(dataset.snapshots())
  expect(kept.map(({ seq, entries, live, ts }) => [seq, entries, live, ts])).toEqual([
    [2, 3, 3, START + 4000],
    [1, 2, 2, START + 2000],
    [0, 0, 0, START],
  ])
  const cid = printCid(kept[1]?.cid ?? new Uint8Array())
  for (const snapshot of ['latest~1', 'seq:1', 'first', cid, cid.slice(0, 20)]) {
    expect(await state(dataset, { at: { snapshot } }), snapshot).toBe('a1 b1')
  }
  expect(await state(dataset, { at: { snapshot: 'latest' } })).toBe('a1 b2 c1')
  expect(await state(dataset, { at: { snapshot: 'seq:0' } })).toBe('')
  for (const snapshot of ['latest~3', 'seq:3', 'no-such-tag', cid.slice(0, 7)]) {
    await expectRefused(dataset.list({ at: { snapshot } }), 'not_found')
  }
  await expectRefused(dataset.list({ at: { snapshot: 'latest', commit: 1 } }), 'usage')
  await expectRefused(dataset.list({ at: {} }), 'usage')
})

test('a read of the past judges expiry by that moment', async () => {
  const { dataset, clock } = await openTest()
  await dataset.append({ pi: 'x', tip: A, exp: START + 100 })
  const { snapshot } = await dataset.build()
  clock.now += 100
  expect(await dataset.get('x')).toBeUndefined()
  expect(await dataset.get('x', { at: { commit: 1 } })).toMatchObject({ ver: 1 })
  expect(await dataset.get('x', { at: { snapshot: printCid(snapshot) } })).toMatchObject({ ver: 1 })
  expect((await collect(dataset.entries({ at: { commit: 1 } }))).map(({ pi }) => pi)).toEqual(['x'])
  await dataset.append({ pi: 'y', tip: A })
  expect(await state(dataset, { at: { commit: 3 } })).toBe('y1')
})

test('pages of the past go on by cursor and by offset', async () => {
  const { dataset } = await openTest()
  const ids = Array.from({ length: 30 }, (_, i) => `e${String(i).padStart(2, '0')}`)
  await dataset.appendBatch(ids.map((pi) => ({ pi, tip: A })))
  await dataset.build()
  await dataset.appendBatch(ids.map((pi) => ({ pi: `${pi}x`, tip: A })))
  const at = { commit: 1 }
  const first = await dataset.list({ at, limit: 20, order: 'asc' })
  const second = await dataset.list({ at, limit: 20, order: 'asc', cursor: first.nextCursor ?? '' })
  expect([...first.items, ...second.items].map(({ pi }) => pi)).toEqual(ids)
  expect((await dataset.list({ at, offset: 25, order: 'asc' })).items.map(({ pi }) => pi)).toEqual(
    ids.slice(25),
  )
})

test('the history of an entity is all its versions, newest first, across builds and rollbacks', async () => {
  const { dataset } = await storied()
  const versions = async (pi: string): Promise<unknown[]> =>
    (await collect(dataset.history(pi))).map(({ entry, position }) => [
      entry.ver,
      entry.tip,
      position,
    ])
  expect(await versions('a')).toEqual([
    [2, null, 4],
    [1, A, 0],
  ])
  expect(await versions('b')).toEqual([
    [2, B, 2],
    [1, A, 1],
  ])
  expect(await versions('e')).toEqual([[1, A, 6]])
  expect(await versions('nobody')).toEqual([])
  await dataset.rollback({ snapshot: 'seq:1' })
  expect(await versions('b')).toEqual([[1, A, 1]])
  await dataset.append({ pi: 'b', tip: A })
  expect(await versions('b')).toEqual([
    [2, A, 7],
    [1, A, 1],
  ])
})

test('history walks a chain of many blocks, which it reads in parallel, and misses nothing', async () => {
  const { dataset } = await openTest({ init: { chainLimit: 2000 } })
  for (let i = 1; i <= 700; i++) {
    await dataset.append({ pi: i % 100 === 0 ? 'x' : `e${i}`, tip: A })
    if (i === 300) await dataset.build()
  }
  const positions = (await collect(dataset.history('x'))).map(({ position }) => position)
  expect(positions).toEqual([699, 599, 499, 399, 299, 199, 99])
})

test('diff of two snapshots is what was added, changed and deleted, in both directions', async () => {
  const { dataset } = await storied()
  await dataset.build()
  const forth = await collect(dataset.diff('seq:1', 'seq:3'))
  expect(
    forth.map(({ pi, before, after }) => [pi, before?.ver, after?.ver, after?.tip === null]),
  ).toEqual([
    ['a', 1, 2, true],
    ['b', 1, 2, false],
    ['c', undefined, 1, false],
    ['d', undefined, 1, false],
    ['e', undefined, 1, false],
  ])
  const back = await collect(dataset.diff('seq:3', 'seq:1'))
  expect(back.map(({ pi, before, after }) => [pi, before?.ver, after?.ver])).toEqual([
    ['a', 2, 1],
    ['b', 2, 1],
    ['c', 1, undefined],
    ['d', 1, undefined],
    ['e', 1, undefined],
  ])
  expect(await collect(dataset.diff('latest', 'latest'))).toEqual([])
  await expectRefused(collect(dataset.diff('seq:1', 'seq:9')), 'not_found')
})

test('a rollback to a snapshot drops the chain, and positions go on', async () => {
  const { dataset, backend } = await storied()
  const report = await dataset.rollback({ snapshot: 'seq:1' })
  expect(report).toMatchObject({ seq: 1, generation: 2, undo: 6, recentCount: 0, totalCount: 2 })
  expect(await state(dataset)).toBe('a1 b1')
  expect(await dataset.append({ pi: 'b', tip: B })).toMatchObject({ ver: 2, position: 7 })
  expect(await newestCommit(backend)).toMatchObject({ next: 8, recentCount: 1, chainFirst: 7 })
  const reader = await openTest({ backend })
  expect(await state(reader.dataset)).toBe('a1 b2')
})

test('a rollback that keeps the chain lays it on top, at new positions', async () => {
  const { dataset, backend } = await storied()
  const report = await dataset.rollback({ snapshot: 'seq:1' }, { keepChain: true })
  expect(report).toMatchObject({ seq: 1, recentCount: 3, totalCount: 3 })
  expect(await state(dataset)).toBe('b1 d1 e1')
  expect((await collect(dataset.history('e'))).map(({ position }) => position)).toEqual([9])
  expect(await newestCommit(backend)).toMatchObject({ next: 10, chainFirst: 7 })
  const reader = await openTest({ backend })
  expect(await state(reader.dataset)).toBe('b1 d1 e1')
  expect(await dataset.build()).toMatchObject({ entries: 4, live: 3, folded: 3 })
})

test('a rollback to a commit brings back its chain; keeping the chain adds what came later', async () => {
  const { dataset } = await storied()
  await dataset.rollback({ commit: 5 })
  expect(await state(dataset)).toBe('b2 c1 d1')
  await dataset.rollback({ commit: 6 })
  expect(await state(dataset)).toBe('b2 c1 d1 e1')
  await dataset.rollback({ commit: 5 }, { keepChain: true })
  expect(await state(dataset)).toBe('b2 c1 d1 e1')
  expect((await collect(dataset.history('d'))).map(({ position }) => position)).toEqual([5])
  await dataset.rollback({ commit: 3 })
  expect(await state(dataset)).toBe('a1 b2 c1')
})

test('a rollback is undone by rolling back to the commit before it, time after time', async () => {
  const { dataset, backend } = await storied()
  const before = await newestCommit(backend)
  const { undo } = await dataset.rollback({ snapshot: 'seq:0' })
  expect(await state(dataset)).toBe('')
  const redone = await dataset.rollback({ commit: undo })
  expect(await state(dataset)).toBe(STATES[6])
  expect(await newestCommit(backend)).toMatchObject({
    snapshot: before.snapshot,
    head: before.head,
    base: before.base,
    totalCount: before.totalCount,
    next: before.next,
    generation: { number: 3 },
  })
  await dataset.rollback({ commit: redone.undo })
  expect(await state(dataset)).toBe('')
})

test('what came after an undone rollback is kept by a rollback that keeps the chain', async () => {
  const { dataset } = await storied()
  // The branch from commit 6 and the branch from the rollback hold different entries.
  await dataset.rollback({ snapshot: 'seq:1' })
  await dataset.append({ pi: 'other', tip: A })
  await dataset.rollback({ commit: 6 })
  await dataset.append({ pi: 'late', tip: A })
  expect(await state(dataset)).toBe('b2 c1 d1 e1 late1')
  await dataset.rollback({ commit: 8 }, { keepChain: true })
  // Of the recent chain (-a, d, e, late) commit 8 had nothing.
  expect(await state(dataset)).toBe('b1 d1 e1 late1 other1')
})

test('a rollback on the way of another writer is seen by it at once', async () => {
  const backend = openMemory()
  const one = await openTest({ backend })
  const two = await openTest({ backend, clock: one.clock })
  await one.dataset.append({ pi: 'a', tip: A })
  await one.dataset.build()
  await two.dataset.append({ pi: 'b', tip: A })
  await one.dataset.rollback({ snapshot: 'latest' })
  expect(await state(two.dataset)).toBe('a1')
  expect(await two.dataset.append({ pi: 'b', tip: A })).toMatchObject({ ver: 1, position: 2 })
  expect(await state(one.dataset)).toBe('a1 b1')
})

test('a rollback needs one target that is there, else nothing changes', async () => {
  const { dataset, backend } = await storied()
  await expectRefused(dataset.rollback({}), 'usage')
  await expectRefused(dataset.rollback({ snapshot: 'latest', commit: 1 }), 'usage')
  await expectRefused(dataset.rollback({ commit: 99 }), 'not_found')
  await expectRefused(dataset.rollback({ snapshot: 'seq:99' }), 'not_found')
  expect((await newestCommit(backend)).number).toBe(6)
})
