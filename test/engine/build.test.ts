/** Building snapshots. */
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { CairnError } from '../../src/errors.ts'
import { bytesEqual, cidKey } from '../../src/model/cid.ts'
import type { Backend } from '../../src/store/backend.ts'
import { countingBackend, wrapBackend } from '../helpers/counting-backend.ts'
import { flipped } from '../helpers/damage.ts'
import { collect, expectRefused, newestCommit, openTest } from '../helpers/engine.ts'
import { tipOf } from '../helpers/entries.ts'

const A = tipOf('a')
const entries = (name: string, count: number): { pi: string; tip: Uint8Array }[] =>
  Array.from({ length: count }, (_, i) => ({ pi: `${name}${String(i).padStart(4, '0')}`, tip: A }))

/** Holds every commit that carries a snapshot until `go` is called. */
function gatedBackend(inner: Backend): {
  backend: Backend
  reached: Promise<void>
  go: () => void
} {
  let reach = (): void => {}
  let go = (): void => {}
  const reached = new Promise<void>((resolve) => (reach = resolve))
  const gate = new Promise<void>((resolve) => (go = resolve))
  const backend = wrapBackend(inner, {
    stage: async (dataset, label, options) => {
      const staging = await inner.stage(dataset, label, options)
      return {
        ...staging, // by which the store knows it again
        put: (blocks, callOptions) => staging.put(blocks, callOptions),
        flush: async (callOptions) => {
          await staging.flush(callOptions)
          reach()
          await gate
        },
        end: (outcome) => staging.end(outcome),
      }
    },
  })
  return { backend, reached, go }
}

test('nothing new is a success that says so and changes nothing', async () => {
  const backend = countingBackend(openMemory())
  const { dataset } = await openTest({ backend })
  expect(await dataset.build()).toMatchObject({ status: 'already_built', seq: 0, entries: 0 })
  await dataset.appendBatch(entries('e', 100))
  const built = await dataset.build({ meta: { users: 3, a: 1 }, tags: ['t'] })
  expect(built).toMatchObject({ status: 'built', seq: 1, entries: 100, live: 100, folded: 100 })
  const commits = backend.commits.length
  const staged = backend.staged
  for (const options of [
    {},
    { meta: { users: 3, a: 1 } },
    { meta: { a: 1, users: 3 } },
    { tags: ['t'] },
  ]) {
    expect(await dataset.build(options)).toMatchObject({
      status: 'already_built',
      snapshot: built.snapshot,
      seq: 1,
      folded: 0,
      blocksWritten: 0,
    })
  }
  expect([backend.commits.length, backend.staged]).toEqual([commits, staged])
})

test('other metadata, another tag or force make a snapshot of the same root', async () => {
  const { dataset } = await openTest()
  await dataset.appendBatch(entries('e', 10))
  const { root } = await dataset.build()
  for (const [i, options] of [
    { meta: { users: 1 } },
    { tags: ['gold'] },
    { force: true },
  ].entries()) {
    const built = await dataset.build(options)
    expect(built).toMatchObject({
      status: 'built',
      seq: i + 2,
      root,
      folded: 0,
      chunksWritten: 0,
      blocksWritten: 0,
    })
  }
  expect((await dataset.status()).meta).toEqual({ users: 1 })
  expect(
    (await collect(dataset.snapshots())).map(({ seq, tags, reason }) => [seq, tags, reason]),
  ).toEqual([
    [4, [], 'build'],
    [3, ['gold'], 'build'],
    [2, [], 'build'],
    [1, [], 'build'],
    [0, [], 'init'],
  ])
})

