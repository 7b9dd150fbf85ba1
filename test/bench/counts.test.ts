/**
 * What each operation asks of its store, counted and not timed: a regression of the kind that a clock
 * shows only on a quiet machine (a second read of a leaf, a rewritten neighbour, a question asked twice)
 * changes one of these numbers. Calls and blocks are exact, bytes within two in a hundred. Who changes
 * a number on purpose says why in the commit.
 */
import { beforeAll, expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import type { OpenCar } from '../../src/car/state.ts'
import { Cairn } from '../../src/cairn.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import { openTest, START } from '../helpers/engine.ts'
import { tipOf } from '../helpers/entries.ts'
import { carInMemory } from '../helpers/memory-car.ts'
import { tallyBackend, type Tally, type TallyBackend } from './tally.ts'

const COUNT = 100_000
/** Leaves of the tree, which has one branch over them; the last one is small, and even distances miss it. */
const LEAVES = 22
const MOST_LEAVES = LEAVES - 1
const LEAF_BYTES = 355_000
const TREE_BYTES = 7_802_000
/** What a build writes beside leaves: the branch, the header, the list of kept snapshots. */
const TOP = 3
/** Blocks of the log, as full as they get. */
const LOG = 10

const idOf = (index: number): string => `01JCOUNT${String(index).padStart(18, '0')}`
const changeOf = (index: number, round: number): { pi: string; tip: Uint8Array } => ({
  pi: idOf(index),
  tip: tipOf(`round ${round}`),
})
const evenly = (some: number, round: number): { pi: string; tip: Uint8Array }[] =>
  Array.from({ length: some }, (_, i) => changeOf(Math.floor((i * COUNT) / some) + round, round))

interface Stored {
  readonly tally: TallyBackend
  /** Opens it anew, with empty caches. */
  readonly open: () => Promise<Dataset>
}

const storedIn = (tally: TallyBackend): Stored => ({
  tally,
  open: () => new Cairn(tally.backend, { now: () => START }).dataset('main'),
})

/** A hundred thousand entities in one snapshot, loaded once; for tests that only read. */
let store: Stored
let load: Tally
let car: OpenCar

beforeAll(async () => {
  const tally = tallyBackend(openMemory())
  const { dataset } = await openTest({ backend: tally.backend })
  const entities = Array.from({ length: COUNT }, (_, i) => ({ ...changeOf(i, 1), ver: 1 }))
  load = await tally.during(() => dataset.bulkLoad(entities))
  store = storedIn(tally)
  car = await exported(dataset)
})

/** The same for a test that writes. */
async function copy(): Promise<Stored> {
  const tally = tallyBackend(openMemory())
  await new Cairn(tally.backend, { now: () => START }).restoreCar([car])
  return storedIn(tally)
}

async function exported(dataset: Dataset): Promise<OpenCar> {
  return (await carInMemory(dataset, { content: 'index' })).car
}

const near = (expected: number): unknown => ({
  asymmetricMatch: (found: number) => Math.abs(found - expected) <= expected * 0.02,
  toString: () => 'near',
  toAsymmetricMatcher: () => `within 2% of ${expected}`,
})

const NOTHING = { read: 0, readBytes: 0, written: 0, writtenBytes: 0, commitBytes: 0 }

test('a bulk load writes every leaf and every log block once, and reads each back once', () => {
  expect(load).toEqual({
    calls: { newest: 3, commit: 2, stage: 1, put: 14, flush: 1, getBlocks: 5 },
    read: LEAVES + LOG + 4,
    readBytes: near(2 * TREE_BYTES),
    written: LEAVES + TOP + LOG,
    writtenBytes: near(2 * TREE_BYTES),
    commitBytes: near(1_900),
  })
})

test('opening a dataset reads its newest commit, the header and the root', async () => {
  expect(await store.tally.during(store.open)).toEqual({
    ...NOTHING,
    calls: { newest: 1, getBlocks: 2 },
    read: 2,
    readBytes: near(2_157),
  })
})

test('a lookup asks once for newer commits and reads one leaf, the next in it none', async () => {
  const dataset = await store.open()
  const cold = await store.tally.during(() => dataset.get(idOf(70_000)))
  expect(cold).toEqual({
    ...NOTHING,
    calls: { newest: 1, getBlocks: 1 },
    read: 1,
    readBytes: near(212_000),
  })
  for (const pi of [idOf(70_001), `${idOf(70_002)}-absent`])
    expect(await store.tally.during(() => dataset.get(pi))).toEqual({
      ...NOTHING,
      calls: { newest: 1 },
    })
})

test('of a past commit the chain is read once, however many lookups follow', async () => {
  const { tally, open } = await copy()
  const dataset = await open()
  const { commit } = await dataset.pointer()
  await dataset.appendBatch([changeOf(5, 2), changeOf(70_000, 2)])
  const at = { commit: commit.number + 1 }
  await dataset.append(changeOf(5, 3))
  const first = await tally.during(() => dataset.get(idOf(5), { at }))
  expect(first.calls).toEqual({ newest: 1, getCommit: 1, getBlocks: 2 })
  expect(await tally.during(() => dataset.get(idOf(70_000), { at }))).toEqual({
    ...NOTHING,
    calls: { newest: 1, getCommit: 1 },
  })
})

test('lookups that meet at a leaf share its read', async () => {
  const dataset = await store.open()
  const lookups = Array.from({ length: 50 }, (_, i) => idOf(70_000 + i))
  const { calls, read } = await store.tally.during(() =>
    Promise.all(lookups.map((pi) => dataset.get(pi))),
  )
  expect({ calls, read }).toEqual({ calls: { newest: 50, getBlocks: 1 }, read: 1 })
})

test('a page asks once for newer commits and reads its leaf, whatever the offset', async () => {
  for (const offset of [0, 12_345, 50_000, 99_900]) {
    const dataset = await store.open()
    const page = (): Promise<unknown> => dataset.list({ limit: 100, offset })
    const cold = await store.tally.during(page)
    expect(cold.calls, `offset ${offset}`).toEqual({ newest: 1, getBlocks: 1 })
    expect(cold.read, `offset ${offset}`).toBe(1)
    expect(await store.tally.during(page)).toEqual({ ...NOTHING, calls: { newest: 1 } })
  }
})

test('an append reads the leaf of its entity once and writes one small block; a retry writes nothing', async () => {
  const { tally, open } = await copy()
  const dataset = await open()
  const one = { ...changeOf(5, 2), ver: 2 }
  const commitBytes = near(1_010)
  expect(await tally.during(() => dataset.append(one))).toEqual({
    calls: { getBlocks: 1, commit: 1 },
    read: 1,
    readBytes: near(735_000),
    written: 1,
    writtenBytes: near(228),
    commitBytes,
  })
  expect(await tally.during(() => dataset.append(changeOf(6, 2)))).toEqual({
    calls: { commit: 1 },
    read: 0,
    readBytes: 0,
    written: 1,
    writtenBytes: near(228),
    commitBytes,
  })
  expect(await tally.during(() => dataset.append(one))).toEqual({
    ...NOTHING,
    calls: { newest: 1 },
  })
})

test('a batch of a hundred is one commit of one block, and reads each leaf once', async () => {
  const { tally, open } = await copy()
  const dataset = await open()
  const batch = evenly(100, 3)
  expect(await tally.during(() => dataset.appendBatch(batch))).toEqual({
    calls: { getBlocks: MOST_LEAVES, commit: 1 },
    read: MOST_LEAVES,
    readBytes: near(TREE_BYTES),
    written: 1,
    writtenBytes: near(7_951),
    commitBytes: near(1_010),
  })
})

test('a hundred appends at once share one commit', async () => {
  const { tally, open } = await copy()
  const dataset = await open()
  const together = await tally.during(() =>
    Promise.all(Array.from({ length: 100 }, (_, i) => dataset.append(changeOf(1_000 + i, 2)))),
  )
  expect(together.calls).toEqual({ getBlocks: 1, commit: 1 })
  expect(together.written).toBe(1)
})

test('a build of one change rewrites one leaf, of fifty scattered ones each leaf once', async () => {
  const { tally, open } = await copy()
  const dataset = await open()
  const built = async (changes: readonly { pi: string; tip: Uint8Array }[]): Promise<Tally> => {
    await dataset.appendBatch(changes)
    return tally.during(() => dataset.build())
  }
  const calls = { newest: 2, stage: 1, flush: 1, commit: 1 }
  const one = await built([changeOf(50_005, 2)])
  expect(one.calls).toEqual({ ...calls, put: 1, getBlocks: 3 })
  expect([one.written, one.read]).toEqual([1 + TOP, 1 + TOP])
  expect(one.writtenBytes).toBeLessThan(1.2 * LEAF_BYTES)
  const fifty = await built(evenly(50, 3))
  expect(fifty.calls).toEqual({ ...calls, put: 4, getBlocks: 3 })
  expect([fifty.written, fifty.read]).toEqual([MOST_LEAVES + TOP, MOST_LEAVES + TOP])
  expect(fifty.writtenBytes).toEqual(near(TREE_BYTES))
  const newest = await built(Array.from({ length: 50 }, (_, i) => changeOf(COUNT - 50 + i, 4)))
  expect([newest.written, newest.read]).toEqual([1 + TOP, 1 + TOP])
  expect(await tally.during(() => dataset.build())).toEqual({ ...NOTHING, calls: { newest: 1 } })
})

test('an export reads every block once, writes none, and takes one lease', async () => {
  const dataset = await store.open()
  expect(await store.tally.during(() => exported(dataset))).toEqual({
    ...NOTHING,
    calls: { newest: 3, lease: 1, getBlocks: 5 },
    read: LEAVES + 2,
    readBytes: near(TREE_BYTES),
  })
})

test('a restore writes every block once and reads each back once', async () => {
  const { backend, during } = tallyBackend(openMemory())
  const cairn = new Cairn(backend, { now: () => START })
  expect(await during(() => cairn.restoreCar([car]))).toEqual({
    calls: { newest: 1, stage: 1, put: 4, flush: 1, getBlocks: 1, commit: 1 },
    read: LEAVES + 2,
    readBytes: near(TREE_BYTES),
    written: LEAVES + TOP,
    writtenBytes: near(TREE_BYTES),
    commitBytes: near(907),
  })
})

test('a prune reads what it keeps once, writes one small block and no other', async () => {
  const { tally, open } = await copy()
  const dataset = await open()
  for (let round = 2; round < 5; round++) {
    await dataset.append(changeOf(round * 20_000, round))
    await dataset.build()
  }
  const policy = { last: 1 }
  const pruned = await tally.during(() => dataset.prune({ policy }))
  expect(pruned.calls).toEqual({ newest: 3, getBlocks: 12, getCommit: 5, commit: 1 })
  expect([pruned.read, pruned.written]).toEqual([31, 1])
  expect(pruned.readBytes).toEqual(near(TREE_BYTES))
  expect(pruned.writtenBytes).toBeLessThan(200)
  const again = await tally.during(() => dataset.prune({ policy }))
  expect(again.calls).toEqual({ newest: 3, getBlocks: 12, getCommit: 2 })
  expect([again.read, again.written]).toEqual([30, 0])
})
