/** A replica behind a service, brought up to date over HTTP: the same as one in a store, whatever goes wrong between. */
import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { Cairn } from '../../src/cairn.ts'
import { isCairnError } from '../../src/errors.ts'
import { expectRefused, newestCommit, START, tempDir } from '../helpers/engine.ts'
import { cut, farSide, type Sent } from '../helpers/far-side.ts'
import { Random } from '../helpers/random.ts'
import { changeSource, everythingOf, expectSame, expectSound } from '../helpers/replicas.ts'

async function primaryOf(seed = 1) {
  const random = new Random(seed)
  let clock = START
  const now = (): number => (clock += 10)
  const backend = openMemory()
  const cairn = new Cairn(backend, { now })
  const { dataset } = await cairn.init('main', { chunkSize: 64 })
  const change = async (times: number): Promise<void> => {
    for (let i = 0; i < times; i++) await changeSource(dataset, random)
  }
  const source = { ...cairn.asSource(), location: 'lmdb:/primary' }
  return { backend, cairn, dataset, now, change, random, source }
}

test('after each push the replica reads as its source, and no block is sent twice', async () => {
  for (let seed = 1; seed < 4; seed++) {
    const { dataset, change, random, now, source } = await primaryOf(seed)
    const far = await farSide()
    for (let round = 0; round < 5; round++) {
      await change(random.int(0, 6))
      const before = far.sent.length
      const report = await far.target().sync(source, 'main')
      await expectSame(dataset, far.backend, now)
      const fresh = blocksOf(far.sent.slice(before))
      expect(new Set(fresh.map(([key]) => key)).size).toBe(fresh.length)
      // After a rollback one block of the log may come along that lies there.
      expect([0, 1]).toContain(fresh.length - report.blocks)
      const again = far.sent.length
      expect(await far.target().sync(source, 'main')).toMatchObject({
        status: 'already_synced',
        source: 'lmdb:/primary',
        blocks: 0,
      })
      // Nothing is new: asked and answered at once.
      expect(far.sent.slice(again).map(({ method, path }) => `${method} ${path}`)).toEqual([
        'POST /v1/datasets/main/syncs',
      ])
    }
    await expectSound(far.backend, await tempDir())
  }
}, 60_000)

test('a service that was just made takes the copy, serves it at once, and takes no writes', async () => {
  const { dataset, change, source } = await primaryOf()
  const far = await farSide({ init: {} })
  const ask = (method: string, path: string, body?: unknown) =>
    far.service().request(method, `/v1/datasets/main/${path}`, body)
  expect((await ask('GET', 'checkpoint')).json).toMatchObject({ next: 0 })
  await change(4)
  for (let round = 0; round < 3; round++) {
    await dataset.put('e1', { round })
    await far.target().sync(source, 'main')
    const { commit } = await dataset.pointer()
    expect((await ask('GET', 'checkpoint')).json).toMatchObject({
      next: commit.next,
      total_count: commit.totalCount,
    })
    expect((await ask('GET', 'entities/e1/content')).json).toEqual({ round })
  }
  expect(await ask('PUT', 'entities/x', { value: 1 })).toMatchObject({
    status: 409,
    json: { code: 'replica' },
  })
})

test('a primary takes no copy, and stays as it is', async () => {
  const { change, source } = await primaryOf()
  await change(3)
  const far = await farSide({ init: { content: 'linked' } })
  const mine = await far.service().service.dataset('main')
  await mine.put('a', 1)
  const was = await everythingOf(mine)
  await expectRefused(far.target().sync(source, 'main'), 'conflict')
  expect(await everythingOf(mine)).toEqual(was)
})

/** What is to be pushed: more than one flush, or request, takes. */
async function changed(bytes = 5_000_000) {
  const all = await primaryOf(7)
  const { dataset, change, source } = all
  await change(8)
  const far = await farSide({ incoming: { most: 100 } })
  await far.target().sync(source, 'main')
  await change(6)
  await dataset.put('a-file', randomBytes(bytes))
  await dataset.build()
  return { ...all, far }
}

/** From its request number `at` on nothing of a sender arrives, but that it gives up. */
const cutAt =
  (at: number) =>
  ({ method }: Sent, nth: number): void =>
    nth >= at && method !== 'DELETE' ? cut() : undefined

const blocksOf = (sent: readonly Sent[]): Sent['blocks'] => sent.flatMap(({ blocks }) => blocks)

const sum = (sizes: readonly number[]): number => sizes.reduce((all, size) => all + size, 0)

/** What is lost of what was sent: one body, and a batch that is not written yet. */
const MOST_LOST = (4 << 20) + (2 << 20)

test('a sender that fails at any of its requests changes nothing, and the next one goes on', async () => {
  const { dataset, now, source, far } = await changed(12_000_000)
  const was = await newestCommit(far.backend)
  const sizes = new Map<string, number>()
  for (let at = 1; ; at++) {
    const before = far.sent.length
    const outcome = await far
      .target({ before: cutAt(at), retries: 0 })
      .sync(source, 'main')
      .catch((error: unknown) => error)
    const fresh = blocksOf(far.sent.slice(before))
    const again = fresh.filter(([key]) => sizes.has(key))
    expect(sum(again.map(([, size]) => size))).toBeLessThan(1.1 * MOST_LOST)
    for (const [key, size] of fresh) sizes.set(key, size)
    if (!isCairnError(outcome)) {
      expect(outcome).toMatchObject({ status: 'synced' })
      expect(at).toBeGreaterThan(3)
      break
    }
    expect(outcome.code).toBe('backend_unavailable')
    expect((await newestCommit(far.backend)).number).toBe(was.number)
  }
  expect(sum([...sizes.values()])).toBeGreaterThan(1.5 * MOST_LOST)
  await expectSame(dataset, far.backend, now)
}, 30_000)

