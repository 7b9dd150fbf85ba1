/** Group commit: who waits together is committed together, and nobody pays for another's mistake. */
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { CairnError } from '../../src/errors.ts'
import { EMPTY_LEAF_CID } from '../../src/model/node.ts'
import { countingBackend, wrapBackend } from '../helpers/counting-backend.ts'
import { blocksOf, damagedBackend } from '../helpers/damage.ts'
import { expectRefused, newestCommit, openTest } from '../helpers/engine.ts'
import { tipOf } from '../helpers/entries.ts'

const A = tipOf('a')
const B = tipOf('b')

test('appends that arrive together share one commit and one chain block', async () => {
  const backend = countingBackend(openMemory())
  const { dataset } = await openTest({ backend })
  backend.commits.length = 0
  const answers = await Promise.all(
    Array.from({ length: 500 }, (_, i) => dataset.append({ pi: `e${i}`, tip: A })),
  )
  // The first may go alone; what arrived while it was under way goes together.
  expect(backend.commits.length).toBeLessThanOrEqual(2)
  for (const { blocks } of backend.commits) expect(blocks).toHaveLength(1)
  expect(answers.map(({ position }) => position)).toEqual(Array.from({ length: 500 }, (_, i) => i))
  expect((await newestCommit(backend)).totalCount).toBe(500)
})

test('a member that is refused does not fail the others, and takes no position', async () => {
  const { dataset } = await openTest()
  await dataset.append({ pi: 'old', ver: 5, tip: A })
  const good = Array.from({ length: 20 }, (_, i) => dataset.append({ pi: `g${i}`, tip: A }))
  const bad = [
    dataset.append({ pi: 'old', ver: 4, tip: A }),
    dataset.appendBatch([
      { pi: 'half', tip: A },
      { pi: 'old', ver: 5, tip: B },
    ]),
  ]
  const more = Array.from({ length: 20 }, (_, i) => dataset.append({ pi: `h${i}`, tip: A }))
  for (const one of bad) await expectRefused(one, 'conflict')
  const positions = (await Promise.all([...good, ...more])).map(({ position }) => position)
  expect(positions).toEqual(Array.from({ length: 40 }, (_, i) => i + 1))
  expect(await dataset.get('half')).toBeUndefined()
  expect((await dataset.list()).totalCount).toBe(41)
})

test('members are judged against the members before them', async () => {
  const { dataset } = await openTest()
  const first = dataset.append({ pi: 'w', tip: A })
  const outcomes = await Promise.allSettled([
    dataset.append({ pi: 'x', ver: 1, tip: A }),
    dataset.append({ pi: 'x', ver: 1, tip: A }),
    dataset.append({ pi: 'x', ver: 1, tip: B }),
    dataset.appendBatch([
      { pi: 'x', ver: 2, tip: B },
      { pi: 'x', ver: 1, tip: A },
    ]),
    dataset.append({ pi: 'x', tip: B }),
  ])
  await first
  expect(
    outcomes.map((one) =>
      one.status === 'fulfilled' && !Array.isArray(one.value)
        ? [one.value.status, one.value.ver, one.value.position]
        : one.status,
    ),
  ).toEqual([['appended', 1, 1], ['already', 1, 1], 'rejected', 'rejected', ['appended', 2, 2]])
})

test('a member whose leaf is damaged fails alone', async () => {
  const memory = openMemory()
  const writer = await openTest({ backend: memory, init: { chunkSize: 64 } })
  const ids = Array.from({ length: 400 }, (_, i) => `e${String(i).padStart(4, '0')}`)
  await writer.dataset.appendBatch(ids.map((pi) => ({ pi, tip: A })))
  await writer.dataset.build()
  const { leaves } = await blocksOf(memory)
  const broken = damagedBackend(memory)
  broken.lose(leaves[0])
  const { dataset } = await openTest({ backend: broken, clock: writer.clock })
  const first = dataset.append({ pi: 'zz', tip: A })
  const damaged = dataset.append({ pi: 'e0001', tip: B })
  const sound = dataset.append({ pi: 'e0399', tip: B })
  await first
  await expectRefused(damaged, 'block_missing')
  expect(await sound).toMatchObject({ ver: 2, status: 'appended' })
})

test('when the chain is full and may not be built, only what does not fit is refused', async () => {
  const { dataset } = await openTest({ init: { chainLimit: 10 }, options: { autoBuild: false } })
  const batch = (name: string, count: number): { pi: string; ver: number; tip: Uint8Array }[] =>
    Array.from({ length: count }, (_, i) => ({ pi: `${name}${i}`, ver: 1, tip: A }))
  await dataset.appendBatch(batch('a', 8))
  const large = dataset.appendBatch(batch('b', 5))
  const small = dataset.appendBatch(batch('c', 2))
  const retried = dataset.appendBatch(batch('a', 8))
  const late = dataset.appendBatch(batch('d', 1))
  await expectRefused(large, 'chain_full')
  expect((await small).map(({ position }) => position)).toEqual([8, 9])
  expect((await retried).map(({ status }) => status)).toEqual(
    Array.from({ length: 8 }, () => 'already'),
  )
  await expectRefused(late, 'chain_full')
  await dataset.build()
  expect((await dataset.appendBatch(batch('b', 5))).map(({ position }) => position)).toEqual([
    10, 11, 12, 13, 14,
  ])
})

test('a full chain is built by the append that finds it full', async () => {
  const backend = countingBackend(openMemory())
  const { dataset } = await openTest({ backend, init: { chainLimit: 50 } })
  const answers = await Promise.all(
    Array.from({ length: 30 }, (_, b) =>
      dataset.appendBatch(Array.from({ length: 7 }, (_, i) => ({ pi: `b${b}-${i}`, tip: A }))),
    ),
  )
  expect(answers.flat().map(({ position }) => position)).toEqual(
    Array.from({ length: 210 }, (_, i) => i),
  )
  const commit = await newestCommit(backend)
  expect(commit.snapshotSeq).toBeGreaterThanOrEqual(4)
  expect(commit.recentCount).toBeLessThanOrEqual(50)
  expect((await dataset.list({ limit: 300 })).items).toHaveLength(210)
})

