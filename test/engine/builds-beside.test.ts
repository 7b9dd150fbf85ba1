/** What a build leaves to those who append and read beside it: turns, room, and a warm cache. */
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import type { Backend } from '../../src/store/backend.ts'
import { countingBackend, wrapBackend } from '../helpers/counting-backend.ts'
import { newestCommit, openTest } from '../helpers/engine.ts'
import { tipOf } from '../helpers/entries.ts'

const A = tipOf('a')
const B = tipOf('b')
const ENTITIES = 60_000

const idOf = (n: number): string => `entity-${String(n).padStart(9, '0')}`

/** Whose stagings, which it counts, wait for `gate` before they are flushed: a build is under way as long. */
function slowToStage(
  inner: Backend,
  gate: Promise<void>,
): { backend: Backend; stagings: string[] } {
  const stagings: string[] = []
  const backend = wrapBackend(inner, {
    stage: async (dataset, label, options) => {
      const staging = await inner.stage(dataset, label, options)
      stagings.push(label)
      return {
        ...staging,
        put: (blocks, callOptions) => staging.put(blocks, callOptions),
        flush: async (callOptions) => {
          await gate
          await staging.flush(callOptions)
        },
        end: (outcome) => staging.end(outcome),
      }
    },
  })
  return { backend, stagings }
}

const some = (from: number, count: number): { pi: string; tip: Uint8Array }[] =>
  Array.from({ length: count }, (_, i) => ({ pi: idOf(from + i), tip: A }))

test('an append that finds the chain full waits for the build that is under way, and makes no second one', async () => {
  let open = (): void => undefined
  const gate = new Promise<void>((resolve) => (open = resolve))
  const { backend, stagings } = slowToStage(openMemory(), gate)
  const { cairn, dataset } = await openTest({ backend, init: { chainLimit: 20 } })
  await dataset.appendBatch(some(0, 17))
  // As a job has it: another object of the same dataset.
  const job = (await cairn.dataset('main')).build({ reason: 'job' })
  while (stagings.length === 0) await new Promise((resolve) => setImmediate(resolve))
  await dataset.appendBatch(some(17, 3))
  const append = dataset.append({ pi: idOf(0), tip: B })
  // Time enough for the append to find the chain full.
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
  open()
  expect((await job).folded).toBe(17)
  expect(await append).toMatchObject({ position: 20, ver: 2 })
  expect(stagings).toEqual(['snapshot 1'])
  const { snapshotSeq, recentCount } = await newestCommit(backend)
  expect([snapshotSeq, recentCount]).toEqual([1, 4])
})

/** How often others had a turn while nearly every leaf was written anew, and how many leaves that were. */
async function turnsOfBuild(backend: Backend): Promise<{ turns: number; leaves: number }> {
  const { dataset } = await openTest({ backend, init: { chainLimit: ENTITIES } })
  await dataset.appendBatch(some(0, ENTITIES))
  await dataset.build()
  await dataset.appendBatch(some(0, 600).map((_, i) => ({ pi: idOf(i * 100), tip: B })))
  let turns = 0
  let building = true
  const count = (): void => {
    turns += 1
    if (building) setImmediate(count)
  }
  setImmediate(count)
  const { chunksWritten: leaves } = await dataset.build().finally(() => (building = false))
  return { turns, leaves }
}

test('merging and reading back give others a turn after each leaf or two, even on a store that never waits', async () => {
  const merging = await turnsOfBuild(wrapBackend(openMemory(), { provesBlocks: true }))
  expect(merging.leaves).toBeGreaterThan(8)
  expect(merging.turns).toBeGreaterThan(merging.leaves / 2)
  const both = await turnsOfBuild(openMemory())
  expect(both.turns).toBeGreaterThan(merging.turns + merging.leaves / 3)
})

test('what was at hand before a build is at hand after it, and nothing else is', async () => {
  const backend = countingBackend(openMemory())
  const { dataset: writer } = await openTest({ backend, init: { chainLimit: ENTITIES } })
  await writer.appendBatch(Array.from({ length: ENTITIES }, (_, i) => ({ pi: idOf(i), tip: A })))
  await writer.build()
  const { dataset: reader } = await openTest({ backend })
  const [hot, cold, still] = [idOf(1000), idOf(ENTITIES / 2), idOf(ENTITIES - 1)]
  expect(await readsOf(backend, () => reader.get(hot))).toBe(1)
  expect(await readsOf(backend, () => reader.get(still))).toBe(1)
  // Beside the one, and into the other.
  await writer.appendBatch([idOf(10), cold].map((pi) => ({ pi, tip: B })))
  expect((await reader.build()).chunksWritten).toBeGreaterThanOrEqual(2)
  expect(await readsOf(backend, () => reader.get(hot))).toBe(0)
  expect(await readsOf(backend, () => reader.get(still))).toBe(0)
  expect(await readsOf(backend, () => reader.get(cold))).toBe(1)
  // Of the tree before, the leaf that the new one shares, and not the one that it has another for.
  const at = { snapshot: 'seq:1' }
  await reader.get(still, { at })
  const toFindIt = await readsOf(backend, () => reader.get(still, { at }))
  expect(await readsOf(backend, () => reader.get(hot, { at }))).toBe(toFindIt + 1)
})

test('what was at hand stays so, however near to a leaf new ones come to lie', async () => {
  const backend = countingBackend(openMemory())
  const { dataset } = await openTest({ backend, init: { chunkSize: 64, chainLimit: ENTITIES } })
  const ids = Array.from({ length: 240 }, (_, i) => idOf(i * 1000))
  await dataset.appendBatch(ids.map((pi) => ({ pi, tip: A })))
  await dataset.build()
  for (const pi of ids) await dataset.get(pi)
  for (let round = 1; round <= 60; round++) {
    // Behind the last, and in gaps.
    const more = [idOf(240_000 + round), idOf(((round * 37) % 240) * 1000 + round)]
    await dataset.appendBatch(more.map((pi) => ({ pi, tip: A })))
    await dataset.build()
    ids.push(...more)
    const reads = await readsOf(backend, async () => {
      for (const pi of ids) await dataset.get(pi)
    })
    expect(reads, `round ${round}`).toBe(0)
  }
})

async function readsOf(backend: { reads: number }, read: () => Promise<unknown>): Promise<number> {
  const before = backend.reads
  await read()
  return backend.reads - before
}
