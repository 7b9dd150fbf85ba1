/** Ways to the same entities, and the root that a build from nothing makes of them (promise 3). */
import type { AppendEntry } from '../../src/engine/draft.ts'
import { printCid } from '../../src/model/cid.ts'
import type { Backend } from '../../src/store/backend.ts'
import { openTest, START } from './engine.ts'
import { idsWithoutThreshold, tipOf } from './entries.ts'

export const CHUNK_SIZE = 64

/** The root that a build from nothing makes, of entities in ascending order. */
export async function rootOf(
  entries: readonly AppendEntry[],
  now: number,
  chunkSize: number = CHUNK_SIZE,
): Promise<string> {
  const clock = { now: START }
  const { dataset } = await openTest({ init: { chunkSize, chainLimit: 100_000 }, clock })
  await dataset.appendBatch(entries.toSorted((a, b) => (a.pi < b.pi ? -1 : 1)))
  clock.now = now
  return printCid((await dataset.build({ force: true })).root)
}

/** Appends in the order of `steps`, building where one says so; returns the final root. */
export async function wander(
  backend: Backend,
  steps: readonly (readonly AppendEntry[] | 'build')[],
  name = 'main',
): Promise<string> {
  const { dataset } = await openTest({
    backend,
    name,
    init: { chunkSize: CHUNK_SIZE, chainLimit: 100_000 },
  })
  for (const step of steps) {
    if (step === 'build') await dataset.build()
    else await dataset.appendBatch(step)
  }
  return printCid((await dataset.build({ force: true })).root)
}

/** A seeded shuffle, so that a failure can be run again. */
function shuffled<T>(items: readonly T[], seed: number): T[] {
  let state = seed
  const next = (): number => (state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0) / 2 ** 32
  return items
    .map((item) => ({ item, at: next() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ item }) => item)
}

/** 3,000 entities whose ids are of all kinds; their final versions, and the older ones before. */
export function manyEntities(): { older: AppendEntry[]; final: AppendEntry[] } {
  const ids = [
    ...Array.from({ length: 2000 }, (_, i) => `E${String(i).padStart(6, '0')}`),
    ...Array.from({ length: 500 }, (_, i) => `${'é'.repeat(i % 40)}${i}`),
    ...idsWithoutThreshold(500, CHUNK_SIZE),
  ]
  const final = ids.map((pi, i) => ({
    pi,
    ver: 3,
    ts: START + i,
    tip: i % 11 === 0 ? null : tipOf(pi),
    exp: i % 7 === 0 || i % 11 === 0 ? START + 1_000_000 + i : null,
  }))
  const older = ids
    .filter((_, i) => i % 3 === 0)
    .map((pi) => ({ pi, ver: 2, ts: START, tip: tipOf('older') }))
  return { older, final }
}

/** Steps from nothing to the entities of `manyEntities`, another way for every seed. */
export function wayTo(
  {
    older,
    final,
  }: { readonly older: readonly AppendEntry[]; readonly final: readonly AppendEntry[] },
  seed: number,
  size: number,
): (readonly AppendEntry[] | 'build')[] {
  const entries = shuffled(final, seed * 7)
  const steps: (readonly AppendEntry[] | 'build')[] = [shuffled(older, seed)]
  for (let at = 0; at < entries.length; at += size)
    steps.push(entries.slice(at, at + size), 'build')
  return steps
}
