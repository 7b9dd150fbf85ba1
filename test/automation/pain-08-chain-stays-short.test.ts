/**
 * Pain P08: the recent chain grew without bound, and lists became slow until nobody could use them. Here
 * it is folded by count as well as by time, and an emergency does not wait for a back-off.
 */
import { expect, test } from 'vitest'
import { MINUTE, SECOND } from './situations.ts'
import { openWorld, type World } from './world.ts'

const values = { rebuild_threshold: 50, alert_threshold: 70, emergency_threshold: 80 }
const datasets = { main: { chainLimit: 100 } }

const recent = async (world: World): Promise<number> =>
  (await (await world.cairn.dataset('main')).head()).recentCount

test('P08: however much is appended, the chain stays near its threshold', async () => {
  const world = await openWorld({ values, datasets })
  await world.automation.start()
  for (let i = 0; i < 60; i++) {
    await world.append(7)
    world.automation.noteChange('main')
    await world.advance(SECOND)
    expect(await recent(world)).toBeLessThan(60)
  }
  const reasons = (await world.snapshots()).map(({ reason }) => reason)
  expect(new Set(reasons)).toEqual(new Set(['init', 'threshold']))
  const { totalCount } = await (await world.cairn.dataset('main')).head()
  expect(totalCount).toBe(420)
})

test('P08: the threshold warns in the words that are looked for, once a snapshot', async () => {
  const world = await openWorld({ values, datasets })
  await world.automation.start()
  world.faults.add('stage')
  await world.append(55)
  await world.advance(MINUTE)
  const warning = 'WARNING: Recent chain has 55 items. Rebuild recommended.'
  expect(world.said().filter((line) => line === warning)).toHaveLength(1)
})

test('P08: an emergency is told of and does not wait for the back-off', async () => {
  const world = await openWorld({ values, datasets })
  await world.automation.start()
  world.faults.add('stage')
  await world.append(60)
  await world.advance(10 * MINUTE)
  const failures = world.automation.state('main').runs.build?.failures ?? 0
  expect(failures).toBeGreaterThan(5)
  expect(world.lines.filter(({ event }) => event === 'chain.emergency')).toEqual([])
  world.faults.clear()
  await world.append(25)
  world.automation.noteChange('main')
  await world.advance(6 * SECOND)
  expect(await recent(world)).toBe(0)
  expect((await world.snapshots())[0]?.reason).toBe('emergency')
  expect(world.lines.filter(({ event }) => event === 'chain.emergency')).toMatchObject([
    {
      level: 'error',
      fields: { message: 'CRITICAL: Recent chain has 85 entries (threshold: 80)' },
    },
  ])
})

test('P08: few entries are folded in the end as well', async () => {
  const world = await openWorld({ values: { ...values, max_lag: 30 * MINUTE }, datasets })
  await world.automation.start()
  await world.advance(MINUTE)
  await world.append(1)
  await world.advance(29 * MINUTE)
  expect(await recent(world)).toBe(1)
  await world.advance(MINUTE)
  expect(await recent(world)).toBe(0)
  expect((await world.snapshots())[0]?.reason).toBe('max lag')
})
