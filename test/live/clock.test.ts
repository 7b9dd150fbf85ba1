/** A clock that is set back: what is acknowledged with a time to live is there for as long, also after a restart. */
import { expect, test } from 'vitest'
import { liveStore } from '../helpers/live.ts'

const HOUR = 3_600_000

test('a key with a time to live is set after the clock went back: it is there after a restart', async () => {
  const store = liveStore()
  const cairn = store.open()
  await (await cairn.map<number>('other')).set('key', 1)
  store.clock.now -= HOUR
  const sameProgram = await cairn.map<number>('same')
  await sameProgram.set('key', 2, { ttl: HOUR / 6 })
  const another = await store.open().map<number>('another')
  await another.set('key', 3, { ttl: HOUR / 6 })
  const again = store.open()
  expect((await again.map('same')).get('key')).toBe(2)
  expect((await again.map('another')).get('key')).toBe(3)
})