test('a build writes only what is new', async () => {
  const backend = countingBackend(openMemory())
  const { dataset } = await openTest({ backend, init: { chunkSize: 64 } })
  await dataset.appendBatch(entries('e', 5000))
  const first = await dataset.build()
  expect(first.chunkCount).toBeGreaterThan(50)
  backend.staged = 0
  await dataset.append({ pi: 'e2500', tip: tipOf('b') })
  const second = await dataset.build()
  expect(second.chunksWritten).toBeLessThanOrEqual(2)
  expect(backend.staged).toBe(second.blocksWritten)
  expect(second.blocksWritten).toBeLessThanOrEqual(6)
})

test('appends that arrive during a build survive it, in the chain and in their positions', async () => {
  const memory = openMemory()
  const { backend, reached, go } = gatedBackend(memory)
  const { dataset, clock } = await openTest({ backend })
  await dataset.appendBatch(entries('e', 100))
  const building = dataset.build()
  await reached
  const during = await dataset.appendBatch([...entries('e', 10), ...entries('new', 20)])
  const other = await openTest({ backend: memory, clock })
  await other.dataset.append({ pi: 'elsewhere', tip: A })
  go()
  expect(await building).toMatchObject({
    status: 'built',
    entries: 100,
    folded: 100,
    recentCount: 31,
  })
  expect(during.map(({ position }) => position)).toEqual(
    Array.from({ length: 30 }, (_, i) => i + 100),
  )
  const fresh = await openTest({ backend: memory, clock })
  for (const { dataset: reader } of [fresh, other, { dataset }]) {
    expect((await reader.list()).totalCount).toBe(121)
    expect(await reader.get('e0003')).toMatchObject({ ver: 2 })
    expect(await reader.get('new0019')).toMatchObject({ ver: 1 })
    expect(await reader.get('elsewhere')).toMatchObject({ ver: 1 })
    expect((await reader.list({ limit: 200 })).items).toHaveLength(121)
  }
  expect(await dataset.build()).toMatchObject({ entries: 121, folded: 31, recentCount: 0 })
  expect(await newestCommit(memory)).toMatchObject({ next: 131, recentCount: 0, chainFirst: 131 })
})

test('builds of one dataset at once make one snapshot, the others find nothing new', async () => {
  const { dataset } = await openTest()
  await dataset.appendBatch(entries('e', 10))
  const reports = await Promise.all([1, 2, 3, 4].map(() => dataset.build()))
  expect(reports.map(({ status }) => status)).toEqual([
    'built',
    'already_built',
    'already_built',
    'already_built',
  ])
})

test('of builds by several writers one is committed, the others are dropped without a trace', async () => {
  const memory = openMemory()
  const { backend, reached, go } = gatedBackend(memory)
  const slow = await openTest({ backend })
  const fast = await openTest({ backend: memory, clock: slow.clock })
  await slow.dataset.appendBatch(entries('e', 10))
  const dropped = slow.dataset.build()
  await reached
  await fast.dataset.append({ pi: 'x', tip: A })
  const built = await fast.dataset.build()
  const { number } = await newestCommit(memory)
  go()
  await expectRefused(dropped, 'conflict')
  expect(await newestCommit(memory)).toMatchObject({
    number,
    snapshot: built.snapshot,
    totalCount: 11,
  })
  expect(await slow.dataset.build()).toMatchObject({
    status: 'already_built',
    snapshot: built.snapshot,
  })
})

test('an append whose own build was overtaken by another writer finds the room that one made', async () => {
  const memory = openMemory()
  const { backend, reached, go } = gatedBackend(memory)
  const slow = await openTest({ backend, init: { chainLimit: 10 } })
  const fast = await openTest({ backend: memory, clock: slow.clock })
  await slow.dataset.appendBatch(entries('e', 10))
  const waiting = slow.dataset.append({ pi: 'x', tip: A })
  const beside = slow.dataset.append({ pi: 'y', tip: A })
  await reached
  await fast.dataset.append({ pi: 'z', tip: A })
  go()
  expect(await waiting).toMatchObject({ position: 11, status: 'appended' })
  expect(await beside).toMatchObject({ position: 12, status: 'appended' })
  expect(await newestCommit(memory)).toMatchObject({ snapshotSeq: 1, totalCount: 13 })
})

