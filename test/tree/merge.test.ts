import fc from 'fast-check'
import { expect, test } from 'vitest'
import { printCid } from '../../src/model/cid.ts'
import type { Entry } from '../../src/model/entry.ts'
import { keyOf } from '../../src/model/entity-id.ts'
import { NodeStore } from '../../src/tree/node-store.ts'
import { diffTrees } from '../../src/tree/diff.ts'
import { Tree } from '../../src/tree/tree.ts'
import { entry, idsWithoutThreshold, tipOf } from '../helpers/entries.ts'
import { BlockMap, merge, readAll, type BuiltTree } from '../helpers/tree.ts'

const byKey = (a: Entry, b: Entry): number => (keyOf(a.pi) < keyOf(b.pi) ? -1 : 1)

/** What a dataset holds at `at` after the entries came in this order. */
function stateOf(entries: readonly Entry[], at: number): Entry[] {
  const newest = new Map<string, Entry>()
  for (const one of entries) newest.set(one.pi, one)
  return [...newest.values()].filter((one) => one.exp === null || one.exp > at).sort(byKey)
}

const plainIds = Array.from(
  { length: 1500 },
  (_, n) => `P${String((n * 7919) % 100_000).padStart(6, '0')}`,
)
const hardIds = idsWithoutThreshold(1200, 64)

/** Batches over a few hundred ids: puts, deletes, expiries, whole ranges at once. */
function arbitraryBatches(ids: readonly string[]): fc.Arbitrary<Entry[][]> {
  const one = fc
    .record({
      index: fc.nat(ids.length - 1),
      ver: fc.integer({ min: 1, max: 3 }),
      kind: fc.constantFrom('put', 'put', 'put', 'delete', 'expire'),
      exp: fc.integer({ min: 1, max: 60 }),
    })
    .map(({ index, ver, kind, exp }) =>
      entry(ids[index] ?? '', {
        ver,
        tip: kind === 'delete' ? null : tipOf(`${index}/${ver}`),
        exp: kind === 'expire' ? exp : null,
      }),
    )
  const range = fc
    .record({
      from: fc.nat(ids.length - 1),
      length: fc.integer({ min: 1, max: 700 }),
      kind: fc.constantFrom('put', 'put', 'drop'),
    })
    .map(({ from, length, kind }) =>
      ids
        .slice(from, from + length)
        .map((pi) => (kind === 'put' ? entry(pi, { ver: 5 }) : entry(pi, { ver: 6, exp: 1 }))),
    )
  const batch = fc.oneof(
    { weight: 3, arbitrary: fc.array(one, { minLength: 1, maxLength: 40 }) },
    { weight: 2, arbitrary: range },
  )
  return fc.array(batch, { minLength: 1, maxLength: 8 })
}

async function checkBatches(batches: Entry[][], runLength: number): Promise<void> {
  const store = new BlockMap()
  let built: BuiltTree | undefined
  const all: Entry[] = []
  for (const [i, batch] of batches.entries()) {
    all.push(...batch)
    const at = (i + 1) * 10
    built = await merge(batch, {
      store,
      at,
      runLength,
      ...(built === undefined ? {} : { base: built }),
    })
    const state = stateOf(all, at)
    const scratchStore = new BlockMap()
    const scratch = await merge(state, { store: scratchStore, at })
    expect(printCid(built.root.cid)).toBe(printCid(scratch.root.cid))
    expect(built.root).toEqual(scratch.root)
    expect(built.leafCount).toBe(scratch.leafCount)
    expect(await readAll(store, built.root.cid)).toEqual(state)
  }
}

for (const [name, ids] of [
  ['ids that end leaves by the threshold', plainIds],
  ['ids in long runs without a threshold end', hardIds],
] as const) {
  test(`merging any batches gives the tree of a build from scratch: ${name}`, async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryBatches(ids), fc.constantFrom(1, 7, 1000), checkBatches),
      { numRuns: 60, interruptAfterTimeLimit: 25_000 },
    )
  })
}

test('taking nearly everything out lowers the tree, down to one empty leaf', async () => {
  const store = new BlockMap()
  const ids = Array.from({ length: 6000 }, (_, n) => `E${String(n).padStart(6, '0')}`)
  const full = await merge(
    ids.map((pi) => entry(pi)),
    { store },
  )
  for (const kept of [[0], [5999], [3000], [0, 5999], [10, 11, 2500], []]) {
    const gone = ids.filter((_, n) => !kept.includes(n)).map((pi) => entry(pi, { exp: 1 }))
    const few = await merge(gone, { store, base: full, at: 2 })
    const scratch = await merge(
      kept.map((n) => entry(ids[n] ?? '')),
      { store },
    )
    expect(few.root).toEqual(scratch.root)
    expect(few.leafCount).toBe(scratch.leafCount)
  }
})

