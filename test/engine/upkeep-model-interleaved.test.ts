/**
 * Upkeep while others work: two processes on one store, every call of which comes when a seed says. What
 * was acknowledged is there at the end, exports hold all that they began with, and nobody is told of
 * damage where there is none.
 */
import { expect, test } from 'vitest'
import { openLmdb } from '../../src/backend/lmdb/index.ts'
import { openMemory } from '../../src/backend/memory.ts'
import { refuseMissing } from '../../src/content/complete.ts'
import { Cairn } from '../../src/cairn.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import { isCairnError, type ErrorCode } from '../../src/errors.ts'
import type { Backend } from '../../src/store/backend.ts'
import { collect, START, tempDir } from '../helpers/engine.ts'
import { carInMemory } from '../helpers/memory-car.ts'
import { Random } from '../helpers/random.ts'
import { schedulerOf } from '../helpers/scheduled-backend.ts'

type Versions = Map<string, number>

/** What of a work may fail for: another came first, or what was named is forgotten. */
const EXPECTED: readonly ErrorCode[] = ['conflict', 'busy', 'not_found', 'base_missing']

async function tolerating<T>(what: string, work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (isCairnError(error) && EXPECTED.includes(error.code)) return undefined
    throw new Error(`${what}: ${String(error)}`, { cause: error })
  }
}

async function versionsOf(backend: Backend, dataset: Dataset): Promise<Versions> {
  const entries = await collect(dataset.entries())
  await refuseMissing(
    backend,
    entries.flatMap(({ tip }) => tip ?? []),
    undefined,
  )
  return new Map(entries.map(({ pi, ver }) => [pi, ver]))
}

function expectAtLeast(actual: Versions, acknowledged: Versions, what: string): void {
  for (const [pi, ver] of acknowledged)
    expect(actual.get(pi) ?? 0, `${what}: ${pi}`).toBeGreaterThanOrEqual(ver)
}

interface Ground {
  readonly random: Random
  readonly acknowledged: Versions
  readonly now: () => number
}

async function write(dataset: Dataset, { random, acknowledged }: Ground): Promise<void> {
  const pis = Array.from({ length: random.int(1, 30) }, () => `e${random.int(0, 120)}`)
  const items = [...new Set(pis)].map((pi) => ({ pi, value: { n: random.int(0, 5) } }))
  for (const { pi, ver } of await dataset.appendBatch(items))
    acknowledged.set(pi, Math.max(ver, acknowledged.get(pi) ?? 0))
}

/** An export that ends is restored on a new store, and has all that was acknowledged before it. */
async function exportAndTry(dataset: Dataset, { random, acknowledged, now }: Ground) {
  const before = new Map(acknowledged)
  const how = random.int(0, 2)
  const options = [{}, { snapshot: `latest~${random.int(0, 2)}` }, { since: 'latest~1' }][how]
  const saved = await tolerating('export', carInMemory(dataset, options))
  if (saved === undefined || how === 2) return
  const backend = openMemory()
  const copy = new Cairn(backend, { now })
  await copy.restoreCar([saved.car], { as: 'copy' })
  const found = await versionsOf(backend, await copy.dataset('copy'))
  if (how === 0) expectAtLeast(found, before, 'export')
}

async function read(dataset: Dataset, { random, acknowledged }: Ground): Promise<void> {
  const before = new Map(acknowledged)
  const pi = `e${random.int(0, 120)}`
  const entry = await dataset.get(pi)
  expect(entry?.ver ?? 0).toBeGreaterThanOrEqual(before.get(pi) ?? 0)
  const { items } = await dataset.list({ limit: 200 })
  expectAtLeast(new Map(items.map((one) => [one.pi, one.ver])), before, 'list')
}

async function copyTo(cairn: Cairn, dataset: Dataset, { random }: Ground): Promise<void> {
  const saved = await tolerating('export', carInMemory(dataset))
  if (saved === undefined) return
  const as = `copy${random.int(0, 1)}`
  const restored = await tolerating('restore', cairn.restoreCar([saved.car], { as, replace: true }))
  if (restored === undefined) return
  const copy = await cairn.dataset(as)
  if (random.int(0, 1) === 0) await tolerating('prune', copy.prune({ policy: { last: 1 } }))
}

async function work(cairn: Cairn, ground: Ground, tasks: number): Promise<void> {
  const dataset = await cairn.dataset()
  const { random } = ground
  for (let i = 0; i < tasks; i++) {
    const kind = random.int(0, 9)
    if (kind < 4) await write(dataset, ground)
    else if (kind < 6) await tolerating('build', dataset.build({ force: true }))
    else if (kind < 7) await exportAndTry(dataset, ground)
    else if (kind < 8) await read(dataset, ground)
    else if (kind < 9)
      await tolerating('prune', dataset.prune({ policy: { last: random.int(1, 2) } }))
    else await copyTo(cairn, dataset, ground)
  }
}

async function play(seed: number, inner: Backend): Promise<void> {
  let clock = START
  const now = (): number => (clock += 10)
  const ground = { random: new Random(seed), acknowledged: new Map<string, number>(), now }
  await new Cairn(inner, { now }).init('main', { chunkSize: 64 })
  const scheduler = schedulerOf(seed)
  try {
    const workers = Array.from(
      { length: 2 },
      () => new Cairn(scheduler.wrap(inner), { now, cacheBytes: 1 }),
    )
    const runs = workers.flatMap((cairn) => [work(cairn, ground, 8), work(cairn, ground, 8)])
    const ends = await Promise.allSettled(runs)
    for (const end of ends) if (end.status === 'rejected') throw end.reason as Error
  } finally {
    scheduler.stop()
  }
  const cairn = new Cairn(inner, { now })
  for (const name of await cairn.datasets()) {
    const dataset = await cairn.dataset(name)
    const found = await versionsOf(inner, dataset)
    if (name === 'main') expectAtLeast(found, ground.acknowledged, 'at the end')
    for (const { seq } of await collect(dataset.snapshots()))
      await collect(dataset.entries({ at: { snapshot: `seq:${seq}` } }))
    await dataset.prune({ policy: { last: 1 } })
    expect(await versionsOf(inner, dataset)).toEqual(found)
  }
}

const FROM = Number(process.env['UPKEEP_SEED'] ?? 1)
const SEEDS = Number(process.env['UPKEEP_SEEDS'] ?? 20)

async function playAll(from: number, count: number, open: () => Promise<Backend>): Promise<void> {
  const failed: string[] = []
  for (let seed = from; seed < from + count; seed++) {
    const inner = await open()
    try {
      await play(seed, inner)
    } catch (error) {
      const { stack = '', cause } = error instanceof Error ? error : new Error(String(error))
      failed.push(`seed ${seed}: ${stack} ${cause instanceof Error ? cause.stack : ''}`)
    } finally {
      await inner.close()
    }
  }
  expect(failed.join('\n')).toBe('')
}

test('two processes that write, read, build, export, restore and prune at once lose nothing', async () => {
  await playAll(FROM, SEEDS, async () => openMemory())
}, 3_600_000)

test('nor do they on lmdb', async () => {
  await playAll(FROM, Math.ceil(SEEDS / 8), async () =>
    openLmdb({ dir: await tempDir(), create: true }),
  )
}, 3_600_000)
