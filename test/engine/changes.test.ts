/** The log read forwards, and followed: what is folded, what is pruned, other generations, other processes. */
import { setTimeout as delay } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { openLmdb } from '../../src/backend/lmdb/index.ts'
import { openMemory } from '../../src/backend/memory.ts'
import { Cairn } from '../../src/cairn.ts'
import type { ChangesOptions, LogChange } from '../../src/engine/changes.ts'
import { REAL_TIMERS, type Timers } from '../../src/engine/context.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import { CairnError } from '../../src/errors.ts'
import { printCid } from '../../src/model/cid.ts'
import { wrapBackend } from '../helpers/counting-backend.ts'
import { collect, expectRefused, newestCommit, openTest, tempDir } from '../helpers/engine.ts'
import { tipOf } from '../helpers/entries.ts'

const NEVER: Timers = { ...REAL_TIMERS, delay: () => new Promise(() => {}) }
const SOON: Timers = { ...REAL_TIMERS, delay: () => delay(2) }

async function append(dataset: Dataset, ...ids: string[]): Promise<void> {
  for (const pi of ids) await dataset.append({ pi, tip: tipOf(pi) })
}

const words = (change: LogChange): string =>
  change.kind === 'entry'
    ? `${change.position} ${change.entry.pi}@${change.entry.ver}`
    : `generation ${change.generation.number} from ${change.next}: ${change.reason}`

/** The next so many changes of a follower, as words. */
async function take(changes: AsyncGenerator<LogChange>, count: number): Promise<string[]> {
  const taken: string[] = []
  while (taken.length < count) {
    const next = await changes.next()
    if (next.done === true) throw new Error(`ended after ${taken.join(', ')}`)
    taken.push(words(next.value))
  }
  return taken
}

function follow(dataset: Dataset, options: ChangesOptions = {}): AsyncGenerator<LogChange> {
  const stop = new AbortController()
  onTestFinished(() => stop.abort())
  return dataset.changes({ signal: stop.signal, ...options })
}

const logged = async (dataset: Dataset, since?: number, limit = 10_000): Promise<string[]> =>
  (await dataset.log({ since, limit })).items.map((item) => words({ kind: 'entry', ...item }))

test('a page of the log goes over what is folded and what is recent, in the order of positions', async () => {
  const { dataset } = await openTest()
  await append(dataset, 'a', 'b')
  await dataset.build()
  await dataset.appendBatch([
    { pi: 'c', tip: tipOf('c') },
    { pi: 'a', tip: tipOf('a2') },
  ])
  await dataset.build()
  await append(dataset, 'd')
  const all = ['0 a@1', '1 b@1', '2 c@1', '3 a@2', '4 d@1']
  for (let since = 0; since <= all.length; since++) {
    expect(await logged(dataset, since)).toEqual(all.slice(since))
    for (let limit = 1; limit <= all.length; limit++) {
      const page = await dataset.log({ since, limit })
      expect(page.items.map(({ position }) => position)).toEqual(
        all.map((_, i) => i).slice(since, since + limit),
      )
      expect(page.next).toBe(Math.min(all.length, since + limit))
    }
  }
  expect(await dataset.log({ since: 1, limit: 1 })).toMatchObject({
    next: 2,
    floor: 0,
    generation: { number: 1 },
  })
})

test('a place that the log has not, and a limit that is none, are refused', async () => {
  const { dataset } = await openTest()
  await append(dataset, 'a', 'b')
  for (const since of [-1, 0.5, Number.NaN, 2 ** 53])
    await expectRefused(dataset.log({ since }), 'usage')
  await expectRefused(dataset.log({ since: 3 }), 'not_found')
  for (const limit of [0, -1, 1.5, 10_001]) await expectRefused(dataset.log({ limit }), 'usage')
  await expectRefused(take(follow(dataset, { since: 3 }), 1), 'not_found')
})

