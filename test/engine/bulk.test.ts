/** Bulk load: the same as appends and a build would give, in one commit, or nothing at all. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import * as dagCbor from '@ipld/dag-cbor'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { openLmdb } from '../../src/backend/lmdb/index.ts'
import { openMemory } from '../../src/backend/memory.ts'
import { walkBack } from '../../src/chain/walk.ts'
import { openCairn } from '../../src/compose.ts'
import { Cairn } from '../../src/cairn.ts'
import type { BulkOptions } from '../../src/engine/bulk.ts'
import type { ImportEntry } from '../../src/engine/import-entry.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import { CairnError, type ErrorCode } from '../../src/errors.ts'
import { cborBlock, printCid, type CidBytes } from '../../src/model/cid.ts'
import type { Commit } from '../../src/model/commit.ts'
import type { Backend } from '../../src/store/backend.ts'
import { builtDist } from '../helpers/built.ts'
import { countingBackend, withStaging, wrapBackend } from '../helpers/counting-backend.ts'
import {
  START,
  collect,
  expectRefused,
  newestCommit,
  openTest,
  plain,
  refusal,
  tempDir,
  type Clock,
} from '../helpers/engine.ts'
import { tipOf } from '../helpers/entries.ts'
import { askNode, startKuboNode } from '../helpers/kubo-node.ts'

const A = tipOf('a')
const B = tipOf('b')
const linked = { content: 'linked' } as const

beforeAll(async () => {
  await builtDist()
}, 120_000)

/** What a commit makes current: all but what every commit changes, the guard included. */
function current({ number: _, ts, prev, writer, reason, ...rest }: Commit): Partial<Commit> {
  void [_, ts, prev, writer, reason]
  return rest
}

const valueBlock = (value: unknown): CidBytes => cborBlock(dagCbor.encode(value)).cid

const down = (): Promise<never> =>
  Promise.reject(new CairnError('backend_unavailable', 'The store is away.', { hint: 'Start it.' }))

async function* numbered(count: number, tip: CidBytes | null = A): AsyncGenerator<ImportEntry> {
  for (let i = 0; i < count; i++) yield { pi: `n${String(i).padStart(7, '0')}`, ver: 1, tip }
}

const compareKeys = (a: { pi: string }, b: { pi: string }): number =>
  Buffer.compare(Buffer.from(a.pi), Buffer.from(b.pi))

const arbitraryId = fc.oneof(
  { weight: 8, arbitrary: fc.nat(30).map((n) => `k${n}`) },
  { weight: 1, arbitrary: fc.constantFrom('é', '日本', '😀', '\u{ffff}', 'k'.repeat(512)) },
)

const arbitraryVersion = (content: 'linked' | 'external'): fc.Arbitrary<ImportEntry> => {
  const fields = {
    pi: arbitraryId,
    ver: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined, freq: 1 }),
    ts: fc.option(fc.integer({ min: 0, max: START }), { nil: undefined }),
    exp: fc.constantFrom(undefined, undefined, undefined, null, START - 5, START + 30, START + 9e8),
    expectVer: fc.constantFrom(undefined, undefined, undefined, undefined, undefined, 0, 1),
  }
  const small = fc.nat(4)
  const tip = small.map((n) => (content === 'linked' ? valueBlock({ n }) : tipOf(`${n}`)))
  return fc.oneof(
    fc.record({ ...fields, tip: fc.oneof({ weight: 4, arbitrary: tip }, fc.constant(null)) }),
    fc.record({ ...fields, value: small.map((n) => ({ n })) }),
  )
}

const arbitraryRun = fc.constantFrom('linked' as const, 'external' as const).chain((content) => {
  const entry = arbitraryVersion(content)
  return fc.record({
    content: fc.constant(content),
    before: fc.array(entry, { maxLength: 25 }),
    chain: fc.array(entry, { maxLength: 25 }),
    load: fc.array(entry, { maxLength: 40 }),
    sortBytes: fc.constantFrom(undefined, 1, 600),
  })
})