test('a build is dropped after a rollback to the snapshot that it began from', async () => {
  const memory = openMemory()
  const { backend, reached, go } = gatedBackend(memory)
  const slow = await openTest({ backend })
  const fast = await openTest({ backend: memory, clock: slow.clock })
  await slow.dataset.appendBatch(entries('e', 10))
  const dropped = slow.dataset.build()
  await reached
  await fast.dataset.rollback({ snapshot: 'seq:0' })
  go()
  await expectRefused(dropped, 'conflict')
  expect(await newestCommit(memory)).toMatchObject({
    snapshotSeq: 0,
    totalCount: 0,
    next: 10,
    reason: 'rollback',
  })
})

test('the number of a snapshot is never used again, not even after a rollback', async () => {
  const { dataset } = await openTest()
  const seqs: number[] = []
  for (let i = 0; i < 3; i++) {
    await dataset.append({ pi: `a${i}`, tip: A })
    seqs.push((await dataset.build()).seq)
  }
  await dataset.rollback({ snapshot: 'seq:1' })
  await dataset.append({ pi: 'b', tip: A })
  seqs.push((await dataset.build()).seq)
  expect(seqs).toEqual([1, 2, 3, 4])
  const kept = await collect(dataset.snapshots())
  expect(kept.map(({ seq }) => seq)).toEqual([4, 3, 2, 1, 0])
  expect(new Set(kept.map(({ cid }) => Buffer.from(cid).toString('hex'))).size).toBe(5)
})

test('an expiry that is due is worth a build, and one that is not yet is none', async () => {
  const { dataset, clock } = await openTest({ init: { chunkSize: 64 } })
  await dataset.appendBatch(
    entries('e', 500).map((one, i) => ({ ...one, exp: i === 250 ? clock.now + 50 : null })),
  )
  await dataset.build()
  clock.now += 49
  expect((await dataset.build()).status).toBe('already_built')
  clock.now += 1
  expect(await dataset.build()).toMatchObject({ status: 'built', entries: 499, folded: 0 })
  expect((await dataset.list({ limit: 1000 })).totalCount).toBe(499)
  expect((await dataset.build()).status).toBe('already_built')
})

test('what expired in the chain is not folded, and hides what it had replaced', async () => {
  const { dataset, clock } = await openTest()
  await dataset.append({ pi: 'x', tip: A })
  await dataset.build()
  await dataset.append({ pi: 'x', tip: A, exp: clock.now + 10 })
  clock.now += 10
  expect(await dataset.get('x')).toBeUndefined()
  expect(await dataset.build()).toMatchObject({ entries: 0, live: 0 })
})

test('a store that gives back other bytes than the build wrote stops the commit', async () => {
  const memory = openMemory()
  let lying = false
  let first = ''
  const backend = wrapBackend(memory, {
    getBlocks: async (cids, options) => {
      const blocks = await memory.getBlocks(cids, options)
      return blocks.map((bytes, i) => {
        // The first node that was staged is a leaf, which nothing but the proof reads again.
        const lie = lying && cidKey(cids[i] ?? new Uint8Array()) === first
        return bytes && lie ? flipped(bytes) : bytes
      })
    },
    stage: async (dataset, label, options) => {
      const staging = await memory.stage(dataset, label, options)
      return {
        ...staging, // by which the store knows it again
        put: (blocks, callOptions) => {
          if (first === '') first = cidKey(blocks[0]?.cid ?? new Uint8Array())
          return staging.put(blocks, callOptions)
        },
        flush: (callOptions) => staging.flush(callOptions),
        end: (outcome) => staging.end(outcome),
      }
    },
  })
  const { dataset } = await openTest({ backend, init: { chunkSize: 64 } })
  await dataset.appendBatch(entries('e', 1000))
  const { number } = await newestCommit(memory)
  lying = true
  await expectRefused(dataset.build(), 'block_mismatch')
  expect((await newestCommit(memory)).number).toBe(number)
  lying = false
  expect(await dataset.build()).toMatchObject({ entries: 1000 })
})

