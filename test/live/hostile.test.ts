/** Live maps under what a careless program, a busy moment or a bad clock does to them. */
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { itemId } from '../../src/live/layout.ts'
import { MapState } from '../../src/live/map-state.ts'
import { wrapBackend } from '../helpers/counting-backend.ts'
import { expectRefused } from '../helpers/engine.ts'
import { liveStore } from '../helpers/live.ts'

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

test('a listener that sets the key that it hears of: what was set last is what is there after a restart', async () => {
  const store = liveStore()
  const map = await store.open().map<string>('names')
  const heard: string[] = []
  map.onChange(({ key, value }) => {
    if (value === ' Alice ') void map.set(key, value.trim())
  })
  map.onChange(({ value, previous }) => void heard.push(`${previous} -> ${value}`))
  await map.set('a', ' Alice ')
  await map.flush()
  expect(map.get('a')).toBe('Alice')
  expect(heard).toEqual(['undefined ->  Alice ', ' Alice  -> Alice'])
  expect((await store.open().map('names')).get('a')).toBe('Alice')
})

test('of a value that is equal nobody hears twice, whichever comes first, the log or the answer', () => {
  for (const logFirst of [true, false]) {
    const state = new MapState(() => 0)
    const heard: string[] = []
    state.listen(({ origin }) => void heard.push(origin))
    state.reset(new Map(), 0)
    const pending = state.set('a', { value: { n: 1 }, exp: null })
    if (logFirst) state.remote('a', { value: { n: 1 }, exp: null }, 0)
    state.written(pending, 0)
    if (!logFirst) state.remote('a', { value: { n: 1 }, exp: null }, 0)
    state.heard('a', 0)
    expect(heard).toEqual(['local'])
  }
})

test('a deletion that resolves is durable, also where the key was on its way to be deleted', async () => {
  const store = liveStore()
  const map = await store.open().map<number>('n')
  await map.set('a', 1)
  store.failing = true
  const both = [map.delete('a'), map.delete('a')]
  expect((await Promise.allSettled(both)).map(({ status }) => status)).toEqual([
    'rejected',
    'rejected',
  ])
  expect(map.get('a')).toBe(1)
})

test('keys that are no text are refused, those with a meaning for JavaScript are keys like others', async () => {
  const store = liveStore()
  const map = await store.open().map<unknown>('odd')
  await expectRefused(map.set(5 as unknown as string, 'five'), 'usage')
  await expectRefused(
    map.setAll([
      ['a', 1],
      [null as unknown as string, 2],
    ]),
    'usage',
  )
  await map.setAll({ constructor: 1, toString: 2 })
  await map.setAll(JSON.parse('{"__proto__": 3}') as Record<string, unknown>)
  const again = await store.open().map('odd')
  expect(new Map(again)).toEqual(
    new Map<string, unknown>([
      ['__proto__', 3],
      ['constructor', 1],
      ['toString', 2],
    ]),
  )
})

test('numbers come back as they were', async () => {
  const store = liveStore()
  const numbers = [
    0,
    -1,
    0.1,
    5e-324,
    1.7e308,
    2 ** 53 - 1,
    2 ** 53,
    -(2 ** 53),
    2 ** 60,
    2 ** 64,
    1e21,
  ]
  await (await store.open().map('n')).set('all', numbers)
  expect((await store.open().map('n')).get('all')).toEqual(numbers)
})

test('what others write while a map is loaded is not lost', async () => {
  const inner = openMemory()
  let slow: Promise<void> | undefined
  let asked = 0
  const store = liveStore(
    wrapBackend(inner, {
      getBlocks: async (...given) => {
        // The map's own record is read before its keys.
        if (slow !== undefined && (asked += 1) > 1) await slow
        return inner.getBlocks(...given)
      },
    }),
  )
  const other = await store.open().map<number>('n')
  await other.setAll(Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`k${i}`, i])))
  const here = store.open()
  const another = await here.map<number>('another')
  let go = (): void => {}
  slow = new Promise((resolve) => (go = resolve))
  let loaded = false
  const loading = here.map<number>('n').finally(() => (loaded = true))
  await pause(20)
  slow = undefined
  const dataset = await here.dataset()
  await dataset.put(itemId('n', 'k0'), 1000)
  await dataset.put(itemId('another', 'heard'), 1)
  await expect.poll(() => another.get('heard')).toBe(1)
  expect(loaded).toBe(false)
  go()
  const map = await loading
  await pause(50)
  expect(map.get('k0')).toBe(1000)
})

test('a map that is asked for twice at once is one, also while the dataset is rolled back', async () => {
  const store = liveStore()
  const there = store.open()
  const before = await there.map<number>('n')
  await before.set('a', 1)
  const dataset = await there.dataset()
  await dataset.build()
  const good = (await dataset.pointer()).commit.number
  await before.set('a', 2)
  const here = store.open()
  const [one, other] = await Promise.all([
    here.map<number>('n'),
    here.map<number>('n'),
    dataset.rollback({ commit: good }),
  ])
  expect(one).toBe(other)
  await expect.poll(() => one.get('a')).toBe(1)
  await expect.poll(() => before.get('a')).toBe(1)
})

test('what has expired is never served again, whatever the clock does', async () => {
  const store = liveStore()
  const map = await store.open().map<number>('codes', { ttl: 1000 })
  await map.setAll({ a: 1, b: 2 })
  const end = map.expiresAt('a') ?? 0
  store.clock.now = end - 1
  expect(map.get('a')).toBe(1)
  // At the very moment of its end it is set anew; the other one is gone.
  store.clock.now = end
  await map.set('a', 3)
  expect([map.get('a'), map.get('b'), map.size]).toEqual([3, undefined, 1])
  store.clock.now = end - 500
  expect([map.get('b'), [...map.keys()]]).toEqual([undefined, ['a']])
  store.clock.now = end + 86_400_000
  expect(map.get('a')).toBeUndefined()
  store.clock.now = end
  expect([map.get('a'), map.size]).toEqual([undefined, 0])
})

test('a key that expires while its write waits keeps nothing from being written', async () => {
  const store = liveStore()
  const map = await store.open().map<number>('codes', { durability: 'interval', window: 100 })
  await map.set('short', 1, { ttl: 10 })
  await map.set('long', 2, { expiresAt: Number.MAX_SAFE_INTEGER })
  store.clock.now += 1000
  await map.flush()
  const again = await store.open().map('codes')
  expect([...again]).toEqual([['long', 2]])
})

test('bytes within a value of another door than a map are a copy for each who reads them', async () => {
  const store = liveStore()
  const cairn = store.open()
  interface Odd {
    readonly part: Uint8Array
    readonly list: readonly [Uint8Array, number]
  }
  const written = { part: new Uint8Array([1, 2]), list: [new Uint8Array([3]), 4] }
  const map = await cairn.map<Odd>('odd')
  await (await cairn.dataset()).put(itemId('odd', 'key'), written)
  await expect.poll(() => map.has('key')).toBe(true)
  for (const odd of [map, await store.open().map<Odd>('odd')]) {
    for (const read of [odd.get('key'), ...odd.values()]) {
      read?.part.fill(99)
      read?.list[0].fill(99)
      expect([Object.isFrozen(read), Object.isFrozen(read?.list)]).toEqual([true, true])
    }
    expect(odd.get('key')).toEqual(written)
  }
})
