/** The rules by which an append is judged. */
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { countingBackend } from '../helpers/counting-backend.ts'
import { collect, expectRefused, newestCommit, openTest, START } from '../helpers/engine.ts'
import { tipOf } from '../helpers/entries.ts'

const DAY = 86_400_000
const A = tipOf('a')
const B = tipOf('b')

test('the same version, tip and expiry again is already there, in the chain and in the snapshot', async () => {
  const { dataset, backend } = await openTest()
  const entry = { pi: 'x', ver: 3, tip: A, exp: START + DAY }
  const written = { pi: 'x', ver: 3, position: 0 }
  const { block, ...appended } = await dataset.append(entry)
  expect(appended).toEqual({ ...written, status: 'appended' })
  expect(block).toEqual((await newestCommit(backend)).head)
  expect(await dataset.append(entry)).toEqual({ ...written, block, status: 'already' })
  await dataset.build()
  const { number } = await newestCommit(backend)
  expect(await dataset.append(entry)).toEqual({
    pi: 'x',
    ver: 3,
    position: null,
    block: null,
    status: 'already',
  })
  expect((await newestCommit(backend)).number).toBe(number)
})

test.each([
  ['a lower version', { ver: 2, tip: A }],
  ['a lower version with another tip', { ver: 1, tip: B }],
  ['the same version with another tip', { ver: 3, tip: B }],
  ['the same version with a deletion', { ver: 3, tip: null }],
  ['the same version with another expiry', { ver: 3, tip: A, exp: START + DAY }],
])('%s is a conflict that names the current version', async (_, fields) => {
  const { dataset, backend } = await openTest()
  await dataset.append({ pi: 'x', ver: 3, tip: A, exp: null })
  for (const where of ['chain', 'snapshot']) {
    const { number } = await newestCommit(backend)
    const error = await expectRefused(dataset.append({ pi: 'x', ...fields }), 'conflict')
    expect(error.details, where).toMatchObject({ pi: 'x', current_ver: 3 })
    expect((await newestCommit(backend)).number).toBe(number)
    await dataset.build()
  }
  expect(await dataset.get('x')).toMatchObject({ ver: 3, tip: A, exp: null })
})

test('without a version the next one is taken, and versions may leave gaps', async () => {
  const { dataset } = await openTest()
  expect((await dataset.append({ pi: 'x', tip: A })).ver).toBe(1)
  expect((await dataset.append({ pi: 'x', tip: A })).ver).toBe(2)
  expect((await dataset.append({ pi: 'x', tip: A, ver: 10 })).ver).toBe(10)
  await dataset.build()
  expect((await dataset.append({ pi: 'x', tip: A })).ver).toBe(11)
})

test('after the last safe version there is none', async () => {
  const { dataset } = await openTest()
  await dataset.append({ pi: 'x', tip: A, ver: Number.MAX_SAFE_INTEGER })
  await expectRefused(dataset.append({ pi: 'x', tip: B }), 'conflict')
})

test('expectVer makes an append without a version safe to retry', async () => {
  const { dataset } = await openTest()
  const first = { pi: 'x', tip: A, expectVer: 0 }
  expect(await dataset.append(first)).toMatchObject({ ver: 1, status: 'appended' })
  expect(await dataset.append(first)).toMatchObject({ ver: 1, status: 'already', position: 0 })
  const second = { pi: 'x', tip: B, expectVer: 1 }
  expect(await dataset.append(second)).toMatchObject({ ver: 2, status: 'appended' })
  expect(await dataset.append(second)).toMatchObject({ ver: 2, status: 'already', position: 1 })
  await expectRefused(dataset.append(first), 'conflict')
  await expectRefused(dataset.append({ pi: 'x', tip: A, expectVer: 1 }), 'conflict')
  await expectRefused(dataset.append({ pi: 'x', tip: A, expectVer: 7 }), 'conflict')
})

test('expectTip makes an append without a version safe to retry', async () => {
  const { dataset } = await openTest()
  const first = { pi: 'x', tip: A, expectTip: null }
  expect(await dataset.append(first)).toMatchObject({ ver: 1, status: 'appended' })
  expect(await dataset.append(first)).toMatchObject({ ver: 1, status: 'already' })
  expect(await dataset.append({ pi: 'x', tip: B, expectTip: A })).toMatchObject({
    ver: 2,
    status: 'appended',
  })
  expect(await dataset.append({ pi: 'x', tip: B, expectTip: A })).toMatchObject({
    ver: 2,
    status: 'already',
  })
  await expectRefused(dataset.append({ pi: 'x', tip: tipOf('c'), expectTip: A }), 'conflict')
  await dataset.append({ pi: 'x', tip: null, expectTip: B })
  expect(await dataset.append({ pi: 'x', tip: A, expectTip: null })).toMatchObject({ ver: 4 })
})

