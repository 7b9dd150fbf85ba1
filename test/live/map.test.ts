/** Live maps: what readers see at once, what is there after a restart, and what of a failed write is left. */
import { expect, test } from 'vitest'
import { DEFAULT_MAP } from '../../src/live/layout.ts'
import type { MapChange } from '../../src/live/map.ts'
import { expectRefused, refusal } from '../helpers/engine.ts'
import { liveStore } from '../helpers/live.ts'

interface User {
  readonly name: string
  readonly score?: number
}

const until = async (met: () => boolean): Promise<void> => {
  while (!met()) await new Promise((resolve) => setTimeout(resolve, 1))
}

test('what was set is read at once, and is there after a restart', async () => {
  const store = liveStore()
  const first = store.open()
  const users = await first.map<User>('users')
  const set = users.set('alice', { name: 'Alice', score: 1 })
  expect(users.get('alice')).toEqual({ name: 'Alice', score: 1 })
  await set
  await users.setAll({ bob: { name: 'Bob' }, carol: { name: 'Carol' } })
  expect(await users.delete('carol')).toBe(true)
  expect(await users.delete('carol')).toBe(false)
  await first.close()

  const second = store.open()
  const again = await second.map<User>('users')
  expect([...again]).toEqual([
    ['alice', { name: 'Alice', score: 1 }],
    ['bob', { name: 'Bob' }],
  ])
  expect([again.size, again.has('bob'), again.has('carol'), again.kind]).toEqual([
    2,
    true,
    false,
    'named',
  ])
  await second.close()
})

test('without a crash being told of: a write that was acknowledged is there for a program that opens the store beside', async () => {
  const store = liveStore()
  const users = await store.open().map('users')
  await users.set('alice', 1)
  const beside = await store.open().map('users')
  expect(beside.get('alice')).toBe(1)
})

test('the default map, maps of odd names, and bytes', async () => {
  const store = liveStore()
  const cairn = store.open()
  const plain = await cairn.map()
  expect([plain.name, plain.kind]).toEqual([DEFAULT_MAP, 'default'])
  await plain.set('', 'the empty key')
  const odd = await cairn.map('a/b%2F_c d')
  await odd.set('k/1', Buffer.from([1, 2, 3]))
  const big = new Uint8Array(3 << 20).fill(7)
  await odd.set('big', big)
  const again = store.open()
  expect((await again.map()).get('')).toBe('the empty key')
  const read = await again.map<Uint8Array>('a/b%2F_c d')
  expect(read.get('k/1')).toEqual(new Uint8Array([1, 2, 3]))
  expect(Buffer.compare(read.get('big') ?? new Uint8Array(), big)).toBe(0)
})

test('a value cannot be changed behind the back of the map', async () => {
  const users = await liveStore().open().map<{ tags: string[]; n?: undefined | number }>('users')
  const mine = { tags: ['a'], n: undefined }
  await users.set('alice', mine)
  mine.tags.push('b')
  expect(users.get('alice')).toEqual({ tags: ['a'] })
  expect(() => users.get('alice')?.tags.push('c')).toThrow(TypeError)
})

test.for([
  ['a NaN', { a: Number.NaN }],
  ['a date', { when: new Date() }],
  ['a Map', new Map()],
  ['a function', { f: () => 1 }],
  ['a bigint', 1n],
  ['half a surrogate pair', '\ud800'],
  ['bytes inside', { b: new Uint8Array(1) }],
  ['a symbol', Symbol('x')],
] as const)('refuses %s, and says so', async ([, value]) => {
  const map = await liveStore().open().map('m')
  await expectRefused(map.set('k', value), 'invalid_content')
  expect(map.has('k')).toBe(false)
})

test('refuses a cycle, a value that fits no block, keys and names that are none', async () => {
  const cairn = liveStore().open()
  const map = await cairn.map('m')
  const cycle: Record<string, unknown> = {}
  cycle['self'] = cycle
  await expectRefused(map.set('k', cycle), 'invalid_content')
  await expectRefused(map.set('k', 'x'.repeat(2 << 20)), 'too_large')
  await expectRefused(map.set('k'.repeat(600), 1), 'invalid_entry')
  for (const name of ['', '~mine', 'x'.repeat(300), '\ud800'])
    await expectRefused(cairn.map(name), 'usage')
  expect(map.size).toBe(0)
})

test('of several keys that are set together one bad one stops all', async () => {
  const map = await liveStore().open().map('m')
  await expectRefused(map.setAll({ a: 1, b: Number.NaN }), 'invalid_content')
  expect(map.size).toBe(0)
})

