/** A primary that knows its replicas: it gives way to one that was promoted, waits for them, and prunes after them. */
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { Cairn } from '../../src/cairn.ts'
import type { ReplicaPolicy } from '../../src/engine/replica/replica-set.ts'
import { CairnError } from '../../src/errors.ts'
import type { Backend } from '../../src/store/backend.ts'
import { wrapBackend } from '../helpers/counting-backend.ts'
import { collect, expectRefused, newestCommit } from '../helpers/engine.ts'

/** A store that can be taken away. It stays open when who uses it closes it. */
function remote(inner: Backend): Backend & { away: boolean } {
  const reached = async <T>(call: () => Promise<T>): Promise<T> => {
    if (wrapped.away)
      throw new CairnError('backend_unavailable', 'Nobody answers.', { hint: 'Wait.' })
    return call()
  }
  const wrapped = Object.assign(
    wrapBackend(inner, {
      newest: (...call) => reached(() => inner.newest(...call)),
      getBlocks: (...call) => reached(() => inner.getBlocks(...call)),
      stage: (...call) => reached(() => inner.stage(...call)),
      close: async () => {},
    }),
    { away: false },
  )
  return wrapped
}

const policyOf = (
  backends: readonly Backend[],
  more: Partial<ReplicaPolicy> = {},
): ReplicaPolicy => ({
  stores: backends.map((backend, i) => ({ location: `memory:${i}`, open: async () => backend })),
  ...more,
})

test('an old primary that comes back finds out by its first write, and stays fenced', async () => {
  const mine = openMemory()
  const theirs = remote(openMemory())
  const before = new Cairn(mine)
  await (await before.open()).put('a', 1)
  const replica = new Cairn(theirs)
  await replica.sync(before.asSource())
  await replica.promote()
  const back = new Cairn(mine, { replicas: policyOf([theirs]) })
  await expectRefused((await back.dataset()).put('b', 2), 'fenced')
  // Durably: also who knows no replicas, or cannot reach them.
  theirs.away = true
  await expectRefused((await new Cairn(mine).dataset()).put('b', 2), 'fenced')
  expect((await newestCommit(mine)).fenced).toMatchObject({ by: { number: 2 }, count: 1 })
})

test('a replica that is away or behind does not keep a primary from writing', async () => {
  const mine = openMemory()
  const theirs = remote(openMemory())
  const primary = new Cairn(mine, { replicas: policyOf([theirs]) })
  const dataset = await primary.open()
  await dataset.put('a', 1)
  await new Cairn(theirs).sync(primary.asSource())
  theirs.away = true
  await (await new Cairn(mine, { replicas: policyOf([theirs]) }).dataset()).put('b', 2)
  expect((await newestCommit(mine)).next).toBe(2)
})

test('a write is acknowledged when enough replicas have it, and says so when they have not', async () => {
  const mine = openMemory()
  const two = [remote(openMemory()), remote(openMemory())] as const
  const replicas = policyOf(two, { ack: 1, ackMs: 300 })
  const primary = new Cairn(mine, { replicas })
  const dataset = await primary.open()
  two[1].away = true
  await Promise.all(Array.from({ length: 50 }, (_, i) => dataset.put(`e${i}`, i)))
  const there = await (await new Cairn(two[0]).dataset()).count()
  expect(there).toBe(50)
  two[0].away = true
  const late = await expectRefused(dataset.put('late', 1, { ver: 1 }), 'not_replicated')
  expect(late.message).toContain('durable here')
  expect(await dataset.get('late')).toBeDefined()
  // The retry finds it there already, and waits for the replicas all the same.
  await expectRefused(dataset.put('late', 1, { ver: 1 }), 'not_replicated')
  two[1].away = false
  await dataset.put('late', 1, { ver: 1 })
  expect(await (await new Cairn(two[1]).dataset()).get('late')).toBeDefined()
  await primary.close()
})

test('who waits for a replica that was promoted is told, and fenced', async () => {
  const mine = openMemory()
  const theirs = remote(openMemory())
  const primary = new Cairn(mine, { replicas: policyOf([theirs], { ack: 1, ackMs: 5000 }) })
  const dataset = await primary.open()
  await dataset.put('a', 1)
  await new Cairn(theirs).promote()
  await expectRefused(dataset.put('b', 2), 'fenced')
  expect((await newestCommit(mine)).fenced).toBeDefined()
  await expectRefused(dataset.put('c', 3), 'fenced')
})

test('more acknowledgements than replicas are a mistake', () => {
  expect(() => new Cairn(openMemory(), { replicas: policyOf([], { ack: 1 }) })).toThrow(
    '1 replicas',
  )
})

test('a prune keeps what a replica has yet to get, and says for whom', async () => {
  const mine = openMemory()
  const theirs = remote(openMemory())
  const primary = new Cairn(mine, { replicas: policyOf([theirs]) })
  const dataset = await primary.open()
  const build = async (n: number): Promise<void> => {
    await dataset.put('a', n)
    await dataset.build()
  }
  const kept = async (): Promise<number[]> =>
    (await collect(dataset.snapshots())).map(({ seq }) => seq).toSorted((a, b) => a - b)
  const policy = { last: 1 }
  await build(1)
  const none = await dataset.prune({ policy })
  expect(none.forgotten).toBe(0)
  expect(none.verdicts.at(-1)?.reasons).toContain('replica 1 (memory) has nothing of it')
  await new Cairn(theirs).sync(primary.asSource())
  await dataset.prune({ policy })
  expect(await kept()).toEqual([1])
  for (let n = 2; n < 5; n++) await build(n)
  const { floor } = (await dataset.pointer()).commit
  await dataset.prune({ policy })
  expect(await kept()).toEqual([1, 2, 3, 4])
  expect((await dataset.pointer()).commit.floor).toBe(floor)
  theirs.away = true
  const away = await dataset.prune({ policy })
  expect(away.verdicts.map(({ reasons }) => reasons.join()).join()).toContain('cannot be asked')
  theirs.away = false
  // What it has got by then it keeps the log of.
  const replica = new Cairn(theirs)
  expect((await replica.sync(primary.asSource())).snapshots).toBe(3)
  const { items } = await (await replica.dataset()).log({ limit: 100 })
  expect(items.map(({ entry }) => entry.ver)).toEqual([1, 2, 3, 4].slice(-items.length))
  await dataset.prune({ policy })
  expect(await kept()).toEqual([4])
})
