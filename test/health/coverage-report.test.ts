/** What coverage says of a real store with real CARs is tried: each state is brought back and compared. */
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { readBackups } from '../../src/backup/folder.ts'
import { openMemory } from '../../src/backend/memory.ts'
import { Cairn } from '../../src/cairn.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import type { At } from '../../src/engine/time.ts'
import { readCoverage, type CoverageReport } from '../../src/health/coverage-report.ts'
import type { Values } from '../../src/config/schema.ts'
import { drillTask } from '../../src/tasks/drill.ts'
import { exportTask } from '../../src/tasks/export.ts'
import { pruneTask } from '../../src/tasks/prune.ts'
import { restoreTask } from '../../src/tasks/restore.ts'
import { verifyTask } from '../../src/tasks/verify.ts'
import { flipped } from '../helpers/damage.ts'
import { collect, openTest, START, tempDir } from '../helpers/engine.ts'
import { task, type Owner } from './backups.ts'
import { DAY, HOUR, valuesOf } from './seen.ts'

interface World extends Owner {
  readonly dataset: Dataset
  readonly clock: { now: number }
  readonly values: Values
  /** The state from a moment on, oldest first. */
  readonly states: { readonly ts: number; readonly entities: string }[]
}

async function makeWorld(given: Partial<Values> = {}): Promise<World> {
  const dir = await tempDir()
  const clock = { now: START }
  const { cairn, backend, dataset } = await openTest({ clock, init: { content: 'linked' } })
  const values = valuesOf({ data_dir: dir, backups_dir: join(dir, 'backups'), ...given })
  const states = [{ ts: START, entities: await entitiesOf(dataset) }]
  return { dir, cairn, backend, dataset, clock, values, states, now: () => clock.now }
}

async function entitiesOf(dataset: Dataset, at?: At): Promise<string> {
  const entries = await collect(dataset.entries({ at }))
  return JSON.stringify(entries.map(({ pi, ver }) => [pi, ver]))
}

const STEPS = ['put', 'put', 'put', 'build', 'export', 'prune', 'rest'] as const

async function step(world: World, what: (typeof STEPS)[number], amount: number): Promise<void> {
  const { dataset, clock, states } = world
  clock.now += (amount + 1) * HOUR
  if (what === 'put') {
    await dataset.put(`k${amount % 5}`, { amount })
    states.push({ ts: clock.now, entities: await entitiesOf(dataset) })
  }
  if (what === 'build') await dataset.build({})
  if (what === 'export') await exportTask(task(world))
  if (what === 'prune') await pruneTask(task(world), { policy: { last: 1 + (amount % 3) } })
}

const coverageOf = ({ cairn, backend, values, clock }: World): Promise<CoverageReport> =>
  readCoverage({ cairn, backend, dataset: 'main', values, now: clock.now })

const stateAt = ({ states }: World, t: number): string =>
  states.findLast(({ ts }) => ts <= t)?.entities ?? 'nothing'

type Way = CoverageReport['intervals'][number]['store']

/** The moment whose state must come back, for a moment of the interval. */
const wanted = (way: NonNullable<Way>, t: number): number =>
  way.state_of === null ? t : Date.parse(way.state_of)

async function checkStore(world: World, way: Way, t: number): Promise<void> {
  if (way === null) return
  const at = way.name === null ? { time: t } : { snapshot: way.name }
  expect(await entitiesOf(world.dataset, at)).toBe(stateAt(world, wanted(way, t)))
}

async function checkCar(world: World, way: Way, t: number): Promise<void> {
  if (way?.name === null || way === null) return
  const backend = openMemory()
  const cairn = new Cairn(backend, { now: world.now })
  await restoreTask(
    { ...task({ ...world, backend, cairn }) },
    { files: [join(world.values.backups_dir, way.name)] },
  )
  expect(await entitiesOf(await cairn.dataset('main'))).toBe(stateAt(world, wanted(way, t)))
}

test('whatever coverage promises can be had, from the store and from the CARs alone', async () => {
  const steps = fc.array(fc.tuple(fc.constantFrom(...STEPS), fc.integer({ min: 0, max: 40 })), {
    minLength: 5,
    maxLength: 25,
  })
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const world = await makeWorld()
      for (const [what, amount] of all) await step(world, what, amount)
      world.clock.now += HOUR
      const { intervals } = await coverageOf(world)
      expect(Date.parse(intervals.at(-1)?.to ?? '')).toBe(world.clock.now)
      for (const { from, to, store, cars } of intervals) {
        const [first, end] = [Date.parse(from), Date.parse(to)]
        for (const t of new Set([first, Math.floor((first + end) / 2), Math.max(first, end - 1)])) {
          await checkStore(world, store, t)
          await checkCar(world, cars, t)
        }
      }
    }),
    { numRuns: 15 },
  )
})

