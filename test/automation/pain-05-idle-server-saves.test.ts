/**
 * Pain P05: saves hung on what clients did, so an idle server never saved. Here time alone is enough:
 * nobody asks, nobody is connected, nothing tells the automation of a change.
 */
import { expect, test } from 'vitest'
import { MINUTE, SECOND } from './situations.ts'
import { openWorld } from './world.ts'

test('P05: an idle server saves what is new, within the interval', async () => {
  const world = await openWorld({ values: { save_interval: 120 } })
  await world.automation.start()
  await world.advance(10 * MINUTE)
  await world.append(1)
  await world.advance(90 * SECOND)
  expect(world.said()).not.toContain('Session saved to disk (reason: interval)')
  await world.advance(30 * SECOND)
  expect(world.said()).toContain('Session saved to disk (reason: interval)')
})

test('P05: what another process wrote is saved as well', async () => {
  const world = await openWorld({ values: { save_interval: 120 } })
  await world.automation.start()
  const other = await openWorld({ backend: world.backend })
  await other.append(4)
  await world.advance(3 * MINUTE)
  expect(world.automation.state('main').runs.build?.last).toMatchObject({
    reason: 'interval',
    result: { folded: 4 },
  })
})

test('P05: a quiet night makes no snapshots', async () => {
  const world = await openWorld({ values: { save_interval: 120, save_rules: '60:1' } })
  await world.automation.start()
  await world.append(1)
  await world.advance(60 * MINUTE)
  expect(world.jobs.list()).toHaveLength(1)
})

test('P05: a save that failed is tried again without anyone asking', async () => {
  const world = await openWorld({ values: { save_interval: 120 } })
  await world.automation.start()
  await world.append(1)
  world.faults.add('commit')
  await world.advance(3 * MINUTE)
  expect(world.said().at(-1)).toMatch(/^Failed to save \(reason: interval\)/)
  world.faults.clear()
  await world.advance(5 * MINUTE)
  expect(world.said().at(-1)).toBe('Session saved to disk (reason: interval)')
})
