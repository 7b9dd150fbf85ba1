/** What another program writes in one commit is seen as a whole, by readers and by listeners. */
import { expect, test } from 'vitest'
import { liveStore } from '../helpers/live.ts'

const KEYS = Array.from({ length: 500 }, (_, i) => `k${i}`)
const all = (value: number): [string, number][] => KEYS.map((key) => [key, value])

test('no reader and no listener sees half of what another program set at once', async () => {
  const store = liveStore()
  const theirs = await store.open().map<number>('map')
  await theirs.setAll(all(0))
  const mine = await store.open().map<number>('map')
  const halves: string[] = []
  const look = (who: string): void => {
    const seen = new Set(mine.values())
    if (seen.size !== 1) halves.push(`${who} ${[...seen].join()}`)
  }
  let heard = 0
  mine.onChange(() => {
    heard += 1
    look('listener')
  })
  for (let i = 1; i <= 5; i++) {
    await theirs.setAll(all(i))
    while (mine.get('k499') !== i) {
      await new Promise((resolve) => setImmediate(resolve))
      look('reader')
    }
  }
  expect(halves).toEqual([])
  expect(heard).toBe(5 * KEYS.length)
})