test('writers with chains that keep filling up do not fail because another one built first', async () => {
  const backend = openMemory()
  const clock = { now: 1_700_000_000_000 }
  const writers = await Promise.all(
    [1, 2, 3, 4].map(() => openTest({ backend, clock, init: { chainLimit: 12 } })),
  )
  const answers = await Promise.all(
    writers.flatMap(({ dataset }, w) =>
      Array.from({ length: 20 }, (_, b) =>
        dataset.appendBatch(
          Array.from({ length: 5 }, (_, i) => ({ pi: `w${w}-${b}-${i}`, tip: A })),
        ),
      ),
    ),
  )
  const positions = answers.flat().map(({ position }) => position ?? -1)
  expect(positions.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 400 }, (_, i) => i))
})

test('a batch above the chain limit is refused, and those behind it are not', async () => {
  const { dataset } = await openTest({ init: { chainLimit: 3 } })
  const four = ['a', 'b', 'c', 'd'].map((pi) => ({ pi, tip: A }))
  const refused = dataset.appendBatch(four)
  const taken = dataset.appendBatch(four.slice(1))
  await expectRefused(refused, 'too_large')
  expect(await taken).toHaveLength(3)
})

test('an append that failed in the store is told so, and the next one goes on', async () => {
  const memory = openMemory()
  let fail = false
  const backend = wrapBackend(memory, {
    commit: async (request, options) => {
      if (fail) throw new CairnError('no_space', 'The disk is full.', { hint: 'Free some space.' })
      return memory.commit(request, options)
    },
  })
  const { dataset } = await openTest({ backend })
  fail = true
  await expectRefused(dataset.append({ pi: 'x', tip: A }), 'no_space')
  fail = false
  expect(await dataset.append({ pi: 'x', tip: A })).toMatchObject({ ver: 1, position: 0 })
})

test('a batch larger than a block is one commit of several chain blocks, read back in order', async () => {
  const backend = countingBackend(openMemory())
  const { dataset, clock } = await openTest({ backend })
  backend.commits.length = 0
  const ids = Array.from(
    { length: 6000 },
    (_, i) => `${'x'.repeat(400)}${String(i).padStart(5, '0')}`,
  )
  await dataset.appendBatch(ids.map((pi) => ({ pi, tip: A })))
  expect(backend.commits).toHaveLength(1)
  expect(backend.commits[0]?.blocks.length).toBeGreaterThan(2)
  for (const { bytes } of backend.commits[0]?.blocks ?? [])
    expect(bytes.length).toBeLessThanOrEqual(1 << 20)
  const other = await openTest({ backend, clock })
  const page = await other.dataset.list({ order: 'asc', offset: 5990 })
  expect(page.items.map(({ pi }) => pi)).toEqual(ids.slice(5990))
})

test('a read that meets an append of its own process on the way is no change of the store', async () => {
  const memory = openMemory()
  await openTest({ backend: memory })
  let [asked, answer, acknowledge] = [-Infinity, (): void => {}, (): void => {}]
  const answered = new Promise<void>((resolve) => (answer = resolve))
  const acknowledged = new Promise<void>((resolve) => (acknowledge = resolve))
  const backend = wrapBackend(memory, {
    newest: async (dataset, than, options) => {
      const newest = await memory.newest(dataset, than, options)
      asked += 1
      if (asked === 2) await answered
      return newest
    },
    commit: async (request, options) => {
      const outcome = await memory.commit(request, options)
      if (outcome === 'committed') await acknowledged
      return outcome
    },
  })
  const { dataset } = await openTest({ backend })
  const appending = dataset.append({ pi: 'a', tip: A })
  await expect.poll(async () => (await newestCommit(memory)).number).toBe(1)
  // The commit is in the store; the reader's answer, which has it, comes after its acknowledgement.
  asked = 0
  const reading = dataset.list()
  await expect.poll(() => asked).toBe(2)
  acknowledge()
  await appending
  answer()
  expect((await reading).totalCount).toBe(1)
})

test('a store that went another way by several commits is noticed', async () => {
  const memory = openMemory()
  const other = openMemory()
  let current = memory
  const backend = wrapBackend(memory, {
    newest: (dataset, than, options) => current.newest(dataset, than, options),
    getCommit: (dataset, number, options) => current.getCommit(dataset, number, options),
    getBlocks: (cids, options) => current.getBlocks(cids, options),
    commit: (request, options) => current.commit(request, options),
  })
  const { dataset } = await openTest({ backend })
  const first = await memory.getCommit('main', 0)
  const { snapshot, kept } = await newestCommit(memory)
  const cids = [snapshot, kept, EMPTY_LEAF_CID]
  const bytes = await memory.getBlocks(cids)
  // A copy of the store from its beginning.
  await other.commit({
    dataset: 'main',
    number: 0,
    bytes: first ?? new Uint8Array(),
    blocks: cids.map((cid, i) => ({ cid, bytes: bytes[i] ?? new Uint8Array(), hold: 'self' })),
  })
  const elsewhere = await openTest({ backend: other })
  for (let i = 0; i < 5; i++) await elsewhere.dataset.append({ pi: 'there', tip: A })
  await dataset.append({ pi: 'here', tip: A })
  current = other
  await expectRefused(dataset.list(), 'store_changed')
  await expectRefused(dataset.append({ pi: 'here', tip: B }), 'store_changed')
})