test('of clients that all expect the same version exactly one wins', async () => {
  const { dataset } = await openTest()
  const tries = Array.from({ length: 50 }, (_, i) =>
    dataset.append({ pi: 'x', tip: tipOf(`t${i}`), expectVer: 0 }),
  )
  const outcomes = await Promise.allSettled(tries)
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  expect((await collect(dataset.history('x'))).length).toBe(1)
})

test('a deletion hides the entity, keeps its version, and is forgotten after 30 days', async () => {
  const { dataset, clock } = await openTest()
  await dataset.append({ pi: 'x', ver: 4, tip: A })
  await dataset.build()
  await dataset.append({ pi: 'x', tip: null })
  expect(await dataset.get('x')).toBeUndefined()
  expect((await dataset.list()).totalCount).toBe(0)
  const [deleted] = await collect(dataset.entries({ deleted: true }))
  expect(deleted).toEqual({ pi: 'x', ver: 5, tip: null, ts: START, exp: START + 30 * DAY })
  clock.now += 30 * DAY - 1
  expect(await dataset.build()).toMatchObject({ entries: 1, live: 0 })
  clock.now += 1
  expect(await dataset.build()).toMatchObject({ status: 'built', entries: 0, live: 0 })
})

test('a late retry cannot revive a deletion while it is remembered', async () => {
  const { dataset, clock } = await openTest()
  await dataset.append({ pi: 'x', ver: 1, tip: A })
  await dataset.append({ pi: 'x', ver: 2, tip: null })
  for (const days of [0, 29]) {
    clock.now = START + days * DAY
    await expectRefused(dataset.append({ pi: 'x', ver: 1, tip: A }), 'conflict')
    await expectRefused(dataset.append({ pi: 'x', ver: 2, tip: A }), 'conflict')
    expect((await dataset.append({ pi: 'x', ver: 2, tip: null })).status).toBe('already')
    await dataset.build()
  }
  expect(await dataset.get('x')).toBeUndefined()
  expect(await dataset.append({ pi: 'x', tip: B })).toMatchObject({ ver: 3 })
})

test('a deletion with an expiry of its own keeps that, and a defaulted one is not compared', async () => {
  const { dataset, clock } = await openTest()
  await dataset.append({ pi: 'x', ver: 1, tip: null, exp: START + 5 })
  expect((await dataset.append({ pi: 'x', ver: 1, tip: null })).status).toBe('already')
  await expectRefused(dataset.append({ pi: 'x', ver: 1, tip: null, exp: START + 6 }), 'conflict')
  clock.now += 5
  expect(await dataset.append({ pi: 'x', ver: 1, tip: A })).toMatchObject({
    status: 'appended',
    ver: 1,
  })
})

test('the longest time of remembering still makes a readable expiry', async () => {
  const { dataset, backend, clock } = await openTest({
    init: { deletedMs: Number.MAX_SAFE_INTEGER },
  })
  await dataset.append({ pi: 'x', tip: null })
  const other = await openTest({ backend, clock })
  expect(await collect(other.dataset.entries({ deleted: true }))).toMatchObject([
    { pi: 'x', tip: null },
  ])
})

test('what has expired counts as absent: for reads, for judging, and for expectations', async () => {
  const { dataset, clock } = await openTest()
  await dataset.append({ pi: 'x', ver: 9, tip: A, exp: START + 10 })
  await dataset.append({ pi: 'y', ver: 9, tip: A, exp: START + 10 })
  for (const where of ['chain', 'snapshot']) {
    expect(await dataset.get('x'), where).toMatchObject({ ver: 9 })
    await dataset.build()
  }
  clock.now += 10
  expect(await dataset.get('x')).toBeUndefined()
  expect((await dataset.list()).items).toEqual([])
  expect(await dataset.append({ pi: 'x', tip: B, expectVer: 0 })).toMatchObject({
    ver: 1,
    status: 'appended',
  })
  expect(await dataset.append({ pi: 'y', tip: B, expectTip: null })).toMatchObject({ ver: 1 })
})