type Run = typeof arbitraryRun extends fc.Arbitrary<infer T> ? T : never

/** Appends what is accepted, one by one. */
async function appendAll(dataset: Dataset, entries: readonly ImportEntry[]): Promise<void> {
  for (const one of entries) await dataset.appendBatch([one]).catch(() => {})
}

async function compareWithAppends(run: Run, open: () => Promise<Backend>): Promise<string> {
  const clock: Clock = { now: START }
  const init = { content: run.content, chunkSize: 64, chainLimit: 1000 }
  const ends: Backend[] = []
  const make = async (): Promise<{ backend: Backend; dataset: Dataset }> => {
    const backend = await open()
    ends.push(backend)
    const { dataset } = await openTest({ backend, init, clock })
    await dataset.putBatch([0, 1, 2, 3, 4].map((n) => ({ pi: `content ${n}`, value: { n } })))
    await appendAll(dataset, run.before)
    await dataset.build()
    clock.now += 10
    await appendAll(dataset, run.chain)
    return { backend, dataset }
  }
  try {
    const real = await make()
    clock.now = START
    const model = await make()
    clock.now += 50
    const sorted = run.load.toSorted(compareKeys)
    const expected = await model.dataset.appendBatch(sorted).catch((error: unknown) => error)
    const before = await newestCommit(real.backend)
    const options = { sortBytes: run.sortBytes, tempDir: await tempDir() }
    if (expected instanceof CairnError) {
      const error = await refusal(real.dataset.bulkLoad(run.load, options))
      expect([error.code, error.message]).toEqual([expected.code, expected.message])
      expect(current(await newestCommit(real.backend))).toEqual(current(before))
      return 'refused'
    }
    const statuses = (expected as { status: string }[]).map(({ status }) => status)
    const report = await real.dataset.bulkLoad(run.load, options)
    expect(report.appended).toBe(statuses.filter((status) => status === 'appended').length)
    expect(report.already).toBe(statuses.filter((status) => status === 'already').length)
    const after = await newestCommit(real.backend)
    expect(after.exclusive).toBe(null)
    if (report.appended === 0) expect(current(after)).toEqual(current(before))
    else expect(after).toMatchObject({ recentCount: 0, snapshotSeq: before.nextSeq })
    // Where nothing was new, the chain is still to be folded.
    const { root } = await model.dataset.build({ force: true })
    const built = await real.dataset.build({ force: true })
    expect(printCid(built.root)).toBe(printCid(root))
    const reader = await openTest({ backend: real.backend, clock })
    const [ours, theirs] = [reader.dataset, model.dataset]
    for (const deleted of [false, true]) {
      const mine = (await collect(ours.entries({ deleted }))).map(plain)
      expect(mine).toEqual((await collect(theirs.entries({ deleted }))).map(plain))
    }
    expect((await ours.list()).totalCount).toBe((await theirs.list()).totalCount)
    for (const pi of new Set([...run.load, ...run.chain, ...run.before].map((one) => one.pi))) {
      const mine = await collect(ours.history(pi))
      expect(mine).toEqual(await collect(theirs.history(pi)))
    }
    expect((await newestCommit(real.backend)).next).toBe((await newestCommit(model.backend)).next)
    return report.appended > 0 ? 'loaded' : 'nothing new'
  } finally {
    for (const backend of ends) await backend.close()
  }
}

test('whatever was there and whatever is loaded, it is what appends and a build would give', async () => {
  const seen = new Map<string, number>()
  await fc.assert(
    fc.asyncProperty(arbitraryRun, async (run) => {
      const outcome = await compareWithAppends(run, () => Promise.resolve(openMemory()))
      seen.set(outcome, (seen.get(outcome) ?? 0) + 1)
    }),
    { numRuns: 150, includeErrorInReport: true },
  )
  expect(seen.get('loaded'), JSON.stringify([...seen])).toBeGreaterThan(10)
  expect(seen.get('refused'), JSON.stringify([...seen])).toBeGreaterThan(10)
})