test('one edit reads and writes a few nodes of a large tree, and no edit none', async () => {
  const store = new BlockMap()
  const ids = Array.from({ length: 20_000 }, (_, n) => `I${String(n * 17).padStart(9, '0')}`)
  const base = await merge(
    ids.map((pi) => entry(pi)),
    { store },
  )
  expect(base.leafCount).toBeGreaterThan(400)
  let reads = 0
  let writes = 0
  for (let n = 0; n < 100; n++) {
    store.reads = 0
    store.writes = 0
    await merge([entry(ids[(n * 199) % ids.length] ?? '', { ver: 2 })], { store, base })
    reads += store.reads
    writes += store.writes
    expect(store.writes).toBeLessThan(30)
  }
  // A leaf and its branches, and now and then a neighbour.
  expect(writes / 100).toBeLessThan(8)
  expect(reads / 100).toBeLessThan(10)
  store.reads = 0
  store.writes = 0
  const same = await merge([], { store, base })
  expect(same.root.cid).toEqual(base.root.cid)
  expect([store.reads, store.writes]).toEqual([1, 0])
})

test('an edit that changes nothing writes nothing', async () => {
  const store = new BlockMap()
  const ids = plainIds
  const base = await merge(
    ids.map((pi) => entry(pi)),
    { store },
  )
  store.writes = 0
  const same = await merge([entry(ids[700] ?? '')], { store, base })
  expect(same.root.cid).toEqual(base.root.cid)
  expect(store.writes).toBe(0)
})

test('lookups, ranks and ranges agree with a sorted list', async () => {
  const store = new BlockMap()
  const entries = stateOf(
    Array.from({ length: 5000 }, (_, n) => {
      const pi = `${n % 3 === 0 ? 'é' : 'R'}${String((n * 7919) % 90_000)}`
      return entry(pi, { tip: n % 5 === 0 ? null : tipOf(pi), ver: n + 1 })
    }),
    0,
  )
  const built = await merge(entries, { store })
  const tree = await Tree.open(new NodeStore(store, 16 << 20), built.root.cid)
  const live = entries.filter((one) => one.tip !== null)
  expect(tree.liveCount).toBe(live.length)
  for (let n = 0; n < entries.length; n += 37) {
    const one = entries[n]
    if (one === undefined) continue
    expect(await tree.get(keyOf(one.pi))).toEqual(one)
    expect(await tree.get(`${keyOf(one.pi)}!`)).toBeUndefined()
  }
  for (let n = 0; n < live.length; n += 41) {
    expect(await tree.keyAtRank(n)).toBe(keyOf(live[n]?.pi ?? ''))
  }
  expect(await tree.keyAtRank(live.length)).toBeUndefined()
  await fc.assert(
    fc.asyncProperty(
      fc.nat(entries.length - 1),
      fc.nat(entries.length - 1),
      fc.boolean(),
      async (a, b, descending) => {
        const from = keyOf(entries[Math.min(a, b)]?.pi ?? '')
        const to = keyOf(entries[Math.max(a, b)]?.pi ?? '')
        const expected = entries.slice(Math.min(a, b), Math.max(a, b))
        const found = await readAll(store, built.root.cid, { from, to }, descending)
        expect(found).toEqual(descending ? expected.toReversed() : expected)
      },
    ),
    { numRuns: 50 },
  )
})

test('a diff gives just the changes, and reads little of what is the same', async () => {
  const store = new BlockMap()
  const ids = Array.from({ length: 20_000 }, (_, n) => `D${String(n * 13).padStart(9, '0')}`)
  const before = await merge(
    ids.map((pi) => entry(pi)),
    { store },
  )
  const edits = [
    entry(ids[10] ?? '', { ver: 2 }),
    entry(ids[11] ?? '', { ver: 2, exp: 1 }),
    entry(`${ids[15_000]}x`),
    entry('ZZZ'),
  ]
  const after = await merge(edits, { store, base: before, at: 2 })
  store.reads = 0
  const changes = []
  for await (const change of diffTrees(
    new NodeStore(store, 16 << 20),
    before.root.cid,
    after.root.cid,
  )) {
    changes.push([change.pi, change.before?.ver, change.after?.ver])
  }
  expect(changes).toEqual([
    [ids[10], 1, 2],
    [ids[11], 1, undefined],
    [`${ids[15_000]}x`, undefined, 1],
    ['ZZZ', undefined, 1],
  ])
  expect(store.reads).toBeLessThan(40)
})
