/** The log as it grows, over connections that break. */
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { FollowedChange } from '../../src/client/index.ts'
import { setup } from './setup.ts'

/** The first so many changes. */
async function take(
  changes: AsyncIterable<FollowedChange>,
  count: number,
): Promise<FollowedChange[]> {
  const taken: FollowedChange[] = []
  for await (const change of changes) if (taken.push(change) >= count) break
  return taken
}

const words = (change: FollowedChange): string =>
  change.kind === 'entry' ? `${change.position} ${change.pi}` : `generation ${change.generation}`

test('connections break all the time, and every entry comes once', async () => {
  const { main, proxy, client } = await setup()
  const follower = client({ random: () => 0 })
  const TOTAL = 300
  const following = take(follower.changes({ since: 0 }), TOTAL)
  let done = false
  const cutter = (async () => {
    while (!done) {
      await delay(25)
      proxy.cut()
    }
  })()
  for (let i = 0; i < TOTAL; i += 5) {
    await main.appendBatch(
      Array.from({ length: 5 }, (_, j) => ({
        pi: `k${i + j}`,
        value: 'x'.repeat(j * 100),
        ver: 1,
      })),
    )
  }
  const seen = await following
  done = true
  await cutter
  expect(seen.map(words)).toEqual(Array.from({ length: TOTAL }, (_, i) => `${i} k${i}`))
  expect(proxy.seen.filter((call) => call.includes('/changes')).length).toBeGreaterThan(2)
})

test('a follower goes on where another one has stopped', async () => {
  const { main } = await setup()
  await main.appendBatch(['a', 'b', 'c', 'd'].map((pi) => ({ pi, value: pi, ver: 1 })))
  const [, second] = await take(main.changes({ since: 0 }), 2)
  const rest = await take(main.changes({ since: 0, lastId: second?.id ?? '' }), 2)
  expect(rest.map(words)).toEqual(['2 c', '3 d'])
  expect(rest[0]).toMatchObject({ kind: 'entry', pi: 'c', ver: 1, exp: null })
})

test('without a place it begins now, also when the first connection breaks before anything came', async () => {
  const { main, proxy, client, next } = await setup()
  await main.put('before', 1)
  next('/changes', 'lose', 'refuse')
  const following = take(client({ random: () => 0 }).changes(), 2)
  await expect.poll(() => proxy.seen.filter((call) => call.includes('/changes')).length).toBe(3)
  await delay(100)
  proxy.cut()
  await main.put('one', 1)
  await main.put('two', 1)
  expect((await following).map(words)).toEqual(['1 one', '2 two'])
})

test('a new generation is told, and what was pruned is an error that no other connection would mend', async () => {
  const { main, service } = await setup()
  await main.put('a', 1)
  await main.run({ kind: 'build' })
  const following = take(main.changes({ since: 0 }), 3)
  await main.rollback({ to: 'latest' })
  await main.put('b', 1)
  const seen = await following
  expect(seen.map(words)).toEqual(['0 a', 'generation 2', '1 b'])
  await main.run({ kind: 'build' })
  await (await service.service.dataset('main')).prune({ policy: { last: 1 } })
  const gone = take(main.changes({ lastId: seen[1]?.id.replace(/\..*/, '.-1') ?? '' }), 1)
  await expect(gone).rejects.toMatchObject({ code: 'history_gone', status: 410 })
})

test('a service that goes and comes back is followed on; a connection that says nothing is given up', async () => {
  const { main, next, proxy, client } = await setup()
  next('/changes', 'hang')
  const follower = client({ timeoutMs: 200, random: () => 0 })
  const following = take(follower.changes({ since: 0, idleMs: 200 }), 2)
  await main.put('a', 1)
  await delay(300)
  await main.put('b', 1)
  expect((await following).map(words)).toEqual(['0 a', '1 b'])
  expect(proxy.seen.filter((call) => call.includes('/changes')).length).toBeGreaterThan(1)
})

test('following ends with its signal', async () => {
  const { main } = await setup()
  const stop = new AbortController()
  setTimeout(() => stop.abort(), 100)
  await expect(take(main.changes({ signal: stop.signal }), 1)).rejects.toMatchObject({
    code: 'aborted',
  })
})