test('the same on the embedded store', async () => {
  await fc.assert(
    fc.asyncProperty(arbitraryRun, async (run) => {
      await compareWithAppends(run, async () => openLmdb({ dir: await tempDir(), create: true }))
    }),
    { numRuns: 8, includeErrorInReport: true },
  )
})

test('a large load makes full chain blocks that history walks, positions without gaps', async () => {
  const { dataset, backend } = await openTest({ init: { chainLimit: 300 } })
  for (let i = 0; i < 254; i++) await dataset.append({ pi: `old${i}`, tip: A })
  const count = 45_000
  const progress: string[] = []
  const report = await dataset.bulkLoad(numbered(count), {
    reason: 'the move',
    onProgress: ({ step }) => progress.push(step),
  })
  expect(report).toMatchObject({ appended: count, already: 0, totalCount: count + 254 })
  expect([...new Set(progress)]).toEqual(['read', 'merge', 'prove'])
  const commit = await newestCommit(backend)
  expect(commit).toMatchObject({ next: count + 254, recentCount: 0, floor: 0, exclusive: null })
  const walk = { head: commit.base, base: null, identities: [commit.identity], floor: 0 }
  const blocks = await collect(walkBack(backend, walk))
  let next = commit.next
  let ordinal = commit.nextOrdinal
  for (const { block } of blocks) {
    expect(block.first + block.entries.length).toBe(next)
    expect(block.ordinal).toBe(--ordinal)
    expect(block.back).toHaveLength(block.ordinal === 256 ? 255 : 0)
    next = block.first
  }
  expect([next, ordinal]).toEqual([0, 0])
  expect(blocks.length).toBeLessThanOrEqual(254 + 5)
  const [logged] = await collect(dataset.history('n0012345'))
  expect(logged?.position).toBe(254 + 12_345)
  const [snapshot] = await collect(dataset.snapshots())
  expect(snapshot?.reason).toBe('the move')
  expect((await dataset.append({ pi: 'after', tip: A })).position).toBe(count + 254)
  const again = await dataset.bulkLoad(numbered(count))
  expect(again).toMatchObject({ appended: 0, already: count, seq: report.seq })
})

test('values and tips of one load may link to each other, in any order', async () => {
  const { dataset } = await openTest({ init: linked })
  const inner = valueBlock({ inner: 1 })
  await dataset.bulkLoad([
    { pi: '1 tip first', tip: inner },
    { pi: '2 link first', value: { link: CID.decode(inner) } },
    { pi: '3', value: { inner: 1 } },
    { pi: '4 tip after', tip: inner },
  ])
  for (const { tip } of await collect(dataset.entries())) {
    expect(await dataset.content(tip ?? '')).toMatchObject({ kind: 'value' })
  }
})

test('bytes may be used again by the source for its next item', async () => {
  const { dataset } = await openTest({ backend: openMemory(), init: linked })
  const lmdb = await openCairn(`lmdb:${await tempDir()}`)
  onTestFinished(() => lmdb.close())
  const { dataset: embedded } = await lmdb.init('main', linked)
  for (const target of [dataset, embedded]) {
    const buffer = new Uint8Array(1000)
    await target.bulkLoad(
      (async function* () {
        for (let i = 0; i < 10; i++) yield { pi: `b${i}`, value: buffer.fill(i) }
      })(),
    )
    const { tip } = (await target.get('b3')) ?? {}
    const content = await target.content(tip ?? '')
    const bytes = content.kind === 'bytes' ? await collect(content.bytes) : []
    expect(Buffer.concat(bytes)).toEqual(Buffer.alloc(1000, 3))
  }
})

interface Failure {
  readonly code: ErrorCode | undefined
  readonly source?: (abort: AbortController) => AsyncIterable<ImportEntry>
  readonly backend?: (inner: Backend) => Backend
  readonly onProgress?: (step: string, abort: AbortController) => void
  readonly aborted?: boolean
}

async function* then(last: () => ImportEntry): AsyncGenerator<ImportEntry> {
  yield* numbered(2000, null)
  yield last()
}

const fail = (error: Error): never => {
  throw error
}