test('below the floor history is gone, and the refusal says where it begins', async () => {
  const { dataset } = await openTest()
  for (const pi of ['a', 'b', 'c', 'd']) {
    await append(dataset, pi)
    await dataset.build()
  }
  await dataset.prune({ policy: { last: 1 } })
  const { floor, next } = await dataset.head()
  expect([floor, next]).toEqual([4, 4])
  const gone = await expectRefused(dataset.log({ since: 3 }), 'history_gone')
  expect(gone).toMatchObject({ exitCode: 10, httpStatus: 410, details: { floor: 4, next: 4 } })
  await expectRefused(take(follow(dataset, { since: 0 }), 1), 'history_gone')
  await append(dataset, 'e')
  expect(await logged(dataset)).toEqual(['4 e@1'])
  expect(await logged(dataset, 4)).toEqual(['4 e@1'])
})

test('a chain block that is missing above the floor is damage, not the end', async () => {
  const inner = openMemory()
  const lost = new Set<string>()
  const backend = wrapBackend(inner, {
    getBlocks: async (cids, options) =>
      (await inner.getBlocks(cids, options)).map((bytes, i) =>
        lost.has(printCid(cids[i] ?? new Uint8Array())) ? undefined : bytes,
      ),
  })
  const { dataset } = await openTest({ backend })
  const { block } = await dataset.append({ pi: 'a', tip: tipOf('a') })
  await append(dataset, 'b')
  await dataset.build()
  lost.add(printCid(block ?? new Uint8Array()))
  expect(await logged(dataset, 1)).toEqual(['1 b@1'])
  await expectRefused(dataset.log({ since: 0 }), 'block_missing')
  await expectRefused(take(follow(dataset, { since: 0 }), 1), 'block_missing')
})

test('the head says where the dataset stands', async () => {
  const { dataset, backend, clock } = await openTest()
  await append(dataset, 'a', 'b')
  const { seq, snapshot } = await dataset.build()
  clock.now += 5
  await append(dataset, 'b', 'c')
  const stored = await backend.newest('main', -1)
  const { generation, identity, number, settings, snapshotTs } = await newestCommit(backend)
  const head = await dataset.head()
  expect(head).toEqual({
    commit: head.commit,
    number,
    identity,
    generation,
    next: 4,
    floor: 0,
    snapshot,
    seq,
    snapshotTs,
    recentCount: 2,
    chainLimit: settings.chainLimit,
    totalCount: 3,
    writable: true,
    ts: clock.now,
  })
  expect(stored?.number).toBe(number)
  expect(head.commit).toHaveLength(36)
})

test('an append names the chain block that carries it, also in a batch of many blocks', async () => {
  const { dataset, backend } = await openTest()
  const long = 'x'.repeat(500)
  const entries = Array.from({ length: 4000 }, (_, i) => ({ pi: `${long}${i}`, tip: tipOf('x') }))
  const appended = await dataset.appendBatch(entries)
  const blocks = [...new Set(appended.map(({ block }) => printCid(block ?? new Uint8Array())))]
  expect(blocks.length).toBeGreaterThan(1)
  expect(printCid((await newestCommit(backend)).head ?? new Uint8Array())).toBe(blocks.at(-1))
  const [first, last] = [entries[0], entries.at(-1)]
  if (first === undefined || last === undefined) throw new Error('no entries')
  const again = await dataset.appendBatch([first, last].map((one) => ({ ...one, ver: 1 })))
  expect(again).toEqual(
    [appended[0], appended.at(-1)].map((one) => ({ ...one, status: 'already' })),
  )
})

test('a follower is given what is there, then each entry as it is committed, without asking the store', async () => {
  const { dataset } = await openTest({ cairn: { timers: NEVER } })
  await append(dataset, 'a', 'b')
  const changes = follow(dataset, { since: 1 })
  const fromNow = follow(dataset)
  const first = take(fromNow, 1)
  expect(await take(changes, 1)).toEqual(['1 b@1'])
  const waiting = take(changes, 2)
  await append(dataset, 'c')
  await dataset.build()
  await append(dataset, 'd')
  expect(await waiting).toEqual(['2 c@1', '3 d@1'])
  expect(await first).toEqual(['2 c@1'])
  await dataset.bulkLoad([
    { pi: 'f', tip: tipOf('f') },
    { pi: 'e', tip: tipOf('e') },
  ])
  expect(await take(changes, 2)).toEqual(['4 e@1', '5 f@1'])
  expect(await take(fromNow, 3)).toEqual(['3 d@1', '4 e@1', '5 f@1'])
})