test('iteration shows one moment, whatever is set and deleted meanwhile', async () => {
  const map = await liveStore().open().map<number>('m')
  await map.setAll({ a: 1, b: 2, c: 3 })
  const seen: string[] = []
  for (const [key, value] of map) {
    seen.push(`${key}${value}`)
    void map.delete('b')
    void map.set('c', 30)
    void map.set('d', 4)
  }
  expect(seen).toEqual(['a1', 'b2', 'c3'])
  await map.flush()
  expect([...map.keys()].toSorted()).toEqual(['a', 'c', 'd'])
})

test('a key expires for readers at its moment, also after a restart, and is never served again', async () => {
  const store = liveStore()
  const tokens = await store.open().map<string>('tokens', { ttl: 1000 })
  expect(tokens.kind).toBe('expiring')
  await tokens.set('short', 'a')
  await tokens.set('long', 'b', { ttl: 10_000 })
  await tokens.set('for good', 'c', { ttl: null })
  await tokens.set('at', 'd', { expiresAt: store.clock.now + 500 })
  store.clock.now += 500
  expect([...tokens.keys()]).toEqual(['short', 'long', 'for good'])
  store.clock.now += 499
  expect(tokens.get('short')).toBe('a')
  store.clock.now += 1
  expect([tokens.get('short'), tokens.has('short'), tokens.size]).toEqual([undefined, false, 2])
  // A clock that is set back brings nothing back.
  store.clock.now -= 900
  expect(tokens.get('short')).toBeUndefined()
  store.clock.now += 900

  const again = await store.open().map<string>('tokens')
  expect([again.ttl, ...again.keys()]).toEqual([1000, 'for good', 'long'])
  expect(again.expiresAt('long')).toBe(store.clock.now + 9000)
  store.clock.now += 9000
  expect([...again.keys()]).toEqual(['for good'])
})

test('an expiry that lies in the past or makes no sense is refused', async () => {
  const map = await liveStore().open().map('m')
  for (const options of [
    { ttl: 0 },
    { ttl: -1 },
    { ttl: Number.NaN },
    { ttl: 1e15 },
    { expiresAt: 5 },
    { ttl: 1, expiresAt: 2e12 },
  ])
    await expectRefused(map.set('k', 1, options), 'usage')
  expect(map.has('k')).toBe(false)
})

test('listeners hear what readers see: own changes at once, expiry by itself', async () => {
  const store = liveStore()
  const map = await store.open().map<number>('m')
  const heard: string[] = []
  const stop = map.onChange(({ key, value, previous, origin }: MapChange<number>) =>
    heard.push(`${origin} ${key} ${previous}>${value}`),
  )
  const set = map.set('a', 1)
  expect(heard).toEqual(['local a undefined>1'])
  await set
  await map.set('a', 2, { ttl: 20 })
  await map.delete('b')
  store.clock.now += 20
  await until(() => heard.length === 3)
  stop()
  await map.set('c', 1)
  expect(heard).toEqual(['local a undefined>1', 'local a 1>2', 'expired a 2>undefined'])
})

test('a write that fails is refused, and readers see what was there before', async () => {
  const store = liveStore()
  const map = await store.open().map<number>('m')
  await map.set('a', 1)
  store.failing = true
  const heard: string[] = []
  map.onChange(({ key, value, origin }) => heard.push(`${origin} ${key} ${value}`))
  const set = map.set('a', 2)
  const added = map.set('b', 1)
  expect(map.get('a')).toBe(2)
  expect((await refusal(set)).code).toBe('no_space')
  expect((await refusal(added)).code).toBe('no_space')
  expect([map.get('a'), map.has('b')]).toEqual([1, false])
  expect(heard).toEqual(['local a 2', 'local b 1', 'undone a 1', 'undone b undefined'])
  store.failing = false
  await map.set('a', 3)
  expect((await store.open().map('m')).get('a')).toBe(3)
})

test('with durability interval a write counts at once, and only the last of many is written', async () => {
  const store = liveStore()
  const map = await store.open().map<number>('m', { durability: 'interval', window: 400 })
  const commits = store.commits
  for (let i = 0; i < 1000; i++) await map.set('a', i)
  expect(store.commits).toBe(commits)
  await until(() => store.commits > commits)
  const again = await store.open().map<number>('m')
  expect(again.get('a')).toBe(999)
  const dataset = await store.open().dataset()
  expect((await dataset.get('map/m/a'))?.ver).toBe(1)
})