const failures: Record<string, Failure> = {
  'an entry without an id': {
    code: 'invalid_entry',
    source: () => then(() => ({ pi: '', tip: A })),
  },
  'an item that is no entry': {
    code: 'invalid_entry',
    source: () => then(() => null as unknown as ImportEntry),
  },
  'a value that cannot be stored': {
    code: 'invalid_content',
    source: () => then(() => ({ pi: 'x', value: { x: undefined } })),
  },
  'a version that is there': {
    code: 'conflict',
    source: () => then(() => ({ pi: 'kept', ver: 1, tip: null })),
  },
  'a tip that the store lacks': {
    code: 'content_missing',
    source: () => then(() => ({ pi: 'x', tip: B })),
  },
  'a value that links to what the store lacks': {
    code: 'content_missing',
    source: () => then(() => ({ pi: 'x', value: { link: CID.decode(B) } })),
  },
  'a source that throws': { code: undefined, source: () => then(() => fail(new Error('of mine'))) },
  'an abort before it began': { code: 'aborted', aborted: true },
  'an abort in the source': {
    code: 'aborted',
    source: (abort) =>
      then(() => {
        abort.abort()
        return { pi: 'x', tip: null }
      }),
  },
  'an abort while the source hangs': {
    code: 'aborted',
    source: (abort) => ({
      [Symbol.asyncIterator]: () => {
        setTimeout(() => abort.abort(), 20)
        return { next: () => new Promise<never>(() => {}) }
      },
    }),
  },
  'an abort while it merges': {
    code: 'aborted',
    onProgress: (step, abort) => step === 'merge' && abort.abort(),
  },
  'an abort while it proves': {
    code: 'aborted',
    onProgress: (step, abort) => step === 'prove' && abort.abort(),
  },
  'a progress that throws': { code: undefined, onProgress: () => fail(new Error('of mine')) },
  'a staging that does not begin': {
    code: 'backend_unavailable',
    backend: (inner) => wrapBackend(inner, { stage: down }),
  },
  'a staging that takes no blocks': {
    code: 'backend_unavailable',
    backend: (inner) => withStaging(inner, () => ({ put: down })),
  },
  'a staging that does not flush': {
    code: 'backend_unavailable',
    backend: (inner) => withStaging(inner, () => ({ flush: down })),
  },
  'a staging that neither takes blocks nor ends': {
    code: 'backend_timeout',
    backend: (inner) =>
      withStaging(inner, () => ({
        put: () => Promise.reject(new CairnError('backend_timeout', 'Slow.', { hint: 'Wait.' })),
        end: down,
      })),
  },
  'a store that loses what was staged': {
    code: 'block_missing',
    backend: (inner) => withStaging(inner, () => ({ put: () => Promise.resolve() })),
  },
  'a commit that is refused': {
    code: 'backend_unavailable',
    backend: (inner) =>
      wrapBackend(inner, {
        commit: (request, options) =>
          request.number > 0 && request.blocks.length > 0 ? down() : inner.commit(request, options),
      }),
  },
}

test.each(Object.entries(failures))('%s changes nothing', async (_, failure) => {
  const memory = openMemory()
  const abort = new AbortController()
  const clock = { now: START }
  const first = await openTest({ backend: memory, init: linked, clock })
  await first.dataset.putBatch([{ pi: 'kept', value: 1 }])
  await first.dataset.build()
  await first.dataset.put('recent', 2)
  const before = await newestCommit(memory)
  const listed = await first.dataset.list()
  const backend = failure.backend?.(memory) ?? memory
  const { dataset } = await openTest({ backend, init: linked, clock })
  const temp = await tempDir()
  if (failure.aborted === true) abort.abort()
  const options: BulkOptions = {
    signal: abort.signal,
    tempDir: temp,
    sortBytes: 10_000,
    onProgress: ({ step }) => failure.onProgress?.(step, abort),
  }
  const source = failure.source?.(abort) ?? numbered(3000, null)
  const loading = dataset.bulkLoad(source, options)
  if (failure.code === undefined) await expect(loading).rejects.toThrow('of mine')
  else expect((await refusal(loading)).code).toBe(failure.code)
  expect(await readdir(temp)).toEqual([])
  const after = await newestCommit(memory)
  expect(current(after)).toEqual(current(before))
  expect(after.exclusive).toBe(null)
  const other = await openTest({ backend: memory, init: linked, clock })
  expect(await other.dataset.list()).toEqual(listed)
  expect(await first.dataset.put('later', 3)).toMatchObject({ position: before.next })
  expect(await other.dataset.bulkLoad(numbered(10, null))).toMatchObject({ appended: 10 })
})

