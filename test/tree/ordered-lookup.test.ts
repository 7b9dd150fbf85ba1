/**
 * Invariant: keys that are looked up in order are found as by counting through all entries; and a search that begins
 * near its answer finds the same place as one through all of a run.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { keyOf } from '../../src/model/entity-id.ts'
import type { Entry } from '../../src/model/entry.ts'
import { lowerBound, lowerBoundNear, RunBuilder } from '../../src/model/run.ts'
import { NodeStore } from '../../src/tree/node-store.ts'
import { OrderedLookup } from '../../src/tree/ordered-lookup.ts'
import { Tree } from '../../src/tree/tree.ts'
import { entry } from '../helpers/entries.ts'
import { BlockMap, merge } from '../helpers/tree.ts'

const MOST = 600

/** Every second one is there, so each can be asked for that is, and each between two. */
const idOf = (n: number): string => `item/${String(n).padStart(4, '0')}`

const entriesOf = (count: number, dead: ReadonlySet<number>): Entry[] =>
  Array.from({ length: count }, (_, i) => entry(idOf(2 * i + 1), dead.has(i) ? { tip: null } : {}))

test('keys in order are found with their entries and ranks, each leaf at hand or not', async () => {
  const keys = fc.array(fc.nat(2 * MOST), { maxLength: 60 })
  const dead = fc.array(fc.nat(MOST), { maxLength: 200 })
  await fc.assert(
    fc.asyncProperty(fc.nat(MOST), dead, keys, fc.boolean(), async (count, gone, asked, isWarm) => {
      const entries = entriesOf(count, new Set(gone))
      const store = new BlockMap()
      const { root } = await merge(entries, { store, chunkSize: 16 })
      // One that may keep nothing reads each leaf anew.
      const tree = await Tree.open(new NodeStore(store, isWarm ? 16 << 20 : 0), root.cid)
      const lookup = new OrderedLookup(tree)
      for (const n of asked.toSorted((a, b) => a - b)) {
        const key = keyOf(idOf(n))
        const found = await lookup.seek(key)
        const there = entries.find(({ pi }) => pi === idOf(n))
        expect(found.entry).toEqual(there)
        expect(found.live).toBe(there !== undefined && there.tip !== null ? 1 : 0)
        const before = entries.filter(({ pi, tip }) => keyOf(pi) < key && tip !== null)
        expect(found.rank).toBe(before.length)
      }
    }),
  )
})

test('a search from nearby finds what a search through the run finds', () => {
  fc.assert(
    fc.property(fc.nat(80), fc.nat(170), fc.nat(90), (count, asked, from) => {
      const builder = new RunBuilder()
      for (const one of entriesOf(count, new Set())) builder.push(one, 'linked', keyOf(one.pi))
      const run = builder.take()
      for (const key of [keyOf(idOf(asked)), 'a', 'item', 'z']) {
        const near = lowerBoundNear(run, key, Math.min(from, run.count))
        expect(near).toBe(lowerBound(run, key, Math.min(from, run.count)))
        expect(near).toBe(Math.max(lowerBound(run, key), Math.min(from, run.count)))
      }
    }),
    { numRuns: 500 },
  )
})