test('with durability interval a write that fails is tried again, and nobody gets further ahead than the window', async () => {
  const store = liveStore()
  const cairn = store.open()
  const map = await cairn.map<number>('m', { durability: 'interval', window: 20 })
  const maps = await cairn.maps()
  const told: (string | undefined)[] = []
  maps.onTrouble((trouble) => told.push(trouble[0]?.error.code))
  store.failing = true
  await map.set('a', 1)
  await until(() => told.length > 0 && (maps.behindMs ?? 0) > 20)
  let went = false
  const held = map.set('b', 2).then(() => (went = true))
  await new Promise((resolve) => setTimeout(resolve, 30))
  expect([went, map.get('a'), map.get('b')]).toEqual([false, 1, 2])
  await expectRefused(map.flush(), 'no_space')
  store.failing = false
  await held
  expect(told.at(-1)).toBeUndefined()
  expect([...(await store.open().map('m')).keys()]).toEqual(['a', 'b'])
})

test('closing writes what waits, and says what it could not write', async () => {
  const store = liveStore()
  const first = store.open()
  const map = await first.map<number>('m', { durability: 'interval', window: 60_000 })
  await map.set('a', 1)
  await first.close()
  expect((await store.open().map('m')).get('a')).toBe(1)

  const second = store.open()
  const again = await second.map<number>('m', { durability: 'interval', window: 60_000 })
  await again.set('a', 2)
  store.failing = true
  await expectRefused(second.close(), 'no_space')
  await expectRefused(again.set('a', 3), 'closed')
})

test('what another program writes is seen, and a rollback is, too', async () => {
  const store = liveStore()
  const mine = await store.open().map<number>('m')
  await mine.setAll({ a: 1, b: 1 })
  const other = store.open()
  const theirs = await other.map<number>('m')
  const dataset = await other.dataset()
  await dataset.build({ tags: ['before'] })
  await theirs.setAll({ b: 2, c: 3 })
  await theirs.delete('a')
  await until(() => !mine.has('a'))
  expect(Object.fromEntries(mine)).toEqual({ b: 2, c: 3 })
  await dataset.rollback({ snapshot: 'before' })
  await until(() => mine.get('b') === 1)
  expect(Object.fromEntries(mine)).toEqual({ a: 1, b: 1 })
  await mine.set('c', 4)
  expect(Object.fromEntries(await store.open().map<number>('m'))).toEqual({ a: 1, b: 1, c: 4 })
})

test('more keys than a chain may have are set in one commit, all or none', async () => {
  const store = liveStore()
  const cairn = store.open()
  await cairn.init('main', { chainLimit: 50 })
  const map = await cairn.map<number>('m')
  await map.set('k7', -1)
  const many = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`k${i}`, i]))
  store.failing = true
  await expectRefused(map.setAll(many), 'no_space')
  expect(Object.fromEntries(map)).toEqual({ k7: -1 })
  store.failing = false
  await map.setAll(many)
  await map.set('k7', 70)
  expect(Object.fromEntries(await store.open().map<number>('m'))).toEqual({ ...many, k7: 70 })
  expect(await map.clear()).toBe(300)
  expect((await store.open().map('m')).size).toBe(0)
})

test('a map is opened once; options that differ are refused, and the map stays', async () => {
  const cairn = liveStore().open()
  const map = await cairn.map('m', { ttl: 1000 })
  await map.set('k', 1)
  expect(await cairn.map('m')).toBe(map)
  await expectRefused(cairn.map('m', { ttl: 2000 }), 'usage')
  expect((await cairn.map('m')).get('k')).toBe(1)
})

test('a map that is not to be kept is in memory only', async () => {
  const store = liveStore()
  const cairn = store.open()
  const scratch = await cairn.map<number>('scratch', { persist: false })
  await scratch.set('k', 1)
  expect([scratch.get('k'), store.commits]).toEqual([1, 1])
  expect((await store.open().map('scratch')).size).toBe(0)
})

test('a dataset without content holds no maps', async () => {
  const cairn = liveStore().open()
  await cairn.init('main', { content: 'external' })
  await expectRefused(cairn.map('m'), 'conflict')
})

test('a schema is held to what is set and to what is read', async () => {
  const store = liveStore()
  const schema = {
    '~standard': {
      validate: (value: unknown) =>
        typeof value === 'number'
          ? { value }
          : { issues: [{ message: 'expected a number', path: [] }] },
    },
  }
  const map = await store.open().map('m', { schema })
  await map.set('k', 1)
  await expectRefused(map.set('k', 'one' as never), 'invalid_content')
  expect(map.get('k')).toBe(1)
  await (await store.open().map('m')).set('k', 'one')
  const read = await store.open().map('m', { schema })
  expect(() => read.get('k')).toThrow(/does not fit/)
})

test('a key that is no text is refused, as a program without types may give one', async () => {
  const map = await liveStore().open().map<number>('users')
  await expectRefused(map.set(5 as unknown as string, 1), 'usage')
  expect(map.size).toBe(0)
})