test('a load that was committed is a success though its staging does not end', async () => {
  const memory = openMemory()
  const log: string[] = []
  const logger = { info: () => {}, debug: () => {}, error: (event: string) => void log.push(event) }
  const { dataset } = await openTest({
    backend: withStaging(memory, () => ({ end: down })),
    cairn: { log: logger },
  })
  expect(await dataset.bulkLoad(numbered(10))).toMatchObject({ appended: 10 })
  expect(log).toEqual(['bulk_load.end_failed'])
})

test('a commit whose outcome is unknown is asked for again', async () => {
  const memory = openMemory()
  let unknown = 0
  const backend = wrapBackend(memory, {
    commit: async (request, options) => {
      const outcome = await memory.commit(request, options)
      if (request.number === 0 || request.blocks.length === 0 || unknown++ > 0) return outcome
      throw new CairnError('commit_unknown', 'Lost.', { hint: 'Look.' })
    },
  })
  const { dataset } = await openTest({ backend: countingBackend(backend) })
  expect(await dataset.bulkLoad(numbered(10))).toMatchObject({ appended: 10 })
  expect(unknown).toBe(2)
  expect((await dataset.list()).totalCount).toBe(10)
  expect((await newestCommit(memory)).exclusive).toBe(null)
})

test.concurrent.each([10, 0])(
  'a commit that stays unknown leaves all or nothing, %i entries, and no guard',
  async (count) => {
    const memory = openMemory()
    const backend = wrapBackend(memory, {
      commit: async (request, options) => {
        if (request.number === 0 || request.blocks.length === 0)
          return memory.commit(request, options)
        if (count > 0) await memory.commit(request, options)
        throw new CairnError('commit_unknown', 'Lost.', { hint: 'Look.' })
      },
    })
    const { dataset } = await openTest({ backend })
    await expectRefused(dataset.bulkLoad(numbered(10)), 'commit_unknown')
    expect(await newestCommit(memory)).toMatchObject({ totalCount: count, exclusive: null })
    const { dataset: other } = await openTest({ backend: memory })
    expect((await other.list()).items).toHaveLength(count)
  },
)

/** A source that goes on when it is told. */
function held(): { source: AsyncGenerator<ImportEntry>; reached: Promise<void>; go: () => void } {
  let arrive = (): void => {}
  let go = (): void => {}
  const reached = new Promise<void>((resolve) => (arrive = resolve))
  const gate = new Promise<void>((resolve) => (go = resolve))
  const source = (async function* (): AsyncGenerator<ImportEntry> {
    yield { pi: 'loaded', tip: A }
    arrive()
    await gate
    yield { pi: 'loaded too', tip: A }
  })()
  return { source, reached, go }
}

test('while a load runs other writers get busy, readers the old state, and after it all goes on', async () => {
  const backend = openMemory()
  const clock = { now: START }
  const { dataset, cairn } = await openTest({ backend, clock })
  const other = await openTest({ backend, clock })
  await dataset.append({ pi: 'old', tip: A })
  const commit = (await newestCommit(backend)).number
  const { source, reached, go } = held()
  const loading = dataset.bulkLoad(source)
  await reached
  for (const writer of [await cairn.dataset(), other.dataset]) {
    await expectRefused(writer.append({ pi: 'x', tip: A }), 'busy')
    await expectRefused(writer.put('x', 1), 'busy')
    await expectRefused(writer.build(), 'busy')
    await expectRefused(writer.rollback({ commit }), 'busy')
    await expectRefused(writer.bulkLoad(numbered(1)), 'busy')
    expect((await writer.list()).items.map(({ pi }) => pi)).toEqual(['old'])
    expect(await writer.get('loaded')).toBe(undefined)
  }
  // Reserved again in time, the two minutes begin anew.
  clock.now += 100_000
  go()
  expect(await loading).toMatchObject({ appended: 2 })
  expect((await other.dataset.list()).totalCount).toBe(3)
  expect(await other.dataset.append({ pi: 'x', tip: A })).toMatchObject({ position: 3 })
})

