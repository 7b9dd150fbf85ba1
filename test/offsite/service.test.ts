/** What the service does by itself: copies after each export, and again and again until they are there. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { HOUR, MINUTE } from '../automation/situations.ts'
import { openWorld, type World } from '../automation/world.ts'
import { newSite, useMinio } from './kit.ts'

const minio = useMinio()

const carsIn = async (world: World): Promise<string[]> =>
  (await readdir(join(world.dir, 'backups'))).filter((name) => name.endsWith('.car'))

test('each export is copied, and the rules hold in the bucket, too', async () => {
  const site = await newSite(minio())
  const values = { export_schedule: '0 * * * *', offsite: site.direct, keep_offsite: 'last=2' }
  const world = await openWorld({ values })
  await world.automation.start()
  for (let hours = 0; hours < 4; hours++) {
    await world.append(1)
    await world.advance(HOUR)
  }
  const cars = await carsIn(world)
  expect(cars.length).toBeGreaterThan(3)
  const { backups, unfinished, damaged } = await site.listing()
  expect(backups.map(({ paths }) => paths.car)).toEqual(cars.sort().toReversed().slice(0, 2))
  expect([unfinished, damaged]).toEqual([[], []])
})

test('while the bucket is away the copies alone are tried again, later and later, and then all is there', async () => {
  const site = await newSite(minio())
  const nowhere = site.direct.replace(site.bucketName, 'not-there')
  const values = { export_schedule: '0 3 * * 0', offsite: nowhere }
  const world = await openWorld({ values })
  await world.automation.start()
  await world.append(1)
  await world.advance(10 * MINUTE)
  const first = world.automation.state('main').runs.export
  expect(first).toMatchObject({ last: { state: 'failed', error: { code: 'offsite_failed' } } })
  expect(await carsIn(world)).toHaveLength(1)
  for (let hours = 0; hours < 6; hours++) {
    await world.append(1)
    await world.advance(HOUR)
  }
  const failures = world.automation.state('main').runs.export?.failures ?? 0
  expect(failures).toBeGreaterThan(first?.failures ?? 0)
  expect(failures).toBeLessThan(20)
  // Other states came meanwhile; only the schedule makes CARs of them.
  expect(await carsIn(world)).toHaveLength(1)
  world.automation.reload(world.values({ ...values, offsite: site.direct }))
  await world.advance(2 * HOUR)
  expect(world.automation.state('main').runs.export).toMatchObject({
    failures: 0,
    last: { state: 'succeeded', result: { pushed: 1 } },
  })
  expect((await site.listing()).backups).toHaveLength(1)
})

test('an address or rules that make no sense are refused when the service starts', async () => {
  for (const wrong of [{ offsite: 'ftp://x' }, { keep_offsite: 'all' }])
    await expect(openWorld({ values: wrong })).rejects.toMatchObject({ code: 'config' })
})