test('a service that is started anew at any request is sent the rest, by the same sender', async () => {
  for (const at of [1, 4]) {
    const { dataset, now, source, far } = await changed()
    const before = far.sent.length
    const restart = (_: unknown, nth: number): unknown => (nth === at ? far.restart() : undefined)
    expect(await far.target({ before: restart }).sync(source, 'main')).toMatchObject({
      status: 'synced',
    })
    const fresh = blocksOf(far.sent.slice(before))
    const once = new Map(fresh)
    expect(sum(fresh.map(([, size]) => size)) - sum([...once.values()])).toBeLessThan(MOST_LOST)
    await expectSame(dataset, far.backend, now)
  }
}, 60_000)

test('an answer that is lost is asked for again, whichever it was, and counts once', async () => {
  const { dataset, now, source, far } = await changed()
  const before = far.sent.length
  const lost = new Set<string>()
  const lose = ({ method, path }: Sent, nth: number): void => {
    if (nth % 2 === 0) return
    lost.add(`${method} ${path}`)
    cut()
  }
  const was = await newestCommit(far.backend)
  const report = await far.target({ after: lose }).sync(source, 'main')
  const fresh = new Set(blocksOf(far.sent.slice(before)).map(([key]) => key))
  expect(report.blocks).toBe(fresh.size)
  expect((await newestCommit(far.backend)).number).toBe(was.number + 1)
  expect(lost.size).toBeGreaterThan(0)
  await expectSame(dataset, far.backend, now)
}, 30_000)

test('a block that lies damaged at the far side is mended on the way', async () => {
  const { dataset, now, source, far } = await changed(12_000_000)
  const before = far.sent.length
  let arrived: { cid: Uint8Array; whole: Uint8Array } | undefined
  for (let at = 2; arrived === undefined; at++) {
    const cutOff = far.target({ before: cutAt(at), retries: 0 }).sync(source, 'main')
    expect(await cutOff.catch((error: unknown) => isCairnError(error))).toBe(true)
    for (const [key, size] of blocksOf(far.sent.slice(before))) {
      const cid = Buffer.from(key, 'latin1')
      const [whole] = size > 100_000 ? await far.backend.getBlocks([cid]) : []
      if (whole !== undefined) arrived = { cid, whole }
    }
  }
  const { cid, whole } = arrived
  await far.backend.heal([{ cid, bytes: Buffer.from('rotten') }])
  await far.target().sync(source, 'main')
  expect(await far.backend.getBlocks([cid])).toEqual([whole])
  await expectSame(dataset, far.backend, now)
}, 30_000)

test('several senders at once end with one state, and none of them fails', async () => {
  const { dataset, now, source, far, change } = await changed()
  for (let round = 0; round < 4; round++) {
    await change(2)
    await dataset.put('e1', { round })
    const was = (await newestCommit(far.backend)).number
    const all = await Promise.all(
      Array.from({ length: 4 }, () => far.target().sync(source, 'main')),
    )
    expect(all.filter(({ status }) => status === 'synced').length).toBeGreaterThanOrEqual(1)
    expect((await newestCommit(far.backend)).number).toBe(was + 1)
    await expectSame(dataset, far.backend, now)
  }
}, 30_000)

test.each(['an entry', 'a rollback'])(
  'a sender that is overtaken by another one with %s sends what is newest then',
  async (what) => {
    const { dataset, now, source, far } = await changed()
    await dataset.put('e1', { n: 1 })
    const { number } = (await dataset.pointer()).commit
    await dataset.put('e2', { n: 2 })
    const before = async (_: Sent, nth: number): Promise<void> => {
      if (nth > 0) return
      // The commit that is in this request is not the newest any more when it arrives.
      if (what === 'an entry') await dataset.put('e3', { n: 3 })
      else await dataset.rollback({ commit: number })
      await far.target().sync(source, 'main')
    }
    const report = await far.target({ before }).sync(source, 'main')
    expect(report.status).toBe('already_synced')
    await expectSame(dataset, far.backend, now)
  },
)

test('a prune of the far side takes nothing of what is on its way', async () => {
  const { dataset, now, source, far } = await changed()
  const pruned: unknown[] = []
  const prune = async ({ method }: Sent): Promise<void> => {
    if (method !== 'PUT' || pruned.length > 3) return
    const there = await far.service().service.dataset('main')
    const outcome = there.prune({ policy: { last: 1 }, waitMs: 50 })
    pruned.push(await outcome.catch((error: unknown) => isCairnError(error) && error.code))
  }
  await far.target({ before: prune }).sync(source, 'main')
  expect(pruned.length).toBeGreaterThan(2)
  await expectSame(dataset, far.backend, now)
  await expectSound(far.backend, await tempDir())
}, 30_000)

test('a source that gives one block at a time is asked on, here and from over there', async () => {
  const { dataset, change, now, source } = await primaryOf(3)
  await change(8)
  await dataset.build()
  const slow: typeof source = {
    ...source,
    getBlocks: (cids, options) => source.getBlocks(cids.slice(0, 1), options),
  }
  const far = await farSide()
  const mine = openMemory()
  const { blocks } = await far.target().sync(slow, 'main')
  expect(await new Cairn(mine).sync(slow)).toMatchObject({ blocks })
  for (const backend of [far.backend, mine]) await expectSame(dataset, backend, now)
})