test('a load whose source is slow stays exclusive', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  onTestFinished(() => void vi.useRealTimers())
  const backend = openMemory()
  const clock = { now: START }
  const { dataset } = await openTest({ backend, clock })
  const other = await openTest({ backend, clock })
  const { source, reached, go } = held()
  const loading = dataset.bulkLoad(source)
  await reached
  for (let i = 0; i < 60; i++) {
    clock.now += 10_000
    await vi.advanceTimersByTimeAsync(10_000)
    await expectRefused(other.dataset.append({ pi: 'x', tip: A }), 'busy')
  }
  expect((await newestCommit(backend)).number).toBeLessThan(30)
  go()
  expect(await loading).toMatchObject({ appended: 2 })
  expect(vi.getTimerCount()).toBe(0)
})

test('a load whose clock goes back by hours stays exclusive', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  onTestFinished(() => void vi.useRealTimers())
  const backend = openMemory()
  const clock = { now: START }
  const right = { now: START }
  const { dataset } = await openTest({ backend, clock })
  const other = await openTest({ backend, clock: right })
  const { source, reached, go } = held()
  const loading = dataset.bulkLoad(source)
  await reached
  clock.now -= 3 * 3_600_000
  for (let i = 0; i < 30; i++) {
    clock.now += 10_000
    right.now += 10_000
    await vi.advanceTimersByTimeAsync(10_000)
    await expectRefused(other.dataset.append({ pi: 'x', tip: A }), 'busy')
  }
  go()
  expect(await loading).toMatchObject({ appended: 2 })
  expect((await newestCommit(backend)).number).toBeLessThan(15)
})

test('the guard of a dead owner whose clock was an hour ahead is void when it was met for two minutes', async () => {
  const backend = openMemory()
  const ahead = await openTest({ backend, clock: { now: START + 3_600_000 } })
  const clock = { now: START }
  const other = await openTest({ backend, clock })
  const { source, reached } = held()
  void ahead.dataset.bulkLoad(source)
  await reached
  const error = await expectRefused(other.dataset.append({ pi: 'x', tip: A }), 'busy')
  expect(error.hint).toContain(new Date(START + 120_000).toISOString())
  clock.now += 119_999
  await expectRefused(other.dataset.append({ pi: 'x', tip: A }), 'busy')
  clock.now += 1
  expect(await other.dataset.append({ pi: 'x', tip: A })).toMatchObject({ position: 0 })
})

test('who writes past a void guard takes it away, and the slow owner changes nothing', async () => {
  const backend = openMemory()
  const clock = { now: START }
  const { dataset } = await openTest({ backend, clock })
  const other = await openTest({ backend, clock })
  const { source, reached, go } = held()
  const loading = refusal(dataset.bulkLoad(source))
  await reached
  clock.now += 119_999
  await expectRefused(other.dataset.append({ pi: 'x', tip: A }), 'busy')
  clock.now += 1
  expect(await other.dataset.append({ pi: 'x', tip: A })).toMatchObject({ position: 0 })
  expect((await newestCommit(backend)).exclusive).toBe(null)
  go()
  expect((await loading).code).toBe('conflict')
  expect((await dataset.list()).items.map(({ pi }) => pi)).toEqual(['x'])
  expect(await dataset.bulkLoad(numbered(3))).toMatchObject({ appended: 3 })
})