test('a store that has lost what the build wrote stops the commit', async () => {
  const memory = openMemory()
  const backend = wrapBackend(memory, {
    stage: async () => ({ put: async () => {}, flush: async () => {}, end: async () => {} }),
  })
  const { dataset } = await openTest({ backend })
  await dataset.appendBatch(entries('e', 100))
  const { number } = await newestCommit(memory)
  await expectRefused(dataset.build(), 'block_missing')
  expect((await newestCommit(memory)).number).toBe(number)
})

test('trouble at the end of a staging does not undo or hide what was committed', async () => {
  const memory = openMemory()
  const backend = wrapBackend(memory, {
    stage: async (dataset, label) => {
      const staging = await memory.stage(dataset, label)
      return {
        ...staging, // by which the store knows it again
        put: (blocks) => staging.put(blocks),
        flush: () => staging.flush(),
        end: async () => {
          throw new CairnError('backend_unavailable', 'The node is gone.', { hint: 'Start it.' })
        },
      }
    },
  })
  const { dataset } = await openTest({ backend })
  await dataset.appendBatch(entries('e', 10))
  expect(await dataset.build()).toMatchObject({ status: 'built', seq: 1 })
})

test('long reasons and many tags do not make the list of snapshots too large for a block', async () => {
  const backend = countingBackend(openMemory())
  const { dataset } = await openTest({ backend })
  const tags = Array.from({ length: 60 }, (_, i) => `${String(i)}-${'t'.repeat(1000)}`)
  for (let i = 0; i < 24; i++)
    await dataset.build({ force: true, tags, reason: 'r'.repeat(20_000) })
  for (const { blocks } of backend.commits) {
    for (const { bytes } of blocks) expect(bytes.length).toBeLessThanOrEqual(1 << 20)
  }
  expect((await collect(dataset.snapshots())).map(({ seq }) => seq)).toEqual(
    Array.from({ length: 25 }, (_, i) => 24 - i),
  )
})

test('the list of snapshots goes on over pages, and each of them can be selected', async () => {
  const { dataset } = await openTest()
  for (let i = 0; i < 300; i++) await dataset.build({ force: true, tags: i === 3 ? ['early'] : [] })
  const kept = await collect(dataset.snapshots())
  expect(kept.map(({ seq }) => seq)).toEqual(Array.from({ length: 301 }, (_, i) => 300 - i))
  for (const [selector, seq] of [
    ['seq:0', 0],
    ['early', 4],
    ['latest~299', 1],
    ['latest', 300],
  ] as const) {
    const changes = await collect(dataset.diff(selector, 'latest'))
    expect(changes).toEqual([])
    expect((await dataset.list({ at: { snapshot: selector } })).totalCount).toBe(0)
    expect(kept.find((one) => one.seq === seq)).toBeDefined()
  }
})

test('another process takes up a build without reading the chain again', async () => {
  const memory = openMemory()
  const writer = await openTest({ backend: memory })
  const counting = countingBackend(memory)
  const reader = await openTest({ backend: counting, clock: writer.clock })
  for (let i = 0; i < 10; i++) await writer.dataset.append({ pi: `a${i}`, tip: A })
  expect((await reader.dataset.list()).totalCount).toBe(10)
  counting.reads = 0
  const built = await writer.dataset.build()
  await writer.dataset.append({ pi: 'late', tip: A })
  expect((await reader.dataset.list()).totalCount).toBe(11)
  expect(bytesEqual((await newestCommit(memory)).snapshot, built.snapshot)).toBe(true)
  // The header, the tree's root, the new chain block and the one before it.
  expect(counting.reads).toBeLessThanOrEqual(4)
})