test('a new dataset is covered by its commits from its first moment on; without a CAR it is not safe', async () => {
  const world = await makeWorld()
  await step(world, 'put', 1)
  const { from, covered, intervals, findings } = await coverageOf(world)
  expect(Date.parse(from)).toBe(START)
  expect(covered).toBe(false)
  expect(intervals).toMatchObject([
    { store: { by: 'commit', exact: true, loses_ms: 0 }, cars: null },
  ])
  expect(findings.map(({ kind }) => kind)).toEqual(['no_car', 'unproved'])
})

test('what was proved last, and how', async () => {
  const world = await makeWorld()
  await step(world, 'put', 1)
  await step(world, 'export', 1)
  const exportedAt = new Date(world.clock.now).toISOString()
  const waysOf = async (): Promise<unknown> => (await coverageOf(world)).intervals.at(-1)
  expect(await waysOf()).toMatchObject({
    store: { proved_at: null, proved_by: null },
    cars: { exact: true, proved_by: 'export' },
  })
  world.clock.now += HOUR
  await verifyTask(task(world), { mode: { kind: 'full' } })
  await drillTask(task(world), { scratch: world.dir })
  const now = new Date(world.clock.now).toISOString()
  expect(now).not.toBe(exportedAt)
  expect(await waysOf()).toMatchObject({
    store: { proved_at: now, proved_by: 'verify' },
    cars: { proved_at: now, proved_by: 'drill' },
  })
  expect((await coverageOf(world)).covered).toBe(true)
  // A new entry is in no part that was proved, nor in the CAR.
  await step(world, 'put', 2)
  expect(await waysOf()).toMatchObject({ cars: { exact: false, loses_ms: 6 * HOUR } })
})

test('a CAR that a drill could not restore is not proved by having been written', async () => {
  const world = await makeWorld()
  await step(world, 'put', 1)
  await step(world, 'export', 1)
  const [backup] = (await readBackups(world.values.backups_dir)).backups
  const path = backup?.paths.car ?? ''
  const sound = await readFile(path)
  await writeFile(path, flipped(sound, sound.length - 20))
  world.clock.now += HOUR
  await expect(drillTask(task(world), { scratch: world.dir })).rejects.toThrow()
  expect((await coverageOf(world)).intervals.at(-1)?.cars).toMatchObject({
    name: backup?.sidecar.filename,
    proved_at: null,
    proved_by: null,
  })
  // Written anew, it is another file to be tried.
  await writeFile(path, sound)
  world.clock.now += HOUR
  await exportTask(task(world), { force: true })
  expect((await coverageOf(world)).intervals.at(-1)?.cars).toMatchObject({ proved_by: 'export' })
})

test('what the rules should have kept, and nothing has, is a hole', async () => {
  const world = await makeWorld({ keep_snapshots: 'daily=12', keep_cars: 'last=3' })
  for (let day = 0; day < 20; day++) {
    await step(world, 'put', 22)
    await step(world, 'build', 0)
  }
  await pruneTask(task(world), { policy: { last: 3 } })
  await step(world, 'export', 0)
  const { from, covered, findings } = await coverageOf(world)
  expect(Date.parse(from)).toBe(world.clock.now - 10 * DAY)
  expect(covered).toBe(false)
  const [hole] = findings
  expect(hole).toMatchObject({ kind: 'hole', level: 'critical', from })
  const kept = (await collect(world.dataset.snapshots())).at(-1)
  expect(Date.parse(hole?.to ?? '')).toBe(kept?.ts)
})

test('a CAR whose base is gone, and one of another dataset of the name, cover nothing', async () => {
  const world = await makeWorld()
  await step(world, 'put', 1)
  await world.dataset.build({ tags: ['base'] })
  const base = await exportTask(task(world), { snapshot: 'base' })
  await step(world, 'put', 2)
  await exportTask(task(world), { since: 'base' })
  const carsNow = async (): Promise<unknown> => (await coverageOf(world)).intervals.at(-1)?.cars
  expect(await carsNow()).toMatchObject({ exact: true })
  await rm(join(world.values.backups_dir, base.filename))
  expect(await carsNow()).toBe(null)
  await exportTask(task(world))
  const other = await makeWorld()
  const same = { ...other, values: world.values, clock: world.clock }
  expect((await coverageOf(same)).intervals.at(-1)?.cars).toBe(null)
})