test('a guard found lost while the source is waited for fails the load at its next item', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  onTestFinished(() => void vi.useRealTimers())
  const backend = openMemory()
  const clock = { now: START }
  const { dataset } = await openTest({ backend, clock })
  const other = await openTest({ backend, clock })
  const { source, reached, go } = held()
  const loading = refusal(dataset.bulkLoad(source))
  await reached
  clock.now += 120_000
  await other.dataset.append({ pi: 'x', tip: A })
  await vi.advanceTimersByTimeAsync(30_000)
  go()
  expect((await loading).code).toBe('conflict')
  expect(vi.getTimerCount()).toBe(0)
  expect((await newestCommit(backend)).totalCount).toBe(1)
})

test('a slow owner whose guard was followed by another load leaves that one alone', async () => {
  const backend = openMemory()
  const clock = { now: START }
  const one = await openTest({ backend, clock })
  const two = await openTest({ backend, clock })
  const [first, second] = [held(), held()]
  const losing = refusal(one.dataset.bulkLoad(first.source))
  await first.reached
  clock.now += 120_000
  const winning = two.dataset.bulkLoad(second.source)
  await second.reached
  first.go()
  expect(['busy', 'conflict']).toContain((await losing).code)
  expect((await newestCommit(backend)).exclusive).not.toBe(null)
  second.go()
  expect(await winning).toMatchObject({ appended: 2 })
})

/** A process that loads into a store of its own making, as the built project does it. */
const CHILD = `
  const [dist, store, task, tempDir] = process.argv.slice(1)
  const { openCairn } = await import(dist + '/index.js')
  const { readFileSync } = await import('node:fs')
  const anonymous = () =>
    Number(/RssAnon:\\s+(\\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024
  const cairn = await openCairn(store, { cacheBytes: 4 << 20 })
  const { dataset } = await cairn.init('main', { content: 'external' })
  const tip = new Uint8Array([1, 0x55, 0x12, 32, ...Buffer.alloc(32, 7)])
  let peak = 0
  async function* entries(count) {
    for (let i = 0; i < count; i++) {
      if (i % 1000 === 0) peak = Math.max(peak, anonymous())
      yield { pi: 'id-' + String((i * 7919) % count).padStart(100, '0'), tip }
    }
  }
  async function* waiting() {
    yield* entries(2000)
    console.log('waiting')
    for await (const _ of process.stdin);
  }
  const source = task === 'wait' ? waiting() : entries(300_000)
  const onProgress = () => (peak = Math.max(peak, anonymous()))
  const report = await dataset.bulkLoad(source, { sortBytes: 1 << (task === 'wait' ? 10 : 20), tempDir, onProgress })
  console.log(JSON.stringify({ ...report, peak }))
  await cairn.close()`

const childArgs = async (...args: string[]): Promise<string[]> => [
  '--max-old-space-size=64',
  '--input-type=module',
  '-e',
  CHILD,
  await builtDist(),
  ...args,
]

test('a load far larger than its memory', async () => {
  const [dir, temp] = [await tempDir(), await tempDir()]
  const args = await childArgs(`lmdb:${dir}`, 'large', temp)
  const { stdout } = await promisify(execFile)(process.execPath, args)
  const { appended, peak } = JSON.parse(stdout) as { appended: number; peak: number }
  expect(appended).toBe(300_000)
  expect(peak).toBeLessThan(160 << 20)
  expect(await readdir(temp)).toEqual([])
}, 60_000)

