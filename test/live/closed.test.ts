/** A map that was closed shows what is kept, and nothing that was refused or lost. */
import { expect, test } from 'vitest'
import { expectRefused } from '../helpers/engine.ts'
import { liveStore } from '../helpers/live.ts'

test('a set that comes after the end is refused, and readers see what was there before', async () => {
  const cairn = liveStore().open()
  const map = await cairn.map<number>('map')
  await map.set('key', 1)
  await cairn.close()
  await expectRefused(map.set('key', 2), 'closed')
  await expectRefused(map.delete('key'), 'closed')
  await expectRefused(map.setAll({ other: 1 }), 'closed')
  expect([...map]).toEqual([['key', 1]])
})

test('what could not be written at the end is seen no longer', async () => {
  const store = liveStore()
  const cairn = store.open()
  const map = await cairn.map<number>('map', { durability: 'interval', window: 60_000 })
  await map.set('key', 1)
  await map.flush()
  await map.set('key', 2)
  await map.set('other', 2)
  store.failing = true
  await expectRefused(cairn.close(), 'no_space')
  expect([...map]).toEqual([['key', 1]])
})