test('a batch is all or nothing, whichever of its entries is refused', async () => {
  const { dataset, backend } = await openTest()
  await dataset.append({ pi: 'old', ver: 5, tip: A })
  const { number } = await newestCommit(backend)
  for (const place of [0, 1, 2]) {
    const batch = [
      { pi: 'n1', tip: A },
      { pi: 'n2', tip: A },
    ]
    batch.splice(place, 0, { pi: 'old', tip: B, ver: 4 } as { pi: string; tip: Uint8Array })
    await expectRefused(dataset.appendBatch(batch), 'conflict')
  }
  await expectRefused(
    dataset.appendBatch([
      { pi: 'n1', tip: A },
      { pi: '', tip: A },
    ]),
    'invalid_entry',
  )
  expect((await newestCommit(backend)).number).toBe(number)
  expect((await dataset.list()).items.map(({ pi }) => pi)).toEqual(['old'])
})

test('a batch may hold several versions of an entity, in their order', async () => {
  const { dataset } = await openTest()
  const answers = await dataset.appendBatch([
    { pi: 'x', tip: A },
    { pi: 'y', tip: A },
    { pi: 'x', tip: B },
    { pi: 'x', tip: B, ver: 2 },
    { pi: 'y', tip: null },
  ])
  expect(answers.map(({ ver, position, status }) => [ver, position, status])).toEqual([
    [1, 0, 'appended'],
    [1, 1, 'appended'],
    [2, 2, 'appended'],
    [2, 2, 'already'],
    [2, 3, 'appended'],
  ])
  expect((await dataset.list()).totalCount).toBe(1)
  await expectRefused(
    dataset.appendBatch([
      { pi: 'z', tip: A, ver: 2 },
      { pi: 'z', tip: B, ver: 1 },
    ]),
    'conflict',
  )
  expect(await dataset.get('z')).toBeUndefined()
})

test('a batch of which a part is there already appends only the rest', async () => {
  const { dataset } = await openTest()
  await dataset.appendBatch([
    { pi: 'a', ver: 1, tip: A },
    { pi: 'b', ver: 1, tip: A },
  ])
  const answers = await dataset.appendBatch([
    { pi: 'b', ver: 1, tip: A },
    { pi: 'c', ver: 1, tip: A },
    { pi: 'a', ver: 1, tip: A },
  ])
  expect(answers.map(({ status, position }) => [status, position])).toEqual([
    ['already', 1],
    ['appended', 2],
    ['already', 0],
  ])
})

test('an empty batch changes nothing', async () => {
  const { dataset, backend } = await openTest()
  expect(await dataset.appendBatch([])).toEqual([])
  expect((await newestCommit(backend)).number).toBe(0)
})

test('an append sees what another writer committed, though it had not looked', async () => {
  const one = await openTest()
  const two = await openTest({ backend: one.backend, clock: one.clock })
  await one.dataset.append({ pi: 'x', ver: 7, tip: A })
  await expectRefused(two.dataset.append({ pi: 'x', ver: 6, tip: A }), 'conflict')
  expect(await two.dataset.append({ pi: 'x', tip: B })).toMatchObject({ ver: 8, position: 1 })
  expect(await one.dataset.append({ pi: 'x', ver: 8, tip: B })).toMatchObject({
    status: 'already',
    position: 1,
  })
})

test('a commit that lost the race is judged and encoded again', async () => {
  const memory = openMemory()
  const backend = countingBackend(memory)
  const slow = await openTest({ backend })
  const fast = await openTest({ backend: memory, clock: slow.clock })
  for (let i = 0; i < 5; i++) {
    await fast.dataset.append({ pi: 'x', tip: A })
    expect(await slow.dataset.append({ pi: 'x', tip: B })).toMatchObject({
      ver: 2 * i + 2,
      position: 2 * i + 1,
    })
  }
  expect(backend.lost).toBe(5)
  expect((await collect(fast.dataset.history('x'))).map(({ entry }) => entry.ver)).toEqual([
    10, 9, 8, 7, 6, 5, 4, 3, 2, 1,
  ])
})

test('the time of an entry is the commit, unless it is given', async () => {
  const { dataset, clock } = await openTest()
  clock.now += 5
  await dataset.appendBatch([
    { pi: 'x', tip: A },
    { pi: 'y', tip: A, ts: 12 },
  ])
  expect((await dataset.get('x'))?.ts).toBe(START + 5)
  expect((await dataset.get('y'))?.ts).toBe(12)
})

test('the time of commits never goes back, even if the clock does', async () => {
  const { dataset, clock, backend } = await openTest()
  clock.now = START - 1000
  await dataset.append({ pi: 'x', tip: null })
  expect((await newestCommit(backend)).ts).toBe(START)
  expect(await collect(dataset.entries({ deleted: true }))).toMatchObject([
    { ts: START, exp: START + 30 * DAY },
  ])
})
