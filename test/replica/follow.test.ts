/** Following a source: what is new comes at once, what is away is waited for, and it ends when it is told to. */
import { setTimeout as delay } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { Cairn } from '../../src/cairn.ts'
import { transport } from '../../src/client/transport.ts'
import { follow } from '../../src/engine/replica/follow.ts'
import type { FollowedSource } from '../../src/engine/replica/source.ts'
import type { SyncReport } from '../../src/engine/replica/sync.ts'
import { CairnError } from '../../src/errors.ts'
import { serviceSource } from '../../src/remote/service-source.ts'
import { countingBackend } from '../helpers/counting-backend.ts'
import { expectRefused } from '../helpers/engine.ts'
import { startService } from '../helpers/service.ts'

/** A replica that follows `source` until the test is over. */
function following(
  source: FollowedSource,
  wait: (ms: number) => Promise<void> = (ms) => delay(ms),
) {
  const replica = new Cairn(openMemory())
  const stop = new AbortController()
  const synced: SyncReport[] = []
  const away: number[] = []
  const ended = follow({
    source,
    dataset: 'main',
    sync: () => replica.sync(source),
    onSynced: (report) => void synced.push(report),
    onAway: (_, againMs) => away.push(againMs),
    signal: stop.signal,
    delay: wait,
  })
  ended.catch(() => undefined)
  onTestFinished(() => stop.abort())
  const until = async (holds: () => boolean): Promise<void> => {
    while (!holds())
      await Promise.race([delay(5), ended.then(() => Promise.reject(new Error('ended')))])
  }
  return { replica, synced, away, ended, stop, until }
}

async function primary() {
  const backend = countingBackend(openMemory())
  const cairn = new Cairn(backend)
  const dataset = await cairn.open()
  const source = { ...cairn.asSource(), location: 'memory:source' }
  return { backend, cairn, dataset, source }
}

test('entries, builds and prunes of a store come, each in a sync, and nothing in between', async () => {
  const { dataset, source } = await primary()
  const { replica, synced, until, stop, ended } = following(source)
  await until(() => synced.length === 1)
  await dataset.put('a', 1)
  await until(() => synced.length === 2)
  await dataset.build()
  await until(() => synced.length === 3)
  await dataset.prune({ policy: { last: 1 } })
  await until(() => synced.length === 4)
  await delay(300)
  stop.abort()
  await ended
  expect(synced.length).toBe(4)
  const [mine, theirs] = [await dataset.pointer(), await (await replica.dataset()).pointer()]
  expect(theirs.commit.kept).toEqual(mine.commit.kept)
  expect(theirs.commit.snapshot).toEqual(mine.commit.snapshot)
})

test('of a service they come over one stream, which an idle follower asks nothing beside', async () => {
  const { backend, dataset } = await primary()
  const { url } = await startService({ backend, init: null, automation: false })
  let requests = 0
  const counted: typeof fetch = (...call) => {
    requests += 1
    return fetch(...call)
  }
  const source = serviceSource(url, 'main', transport({ url, fetch: counted }))
  const { synced, until } = following(source)
  await until(() => synced.length === 1)
  // By another process: the service has to find out by itself.
  await dataset.put('a', 1)
  await until(() => synced.length === 2)
  await dataset.build()
  await until(() => synced.length === 3)
  const before = requests
  await delay(500)
  expect(requests).toBe(before)
})

test('a stream that breaks is taken up again, and what came meanwhile is there', async () => {
  const { backend, dataset } = await primary()
  const first = await startService({ backend, init: null, automation: false })
  let { url } = first
  let streams = 0
  const moved: typeof fetch = async (input, init) => {
    const { pathname } = new URL(input instanceof Request ? input.url : input)
    const answer = await fetch(url + pathname, init)
    if (pathname.endsWith('/commits')) streams += 1
    return answer
  }
  const http = transport({ url: 'http://there.example', fetch: moved, retries: 0 })
  const quick = (ms: number): Promise<void> => delay(Math.min(ms, 20))
  const { synced, away, until } = following(serviceSource('there', 'main', http), quick)
  await until(() => streams === 1)
  first.app.server.closeAllConnections()
  await until(() => away.length > 0)
  await dataset.put('a', 1)
  await until(() => synced.length === 2 && streams === 2)
  first.app.server.close()
  first.app.server.closeAllConnections()
  const gone = away.length
  await until(() => away.length > gone + 2)
  expect(away.slice(gone, gone + 3)).toEqual([1000, 2000, 4000])
  await dataset.put('b', 2)
  ;({ url } = await startService({ backend, init: null, automation: false }))
  await until(() => synced.length === 3)
})

test('what is away is tried again, ever more seldom, and then soon again', async () => {
  const { dataset, source } = await primary()
  let fail = true
  const newest: typeof source.newest = async (...call) => {
    if (fail) throw new CairnError('backend_unavailable', 'It is away.', { hint: 'Wait for it.' })
    return source.newest(...call)
  }
  const { synced, away, until } = following({ ...source, newest }, () => delay(1))
  await until(() => away.length >= 7)
  fail = false
  await until(() => synced.length === 1)
  expect(away.slice(0, 7)).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000])
  fail = true
  const before = away.length
  await dataset.put('a', 1)
  await until(() => away.length >= before + 2)
  expect(away.slice(before, before + 2)).toEqual([1000, 2000])
})

test('what does not pass by itself ends it', async () => {
  const { source } = await primary()
  const changed = async (): Promise<void> => {
    throw new CairnError('pointer_damaged', 'It is damaged.', { hint: 'Repair it.' })
  }
  await expectRefused(following({ ...source, changed }).ended, 'pointer_damaged')
})
