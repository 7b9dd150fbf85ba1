/** Live maps and the session in the client, also over a network that loses and repeats requests. */
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { itemPrefix as clientPrefix } from '../../src/client/map.ts'
import { itemPrefix } from '../../src/live/layout.ts'
import { collect, setup } from './setup.ts'

const MAPS = '/v1/datasets/main/maps'

test('a map: values and bytes, one and many, in order', async () => {
  const { main } = await setup()
  const users = main.map<unknown>('users')
  expect(await users.get('a')).toBeUndefined()
  expect(await collect(users.entries())).toEqual([])
  expect(await users.info()).toBeUndefined()
  expect(await users.set('a', { name: 'A' })).toMatchObject({ key: 'a', ver: 1 })
  expect(await users.set('a', { name: 'B' })).toMatchObject({ ver: 2 })
  expect(await users.get('a')).toEqual({ name: 'B' })
  expect(await users.has('a')).toBe(true)
  const bytes = new Uint8Array([1, 2, 3])
  const large = new Uint8Array(1_500_000).fill(9)
  await users.setMany({ b: 'b', bytes, n: null })
  await users.setMany(new Map([['__proto__', 'p']]))
  await users.set('large', large)
  expect(await collect(users.keys())).toEqual(['__proto__', 'a', 'b', 'bytes', 'large', 'n'])
  expect(await collect(users.entries({ limit: 2 }))).toEqual([
    ['__proto__', 'p'],
    ['a', { name: 'B' }],
    ['b', 'b'],
    ['bytes', bytes],
    ['large', large],
    ['n', null],
  ])
  expect(await users.get('bytes')).toEqual(bytes)
  expect(await collect(users.keys({ prefix: 'b', order: 'desc' }))).toEqual(['bytes', 'b'])
  expect(await users.delete('b')).toBe(true)
  expect(await users.delete('b')).toBe(false)
  expect(await users.has('b')).toBe(false)
  expect(await users.set('b', 'again')).toMatchObject({ ver: 3 })
  expect((await main.maps()).items).toMatchObject([{ name: 'users', count: 6 }])
  expect(await users.remove()).toBe(6)
  expect(await users.remove()).toBe(0)
})

test('names and keys of every text', async () => {
  const { main } = await setup()
  for (const name of ['m', 'a/b', '%2F', 'ü', ' ']) {
    expect(clientPrefix(name)).toBe(itemPrefix(name))
    const map = main.map(name)
    for (const key of ['a/b', '.', '..', '?', '%', '\n', '__proto__', '€']) {
      await map.set(key, key)
      expect(await map.get(key)).toBe(key)
    }
    expect((await collect(map.keys())).length).toBe(8)
    expect(await map.delete('..')).toBe(true)
  }
  await expect(async () => main.map('..').set('a', 1)).rejects.toMatchObject({ code: 'usage' })
})

test('times: of the key, of the map, none', async () => {
  const { main } = await setup()
  const cache = main.map<number>('cache')
  await cache.setTtl(300)
  await cache.set('own', 1)
  await cache.set('long', 2, { ttlMs: 60_000 })
  await cache.set('good', 3, { ttlMs: null })
  await cache.set('past', 4, { exp: 1 })
  await cache.setMany([['many', 5]], { exp: '2100-01-01T00:00:00Z' })
  await delay(350)
  expect(await collect(cache.entries())).toEqual([
    ['good', 3],
    ['long', 2],
    ['many', 5],
  ])
})

const FATES = ['lose', 'mute', 'late', 'twice', 'half', 'hang', 'refuse', 'gateway'] as const

test.each(FATES)('a write whose request meets "%s" takes effect once', async (fate) => {
  const { next, client, proxy, service } = await setup()
  const map = client({ timeoutMs: 250, random: () => 0 }).map<unknown>('m')
  const POST = `POST ${MAPS}/m/keys`
  next(POST, fate, fate)
  expect(await map.set('k', 1)).toMatchObject({ ver: 1 })
  next(POST, fate)
  expect(await map.set('k', 2, { ttlMs: 60_000 })).toMatchObject({ ver: 2 })
  next(POST, fate)
  expect((await map.setMany({ k: 3, l: 3 }, { ttlMs: 60_000 })).map(({ ver }) => ver)).toEqual([
    3, 1,
  ])
  next(POST, fate)
  expect(await map.delete('k')).toBe(true)
  next(`PUT ${MAPS}/m/keys/large`, fate)
  expect(await map.set('large', Buffer.alloc(1_200_000, 1), { ttlMs: 60_000 })).toMatchObject({
    ver: 1,
  })
  await proxy.settled()
  const { items } = await (await service.service.dataset('main')).log({ since: 0, limit: 100 })
  const log = items.map(({ entry }) => `${entry.pi.replace('map/m/', '')} ${entry.ver}`)
  expect(log.filter((one) => !one.startsWith('maps/'))).toEqual([
    'k 1',
    'k 2',
    'k 3',
    'l 1',
    'k 4',
    'large 1',
  ])
})

test('many clients set one key: each takes effect, none is lost', async () => {
  const { client } = await setup()
  const maps = Array.from({ length: 8 }, () => client().map<number>('m'))
  await Promise.all(maps.map((map, i) => map.set('k', i)))
  expect((await client().history('map/m/k')).length).toBe(8)
})

test('conditions are kept', async () => {
  const { main } = await setup()
  const map = main.map('m')
  await map.set('k', 1, { expect_ver: 0 })
  await expect(map.set('k', 2, { expect_ver: 0 })).rejects.toMatchObject({ code: 'conflict' })
  const large = new Uint8Array(1_200_000)
  expect(await map.set('k', large, { expect_ver: 1 })).toMatchObject({ ver: 2 })
  const other = new Uint8Array(1_200_001)
  await expect(map.set('k', other, { expect_ver: 1, ttlMs: 5000 })).rejects.toMatchObject({
    code: 'conflict',
  })
})

test('a session: connect, heartbeat, metadata, save, leave', async () => {
  const { main, next } = await setup()
  const session = main.session()
  expect(await session.initialize()).toBe(true)
  expect(await session.initialize()).toBe(false)
  expect(await session.connect('Alice', { timeoutMs: 60_000 })).toMatchObject({ user_count: 1 })
  await session.heartbeat('Alice')
  expect(await session.setMetadata({ scene: 'hall' })).toBe(true)
  expect(await session.save('by hand')).toMatchObject({ saved: true })
  expect(await session.get()).toMatchObject({
    initialized: true,
    users: [{ user: 'Alice', timeout_ms: 60_000 }],
    metadata: { scene: 'hall' },
  })
  next('POST /v1/datasets/main/session/disconnect', 'mute')
  await session.disconnect('Alice')
  expect(await session.get()).toMatchObject({ user_count: 0 })
  await expect(session.heartbeat('Alice')).rejects.toMatchObject({ code: 'not_found' })
  const { items } = await main.snapshots()
  expect(items[0]?.reason).toBe('user_disconnect:Alice')
})
