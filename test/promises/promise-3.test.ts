/** Promise 3: the tree's root depends on the entities alone, not on the way that led to them. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openLmdb } from '../../src/backend/lmdb/index.ts'
import { openMemory } from '../../src/backend/memory.ts'
import type { AppendEntry } from '../../src/engine/draft.ts'
import { printCid } from '../../src/model/cid.ts'
import { collect, openTest, START, tempDir } from '../helpers/engine.ts'
import { tipOf } from '../helpers/entries.ts'
import { CHUNK_SIZE, manyEntities, rootOf, wander, wayTo } from '../helpers/roots.ts'

test('the same entities in any order and any number of builds have one root on memory and lmdb', async () => {
  const entities = manyEntities()
  const expected = await rootOf(entities.final, START)
  const backends = [
    { kind: 'memory', backend: openMemory(), sizes: [3000, 1500, 750, 331, 200, 120] },
    {
      kind: 'lmdb',
      backend: await openLmdb({ dir: await tempDir(), create: true }),
      sizes: [1000, 331],
    },
  ]
  for (const { kind, backend, sizes } of backends) {
    for (const [i, size] of sizes.entries()) {
      const steps = wayTo(entities, i + 1, size)
      expect(await wander(backend, steps, `way-${i}`), `${kind}, batches of ${size}`).toBe(expected)
    }
    await backend.close()
  }
})

test('any way to a state, with deletions, expiries and rollbacks on it, ends at the root of the state', async () => {
  const id = fc.nat(150).map((n) => `k${String(n).padStart(3, '0')}`)
  const batch = fc.uniqueArray(
    fc.record({ pi: id, kind: fc.constantFrom('live', 'live', 'live', 'dead', 'brief') }),
    {
      selector: ({ pi }) => pi,
      minLength: 1,
      maxLength: 60,
    },
  )
  const step = fc.oneof(
    { weight: 5, arbitrary: batch },
    { weight: 3, arbitrary: fc.constant('build' as const) },
    { weight: 1, arbitrary: fc.constant('there and back' as const) },
    { weight: 1, arbitrary: fc.constant('wait' as const) },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 20 }), async (steps) => {
      const { dataset, clock, backend } = await openTest({ init: { chunkSize: CHUNK_SIZE } })
      const newest = new Map<string, AppendEntry>()
      for (const one of steps) {
        if (one === 'build') await dataset.build()
        else if (one === 'wait') clock.now += 50
        else if (one === 'there and back') {
          const { undo } = await dataset.rollback({ snapshot: 'seq:0' })
          await dataset.rollback({ commit: undo })
        } else {
          const entries = one.map(({ pi, kind }) => ({
            pi,
            tip: kind === 'dead' ? null : tipOf(pi + kind),
            exp: kind === 'brief' ? clock.now + 70 : kind === 'dead' ? clock.now + 1_000_000 : null,
            ts: clock.now,
          }))
          const answers = await dataset.appendBatch(entries)
          for (const [i, entry] of entries.entries())
            newest.set(entry.pi, { ...entry, ver: answers[i]?.ver })
        }
      }
      const { root, entries } = await dataset.build({ force: true })
      const left = [...newest.values()].filter(
        ({ exp }) => typeof exp !== 'number' || exp > clock.now,
      )
      expect(entries).toBe(left.length)
      expect(printCid(root)).toBe(await rootOf(left, clock.now))
      const reader = await openTest({ backend, clock })
      expect(await collect(reader.dataset.entries({ deleted: true }))).toHaveLength(left.length)
    }),
    { numRuns: 150, includeErrorInReport: true },
  )
})

test('the chunk size and the content mode are part of what the root depends on', async () => {
  const { final } = manyEntities()
  const roots = [
    await rootOf(final, START, 64),
    await rootOf(final, START, 65),
    await rootOf(final, START, 1000),
  ]
  expect(new Set(roots).size).toBe(3)
})

test('neither tags, metadata, the clock nor the dataset are', async () => {
  const entries = [{ pi: 'a', ver: 1, tip: tipOf('a'), ts: START }]
  const roots = []
  for (const [name, now] of [
    ['main', START],
    ['other', START + 5_000_000],
  ] as const) {
    const { dataset } = await openTest({ name, clock: { now } })
    await dataset.appendBatch(entries)
    roots.push(printCid((await dataset.build({ meta: { now }, tags: [name] })).root))
  }
  expect(roots[0]).toBe(roots[1])
})
