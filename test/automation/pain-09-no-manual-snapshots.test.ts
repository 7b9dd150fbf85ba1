/**
 * Pain P09: "No automated snapshots, manual intervention required." Here a service that is started and
 * forgotten builds, exports, prunes, verifies and drills by itself; nothing is set but its defaults.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { JobKind } from '../../src/jobs/job.ts'
import { HOUR, MINUTE } from './situations.ts'
import { defaultValues } from './values.ts'
import { openWorld, type World } from './world.ts'

const { build_schedule, export_schedule, prune_schedule, verify_schedule, drill_schedule } =
  defaultValues()
const schedules = {
  build_schedule,
  export_schedule,
  prune_schedule,
  verify_schedule,
  drill_schedule,
}

const runs = (world: World): [JobKind, string][] =>
  world.jobs
    .list()
    .map(({ kind, state }): [JobKind, string] => [kind, state])
    .toReversed()

const carsIn = async (world: World): Promise<string[]> =>
  (await readdir(join(world.dir, 'backups'))).filter((name) => name.endsWith('.car'))

test('P09: by its defaults, new data has a CAR that was tried within minutes', async () => {
  const world = await openWorld({ values: schedules })
  await world.automation.start()
  await world.advance(5 * MINUTE)
  expect(runs(world)).toEqual([])
  await world.append(20)
  await world.advance(5 * MINUTE)
  expect(runs(world)).toEqual([
    ['export', 'succeeded'],
    ['drill', 'succeeded'],
  ])
  expect(world.jobs.list().every(({ reason }) => reason === 'first')).toBe(true)
  expect(await carsIn(world)).toHaveLength(1)
})

test('P09: by its defaults, the first Sunday of a month does everything', async () => {
  const saturdayNight = Date.parse('2026-11-01T01:50:00Z')
  const world = await openWorld({ values: schedules, now: saturdayNight })
  await world.automation.start()
  await world.append(20)
  await world.advance(5 * HOUR)
  expect(runs(world)).toEqual([
    // The first ones.
    ['export', 'succeeded'],
    ['drill', 'succeeded'],
    ['build', 'succeeded'],
    ['export', 'succeeded'],
    ['prune', 'succeeded'],
    ['prune-cars', 'succeeded'],
    ['verify', 'succeeded'],
    ['drill', 'succeeded'],
  ])
  expect(world.jobs.list().filter(({ reason }) => reason === 'schedule')).toHaveLength(6)
  expect(await carsIn(world)).toHaveLength(2)
  const { next } = world.automation.state('main')
  expect(next.map(({ kind, at }) => `${kind} ${at}`)).toEqual([
    'build 2026-11-02T02:00:00.000Z',
    'prune 2026-11-02T04:00:00.000Z',
    'prune-cars 2026-11-02T04:00:00.000Z',
    'verify 2026-11-02T05:00:00.000Z',
    'export 2026-11-08T03:00:00.000Z',
    'drill 2026-12-01T06:00:00.000Z',
  ])
})

test('P09: rules of retention are kept to, for snapshots and CARs', async () => {
  const world = await openWorld({
    values: {
      save_interval: 60,
      export_schedule: '*/5 * * * *',
      prune_schedule: '32 * * * *',
      keep_snapshots: 'last=2',
      keep_cars: 'last=3',
    },
  })
  await world.automation.start()
  for (let i = 0; i < 7; i++) {
    await world.append(1)
    await world.advance(4 * MINUTE + 45_000)
  }
  expect((await world.snapshots()).length).toBeLessThanOrEqual(3)
  expect(await carsIn(world)).toHaveLength(3)
  const kinds = runs(world).map(([kind]) => kind)
  expect(kinds.filter((kind) => kind === 'export')).toHaveLength(7)
  expect(runs(world).every(([, state]) => state === 'succeeded')).toBe(true)
})

test('P09: a command of its own follows each export, and its failure is told of', async () => {
  const after = { export_schedule: '0 * * * *', after_export: 'cp "$1" "$CAIRN_COPY_TO"' }
  const world = await openWorld({ values: after })
  await world.automation.start()
  await world.append(1)
  process.env['CAIRN_COPY_TO'] = join(world.dir, 'copy.car')
  await world.advance(HOUR)
  delete process.env['CAIRN_COPY_TO']
  expect((await readFile(join(world.dir, 'copy.car'))).length).toBeGreaterThan(100)

  world.automation.reload(world.values({ after_export: 'exit 3' }))
  await world.append(1)
  await world.advance(HOUR + 5 * MINUTE)
  expect(world.automation.state('main').runs.export).toMatchObject({
    failures: 4,
    last: { state: 'failed', error: { code: 'hook_failed' }, result: { recent_count: 2 } },
  })
  // It is the command that is tried again, with the CAR that is there.
  expect(await carsIn(world)).toHaveLength(2)
})

test('P09: no schedule builds or exports twice what did not change', async () => {
  const world = await openWorld({
    values: { build_schedule: '*/10 * * * *', export_schedule: '*/10 * * * *' },
  })
  await world.append(1)
  await world.automation.start()
  await world.advance(HOUR)
  expect(world.jobs.list({ kind: 'build' })).toHaveLength(1)
  // The first CAR was of the recent chain, the second has the snapshot.
  expect(await carsIn(world)).toHaveLength(2)
})