test('a rollback begins a generation: its follower goes on from there', async () => {
  const { dataset } = await openTest({ cairn: { timers: SOON } })
  await append(dataset, 'a', 'b')
  const before = await dataset.head()
  const changes = follow(dataset, { since: 0, generation: before.generation })
  expect(await take(changes, 2)).toEqual(['0 a@1', '1 b@1'])
  await append(dataset, 'c')
  await dataset.build()
  await dataset.rollback({ commit: before.number })
  await append(dataset, 'd')
  const given = await take(changes, 2)
  // Whether it still saw the entry that was taken back is a matter of time.
  if (given[0] === '2 c@1') given.splice(0, 1, ...(await take(changes, 1)))
  expect(given.toSorted()).toEqual(['3 d@1', 'generation 2 from 3: rollback'])
  expect(await logged(dataset, 0)).toEqual(['0 a@1', '1 b@1', '3 d@1'])
  expect(await logged(dataset, 2)).toEqual(['3 d@1'])
})

test('who comes back with an older generation is told first, whatever position is meant', async () => {
  const { dataset } = await openTest()
  await append(dataset, 'a', 'b')
  const { generation } = await dataset.head()
  await dataset.build()
  await dataset.rollback({ snapshot: 'latest' })
  await append(dataset, 'c')
  const expected = ['generation 2 from 2: rollback', '2 c@1']
  for (const since of [0, 2, 900]) {
    expect(await take(follow(dataset, { since, generation }), 2)).toEqual(expected)
    expect(await take(follow(dataset, { since, generation: { number: 1 } }), 2)).toEqual(expected)
  }
  const now = await dataset.head()
  const same = { number: now.generation.number, tag: 'another store' }
  expect(await take(follow(dataset, { since: 3, generation: same }), 2)).toEqual(expected)
  expect(await take(follow(dataset, { since: 2, generation: now.generation }), 1)).toEqual([
    '2 c@1',
  ])
})

test('a generation whose beginning is pruned is told from the floor on', async () => {
  const { dataset } = await openTest()
  await append(dataset, 'a')
  await dataset.build()
  await dataset.rollback({ snapshot: 'latest' })
  for (const pi of ['b', 'c', 'd']) {
    await append(dataset, pi)
    await dataset.build()
  }
  await dataset.prune({ policy: { last: 1 } })
  await append(dataset, 'e')
  const { floor } = await dataset.head()
  expect(floor).toBe(4)
  const changes = follow(dataset, { since: 1, generation: { number: 1 } })
  expect(await take(changes, 2)).toEqual(['generation 2 from 4: null', '4 e@1'])
})

test('a slow follower whose blocks a prune has freed meanwhile is told that they are gone', async () => {
  const { dataset } = await openTest()
  for (let n = 0; n < 40; n++) {
    await append(dataset, `e${n}`)
    if (n % 4 === 3) await dataset.build()
  }
  const changes = follow(dataset, { since: 0 })
  expect(await take(changes, 1)).toEqual(['0 e0@1'])
  await dataset.prune({ policy: { last: 1 } })
  const rest: string[] = []
  const gone = await expectRefused(
    (async () => {
      for (;;) rest.push(...(await take(changes, 1)))
    })(),
    'history_gone',
  )
  expect(gone.details).toMatchObject({ floor: 40 })
  expect(rest).toEqual(rest.map((_, i) => `${i + 1} e${i + 1}@1`))
  expect(rest.length).toBeLessThan(39)
})

test('a follower whose block was gone for a moment goes on where it was', async () => {
  const inner = openMemory()
  let lost = ''
  const backend = wrapBackend(inner, {
    getBlocks: async (cids, options) => {
      const blocks = await inner.getBlocks(cids, options)
      const at = cids.findIndex((cid) => printCid(cid) === lost)
      if (at < 0) return blocks
      lost = ''
      return blocks.with(at, undefined)
    },
  })
  const { dataset } = await openTest({ backend })
  const others = await new Cairn(backend).dataset()
  const blocks: string[] = []
  for (let n = 0; n < 40; n++) {
    const { block } = await dataset.append({ pi: `e${n}`, tip: tipOf('e') })
    blocks.push(printCid(block ?? new Uint8Array()))
  }
  await dataset.build()
  const changes = follow(dataset, { since: 0 })
  const first = await take(changes, 5)
  lost = blocks[20] ?? ''
  await append(others, 'later')
  const rest = await take(changes, 36)
  expect(lost).toBe('')
  expect([...first, ...rest]).toEqual([...blocks.map((_, n) => `${n} e${n}@1`), '40 later@1'])
})

