/** A map in memory alone holds what readers see, and nothing else. */
import { runInNewContext } from 'node:vm'
import { setFlagsFromString } from 'node:v8'
import { expect, test } from 'vitest'
import { liveStore } from '../helpers/live.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

test('what has expired or was deleted in a map that is not kept is let go', async () => {
  const store = liveStore()
  const cache = await store.open().map<object>('cache', { persist: false, ttl: 1000 })
  const known: WeakRef<object>[] = []
  const setAndWatch = async (key: string): Promise<void> => {
    await cache.set(key, { key })
    known.push(new WeakRef(cache.get(key) ?? {}))
  }
  await setAndWatch('expires')
  await setAndWatch('is deleted')
  await setAndWatch('is replaced')
  await cache.delete('is deleted')
  await cache.set('is replaced', { other: 1 })
  store.clock.now += 1000
  // The last value is kept for the sake of the next.
  await cache.set('there', { other: 2 })
  expect([...cache.keys()]).toEqual(['there'])
  await new Promise((resolve) => setTimeout(resolve, 1))
  collectGarbage()
  expect(known.map((one) => one.deref())).toEqual([undefined, undefined, undefined])
})

test('a map that is not kept gives what was set last, whatever was there before', async () => {
  const cache = await liveStore().open().map<number>('cache', { persist: false })
  for (let i = 0; i < 5; i++) {
    await cache.setAll({ a: i, b: i })
    await cache.delete('b')
    await cache.set('a', 10 * i)
    expect([...cache]).toEqual([['a', 10 * i]])
  }
})
