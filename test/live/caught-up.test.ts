/** Who waits until the maps have followed the log to a position sees what lies before it. */
import { expect, test } from 'vitest'
import { itemId } from '../../src/live/layout.ts'
import { liveStore } from '../helpers/live.ts'

test('the maps show what another door wrote, once they have caught up with it', async () => {
  const cairn = liveStore().open()
  const { dataset } = await cairn.init('main')
  const map = await cairn.map<number>('map')
  const maps = await cairn.maps()
  for (let i = 0; i < 20; i++) {
    for (let j = 0; j < 50; j++) await dataset.put(itemId('map', `k${j}`), i)
    await maps.caughtUp((await dataset.pointer()).commit)
    expect([map.get('k0'), map.get('k49')]).toEqual([i, i])
  }
})

test('and what a rollback brought back', async () => {
  const cairn = liveStore().open()
  const map = await cairn.map<number>('map')
  await map.set('key', 1)
  const dataset = await cairn.dataset()
  await dataset.build({ tags: ['before'] })
  await map.set('key', 2)
  const beforeIt = (await dataset.pointer()).commit
  await dataset.rollback({ snapshot: 'before' })
  const maps = await cairn.maps()
  await maps.caughtUp((await dataset.pointer()).commit)
  expect(map.get('key')).toBe(1)
  await maps.caughtUp(beforeIt)
})

test('nobody waits for maps that are closed, or that follow nothing', async () => {
  const cairn = liveStore().open()
  const { dataset } = await cairn.init('main')
  const maps = await cairn.maps()
  const { commit } = await dataset.pointer()
  await maps.caughtUp({ ...commit, next: commit.next + 1 })
  await cairn.map('map')
  const waits = maps.caughtUp({ ...commit, next: commit.next + 1 })
  await cairn.close()
  await waits
  await maps.caughtUp({ ...commit, next: commit.next + 1 })
})