test('a slow follower and a fast reader do not get in the way of each other', async () => {
  const { dataset } = await openTest()
  const grow = async (from: number, to: number): Promise<void> => {
    for (let n = from; n < to; n++) await append(dataset, `e${n}`)
    await dataset.build()
  }
  await grow(0, 6)
  await logged(dataset, 0)
  await grow(6, 10)
  const slow = follow(dataset, { since: 0 })
  const first = await take(slow, 1)
  await grow(10, 15)
  await logged(dataset, 6)
  await append(dataset, 'e15')
  const all = Array.from({ length: 16 }, (_, n) => `${n} e${n}@1`)
  expect([...first, ...(await take(slow, 15))]).toEqual(all)
  expect(await logged(dataset, 0)).toEqual(all)
})

test('a follower ends when it is told to, and leaves no listener behind', async () => {
  const { dataset } = await openTest({ cairn: { timers: NEVER } })
  const stop = new AbortController()
  const changes = dataset.changes({ signal: stop.signal })
  const waiting = changes.next()
  await delay(5)
  stop.abort()
  await expectRefusedWithout(waiting, 'aborted')
  await expectRefusedWithout(dataset.changes({ signal: stop.signal }).next(), 'aborted')
  expect(await changes.next()).toEqual({ done: true, value: undefined })
})

test('a store that fails is told to everybody who waits, and the next follower asks anew', async () => {
  const inner = openMemory()
  let fails = false
  const away = new CairnError('backend_unavailable', 'It is away.', { hint: 'Wait.' })
  const backend = wrapBackend(inner, {
    newest: (...given) => (fails ? Promise.reject(away) : inner.newest(...given)),
  })
  const { dataset } = await openTest({ backend, cairn: { timers: SOON } })
  const waiting = [follow(dataset), follow(dataset)].map((changes) => take(changes, 1))
  await delay(10)
  fails = true
  for (const one of waiting) await expectRefused(one, 'backend_unavailable')
  fails = false
  const later = take(follow(dataset), 1)
  await delay(5)
  await append(dataset, 'a')
  expect(await later).toEqual(['0 a@1'])
})

test('two that have one lmdb store open follow each other', async () => {
  const dir = await tempDir()
  const [one, two] = await Promise.all(
    [1, 2].map(async () => {
      const cairn = new Cairn(await openLmdb({ dir, create: true }), { timers: SOON })
      onTestFinished(() => cairn.close())
      return cairn
    }),
  )
  if (one === undefined || two === undefined) throw new Error('not opened')
  await one.init('main', { content: 'external' })
  const [mine, theirs] = [await one.dataset(), await two.dataset()]
  const followers = [mine, theirs].map((dataset) => take(follow(dataset, { since: 0 }), 60))
  const writing = [mine, theirs].map(async (dataset, n) => {
    for (let i = 0; i < 30; i++) {
      await append(dataset, `${n}-${i}`)
      if (i % 10 === 9) await dataset.build().catch(expectConflict)
    }
  })
  await Promise.all(writing)
  const [a, b] = await Promise.all(followers)
  expect(a).toEqual(b)
  expect(a).toEqual(await logged(mine, 0))
  expect(a?.map((line) => Number(line.split(' ')[0]))).toEqual(
    Array.from({ length: 60 }, (_, i) => i),
  )
})

test('history and log tell the same', async () => {
  const { dataset } = await openTest()
  for (let n = 0; n < 30; n++) {
    await append(dataset, `e${n % 3}`)
    if (n % 7 === 6) await dataset.build()
  }
  const log = (await dataset.log({ since: 0, limit: 100 })).items
  const history = await collect(dataset.history('e1'))
  expect(log.filter(({ entry }) => entry.pi === 'e1').toReversed()).toEqual(history)
})

function expectConflict(error: unknown): void {
  if (!(error instanceof CairnError) || error.code !== 'conflict') throw error
}

/** An abort needs no hint. */
async function expectRefusedWithout(promise: Promise<unknown>, code: string): Promise<void> {
  const error: unknown = await promise.catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(CairnError)
  expect((error as CairnError).code).toBe(code)
}
