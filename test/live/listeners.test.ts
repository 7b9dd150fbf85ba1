/** A listener that throws, or whose promise rejects, is told in the log, and stops nothing. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { LiveMaps } from '../../src/live/maps.ts'
import { expectRefused } from '../helpers/engine.ts'
import { liveStore, type LiveStore } from '../helpers/live.ts'

const unhandled: unknown[] = []
const note = (reason: unknown): void => void unhandled.push(reason)

beforeEach(() => void process.on('unhandledRejection', note))

afterEach(() => {
  process.off('unhandledRejection', note)
  expect(unhandled.splice(0)).toEqual([])
})

/** The maps of a store, and what they log of listeners. */
async function logged(store: LiveStore): Promise<[LiveMaps, unknown[]]> {
  const { dataset } = await store.open().init('main')
  const lines: unknown[] = []
  const error = (event: string, fields: Record<string, unknown> = {}): void => {
    if (event === 'live.listener_failed') lines.push(fields['error'])
  }
  const log = { debug: () => {}, info: () => {}, error }
  return [new LiveMaps({ dataset, now: () => store.clock.now, log }), lines]
}

test('a listener of changes rejects: it is logged, and others hear of it all', async () => {
  const [maps, lines] = await logged(liveStore())
  const map = await maps.map<number>('map')
  const heard: (number | undefined)[] = []
  const rejects = (): unknown => Promise.reject(new Error('mine'))
  map.onChange(rejects)
  map.onChange(({ value }) => void heard.push(value))
  await map.set('key', 1)
  expect([heard, lines]).toEqual([[1], ['Error: mine']])
  await maps.close()
})

test.for<[string, () => unknown]>([
  [
    'throws',
    () => {
      throw new Error('mine')
    },
  ],
  ['rejects', () => Promise.reject(new Error('mine'))],
])(
  'a listener of trouble %s: a write that fails is refused, and the next is kept',
  async ([, listener]) => {
    const store = liveStore()
    const [maps, lines] = await logged(store)
    const map = await maps.map<number>('map')
    maps.onTrouble(listener)
    store.failing = true
    await expectRefused(map.set('key', 1), 'no_space')
    store.failing = false
    await map.set('key', 2)
    expect([map.get('key'), ...lines]).toEqual([2, 'Error: mine', 'Error: mine'])
    await maps.close()
  },
)
