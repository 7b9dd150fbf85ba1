/** A map's own record: where there are keys of a map, the map is listed, and its new keys live as long as was said. */
import { expect, test } from 'vitest'
import { listMaps } from '../../src/live/list-maps.ts'
import { restoreMaps } from '../../src/live/restore.ts'
import { deleteMap } from '../../src/service/requests/map-delete.ts'
import { liveStore, type LiveStore } from '../helpers/live.ts'

const TTL = 3_600_000

async function listed(store: LiveStore): Promise<[string, number | null, number][]> {
  const all: [string, number | null, number][] = []
  for await (const { name, ttlMs, count } of listMaps(await store.open().dataset()))
    all.push([name, ttlMs, count])
  return all
}

test('a restore deletes an open map with its record: with the next key the record is there again', async () => {
  const store = liveStore()
  const cairn = store.open()
  await (await cairn.map('other')).set('key', 1)
  const dataset = await cairn.dataset()
  await dataset.build({ tags: ['before'] })
  const map = await cairn.map<number>('map', { ttl: TTL })
  await map.set('old', 1)
  const source = { dataset, at: { snapshot: 'before' } }
  await restoreMaps(dataset, source, { now: () => store.clock.now })
  await expect.poll(() => map.size).toBe(0)
  await map.set('new', 1)
  expect(await listed(store)).toEqual([
    ['map', TTL, 1],
    ['other', null, 1],
  ])
  expect((await store.open().map('map')).ttl).toBe(TTL)
})

test('a map is deleted while a key of it waits to be written: the record is written with it', async () => {
  const store = liveStore()
  const cairn = store.open()
  const map = await cairn.map<number>('map', { ttl: TTL, durability: 'interval', window: 60_000 })
  await map.set('old', 1)
  await map.flush()
  await map.set('new', 1)
  const dataset = await cairn.dataset()
  await deleteMap(dataset, 'map', {})
  await expect.poll(() => map.has('old')).toBe(false)
  await map.flush()
  await expect.poll(() => listed(store)).toEqual([['map', TTL, 1]])
})

test('a rollback to before the map was made: with the next key the record is there again', async () => {
  const store = liveStore()
  const cairn = store.open()
  const { dataset } = await cairn.init('main')
  await dataset.build({ tags: ['before'] })
  const map = await cairn.map<number>('map', { ttl: TTL })
  await map.set('old', 1)
  await dataset.rollback({ snapshot: 'before' })
  await expect.poll(() => map.size).toBe(0)
  await map.set('new', 1)
  await expect.poll(() => listed(store)).toEqual([['map', TTL, 1]])
})

test('the first commit fails, and the next ones do not: no keys without the record', async () => {
  const store = liveStore()
  const cairn = store.open()
  const map = await cairn.map<number>('map', { ttl: TTL })
  const maps = await cairn.maps()
  store.failing = true
  maps.onTrouble(() => (store.failing = false))
  const many = Array.from({ length: 1500 }, (_, i) => [`k${i}`, i] as const)
  await map.setAll(many).catch(() => {})
  expect(await listed(store)).toEqual(map.size === 0 ? [] : [['map', TTL, map.size]])
  await map.set('last', 1)
  expect(await listed(store)).toEqual([['map', TTL, map.size]])
})
