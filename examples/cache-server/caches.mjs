/** Named caches whose keys expire, kept in a folder: a restart empties none of them, and prolongs no key's life. */
import { openSession } from 'cairn-store'

const MINUTE = 60_000

/** How long a key lives that is put without a time of its own, by cache. */
const LIFETIMES = { default: 60 * MINUTE, logins: 30 * MINUTE, pages: 24 * 60 * MINUTE }

export const session = await openSession(process.env.DATA_DIR ?? 'cache-data', { maxBackups: 10 })

const caches = new Map()
for (const [name, ttl] of Object.entries(LIFETIMES)) {
  // Fast: a value counts as put when it is in memory, and a crash forgets at most the last half second.
  const map = await session.map(name, { ttl, durability: 'interval', window: 500 })
  caches.set(name, { map, hits: 0, misses: 0 })
}

// State of the program's own: it is asked for at every save, and given back at the start.
await session.attach('counters', {
  capture: () => [...caches].map(([name, { hits, misses }]) => [name, { hits, misses }]),
  restore: (saved) =>
    saved.forEach((counts, name) => Object.assign(caches.get(name) ?? {}, counts)),
})

// From now on it is saved every minute and at the end, and backed up every five minutes.
session.autosave({ every: MINUTE, backupEvery: 5 * MINUTE })

export const isCache = (name) => caches.has(name)

/** @param {number | undefined} ttl milliseconds; that of the cache unless given */
export const put = (name, key, value, ttl) => caches.get(name).map.set(key, value, { ttl })

/** The value and when it expires; undefined where there is none, or it has expired. */
export function get(name, key) {
  const cache = caches.get(name)
  const value = cache.map.get(key)
  cache[value === undefined ? 'misses' : 'hits'] += 1
  return value === undefined ? undefined : { value, expiresAt: cache.map.expiresAt(key) }
}

/** Resolves to false where there was nothing. */
export const remove = (name, key) => caches.get(name).map.delete(key)

export function stats() {
  const counts = [...caches].map(([name, { map, hits, misses }]) => [
    name,
    { keys: map.size, hits, misses },
  ])
  return Object.fromEntries(counts)
}
