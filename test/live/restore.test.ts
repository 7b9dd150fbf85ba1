/** Bringing maps back while others write: what they were told is kept is not undone, in whole or in part. */
import { expect, test } from 'vitest'
import type { Dataset } from '../../src/engine/dataset.ts'
import { restoreMaps, undelete } from '../../src/live/restore.ts'
import { liveStore } from '../helpers/live.ts'

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const now = Date.now

/** The dataset, where something else happens once the first of these is read. */
function interrupted(
  dataset: Dataset,
  method: 'entries' | 'history',
  act: () => Promise<unknown>,
): Dataset {
  let acted = false
  async function* reading(...given: never[]): AsyncGenerator<unknown> {
    const read = dataset[method] as (...args: never[]) => AsyncGenerator<unknown>
    for await (const one of read.apply(dataset, given)) {
      if (!acted) await act()
      acted = true
      yield one
    }
  }
  return new Proxy(dataset, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target)
      if (name === method) return reading
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

test('what another program writes while maps are restored comes before all of it or after all of it', async () => {
  const store = liveStore()
  const [one, other] = [store.open(), store.open()]
  const map = await one.map<number>('bank')
  const theirs = await other.map<number>('bank')
  const dataset = await one.dataset('main')
  await map.setAll({ from: 1, to: 1 })
  const { number: commit } = await dataset.head()
  // One key is as it was then, and one is not.
  await map.set('to', 2)
  let written: Promise<void> | undefined
  const source = interrupted(dataset, 'entries', async () => {
    written = theirs.setAll({ from: 3, to: 3, more: 3 })
    await Promise.race([written, pause(100)])
  })
  const restored = await restoreMaps(dataset, { dataset: source, at: { commit } }, { now })
  expect(restored).toEqual({ set: 1, deleted: 0 })
  await written
  const kept = await store.open().map<number>('bank')
  expect([...kept]).toEqual([
    ['from', 3],
    ['more', 3],
    ['to', 3],
  ])
})

test('a key that somebody sets while it is brought back stays as he set it', async () => {
  const store = liveStore()
  const [one, other] = [store.open(), store.open()]
  const map = await one.map<string>('users')
  const theirs = await other.map<string>('users')
  await map.set('ada', 'old')
  await map.delete('ada')
  const dataset = interrupted(await one.dataset('main'), 'history', () => theirs.set('ada', 'new'))
  expect(await undelete(dataset, 'users', 'ada', { now })).toBe(false)
  expect((await store.open().map('users')).get('ada')).toBe('new')
})