test.each(['ends', 'is killed'])('another process that loads and %s', async (how) => {
  const [dir, temp] = [await tempDir(), await tempDir()]
  const clock = { offset: 0 }
  const cairn = await openCairn(`lmdb:${dir}`, { now: () => Date.now() + clock.offset })
  onTestFinished(() => cairn.close())
  const { dataset } = await cairn.init('main', { content: 'external' })
  await dataset.append({ pi: 'old', tip: A })
  const args = await childArgs(`lmdb:${dir}`, 'wait', temp)
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const closed = once(child, 'close')
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await closed
  })
  const lines = createInterface({ input: child.stdout })
  await once(lines, 'line')
  await expectRefused(dataset.append({ pi: 'x', tip: A }), 'busy')
  await expectRefused(dataset.bulkLoad(numbered(1)), 'busy')
  expect((await dataset.list()).items.map(({ pi }) => pi)).toEqual(['old'])
  if (how === 'ends') {
    child.stdin.end()
    expect((await closed)[0]).toBe(0)
    expect(await readdir(temp)).toEqual([])
    expect((await dataset.list()).totalCount).toBe(2001)
  } else {
    child.kill('SIGKILL')
    await closed
    const left = await readdir(temp, { recursive: true, withFileTypes: true })
    expect(left.filter((one) => one.isFile())).toEqual([])
    await expectRefused(dataset.append({ pi: 'x', tip: A }), 'busy')
    clock.offset = 121_000
    expect((await dataset.list()).totalCount).toBe(1)
  }
  const position = how === 'ends' ? 2001 : 1
  expect(await dataset.append({ pi: 'x', tip: A })).toMatchObject({ position })
})

test('on kubo a load outlives the garbage collector, and a failed one is not current', async () => {
  await using node = await startKuboNode()
  const cairn = await openCairn(`kubo:${node.url}`)
  onTestFinished(() => cairn.close())
  const { dataset } = await cairn.init('main', linked)
  const count = 2500
  const big = Buffer.alloc(2_500_000, 'film')
  const values = function* (from: number, to: number): Generator<ImportEntry> {
    for (let i = from; i < to; i++) yield { pi: `v${i}`, value: { i } }
  }
  const loaded = await dataset.bulkLoad(
    (async function* (): AsyncGenerator<ImportEntry> {
      yield* values(0, count)
      yield { pi: 'film', value: big }
      yield { pi: 'link', value: { to: CID.decode(valueBlock({ i: 7 })) } }
      yield { pi: 'tip', tip: valueBlock({ i: 8 }) }
    })(),
  )
  expect(loaded).toMatchObject({ appended: count + 3, totalCount: count + 3 })
  const broken = async function* (): AsyncGenerator<ImportEntry> {
    yield* values(count, count + 500)
    await dataset.list()
    throw new Error('of mine')
  }
  await expect(dataset.bulkLoad(broken())).rejects.toThrow('of mine')
  const lacking = [...values(count, count + 10), { pi: 'x', tip: B }]
  await expectRefused(dataset.bulkLoad(lacking), 'content_missing')
  await askNode(node.url, 'repo/gc', { quiet: 'true' })
  const fresh = await openCairn(`kubo:${node.url}`)
  onTestFinished(() => fresh.close())
  const reader = await fresh.dataset()
  const all = await collect(reader.entries())
  expect(all).toHaveLength(count + 3)
  for (const { pi, tip } of all.filter((_, i) => i % 50 === 0 || i < 5)) {
    const content = await reader.content(tip ?? '')
    if (pi.startsWith('v')) expect(content).toMatchObject({ value: { i: Number(pi.slice(1)) } })
  }
  const film = await reader.content((await reader.get('film'))?.tip ?? '')
  const bytes = film.kind === 'bytes' ? await collect(film.bytes) : []
  expect(Buffer.compare(Buffer.concat(bytes), big)).toBe(0)
  const [logged] = await collect(reader.history('v77'))
  expect(logged?.entry.ver).toBe(1)
  expect(await reader.put('after', 1)).toMatchObject({ position: count + 3 })
}, 60_000)

test('who has seen a reservation that is lifted since is not refused because of it', async () => {
  const backend = openMemory()
  const { dataset: loading, clock } = await openTest({ backend })
  const other = await new Cairn(backend, { now: () => clock.now }).dataset()
  async function* entries(): AsyncGenerator<ImportEntry> {
    yield { pi: 'a', tip: A }
    // What it sees now is the commit that reserves.
    expect((await newestCommit(backend)).exclusive).not.toBeNull()
    await other.head()
  }
  await loading.bulkLoad(entries())
  expect(await other.append({ pi: 'b', tip: B })).toMatchObject({ status: 'appended' })
})
