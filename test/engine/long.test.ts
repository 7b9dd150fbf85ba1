/** What takes long can be given up and watched. */
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import type { Progress } from '../../src/engine/context.ts'
import { wrapBackend } from '../helpers/counting-backend.ts'
import { collect, expectRefused, newestCommit, openTest, refusal } from '../helpers/engine.ts'
import { tipOf } from '../helpers/entries.ts'

const A = tipOf('a')
const many = (count: number): { pi: string; tip: Uint8Array }[] =>
  Array.from({ length: count }, (_, i) => ({ pi: `e${String(i).padStart(5, '0')}`, tip: A }))

test('a build that is given up at any step changes nothing, and the next one does it all', async () => {
  const { dataset, backend } = await openTest({ init: { chunkSize: 64 } })
  await dataset.appendBatch(many(3000))
  const { number } = await newestCommit(backend)
  for (const step of ['merge', 'prove']) {
    const abort = new AbortController()
    const building = dataset.build({
      signal: abort.signal,
      onProgress: (progress) => {
        if (progress.step === step) abort.abort()
      },
    })
    expect((await refusal(building)).code, step).toBe('aborted')
    expect((await newestCommit(backend)).number).toBe(number)
  }
  expect(await dataset.build()).toMatchObject({ status: 'built', entries: 3000 })
})

test('a build tells how far it is, never backwards, and to the end', async () => {
  const { dataset } = await openTest({ init: { chunkSize: 64 } })
  await dataset.appendBatch(many(9000))
  const told: Progress[] = []
  const { blocksWritten } = await dataset.build({ onProgress: (progress) => told.push(progress) })
  for (const [step, total] of [
    ['merge', 9000],
    ['prove', blocksWritten],
  ] as const) {
    const mine = told.filter((progress) => progress.step === step)
    expect(mine.length, step).toBeGreaterThan(1)
    expect(mine.map(({ done }) => done)).toEqual(
      mine.map(({ done }) => done).toSorted((a, b) => a - b),
    )
    expect(mine.at(-1)).toEqual({ step, done: total, total })
  }
})

test('everything refuses a signal that was given up before', async () => {
  const { dataset, backend } = await openTest({ init: { content: 'linked' } })
  await dataset.put('x', { a: 1 })
  await dataset.build()
  await dataset.put('y', { a: 2 })
  const tip = (await dataset.get('x'))?.tip ?? new Uint8Array()
  const { number } = await newestCommit(backend)
  const signal = AbortSignal.abort()
  const calls: (() => Promise<unknown>)[] = [
    () => dataset.append({ pi: 'z', tip }, { signal }),
    () => dataset.put('z', 1, { signal }),
    () => dataset.build({ signal, force: true }),
    () => dataset.get('x', { signal }),
    () => dataset.list({ signal }),
    () => dataset.content(tip, { signal }),
    () => collect(dataset.entries({ signal })),
    () => collect(dataset.history('x', { signal })),
    () => collect(dataset.snapshots({ signal })),
    () => collect(dataset.diff('seq:0', 'latest', { signal })),
    () => dataset.rollback({ snapshot: 'seq:0' }, { signal }),
    () => dataset.status({ signal }),
  ]
  for (const call of calls) expect((await refusal(call())).code, String(call)).toBe('aborted')
  expect((await newestCommit(backend)).number).toBe(number)
  expect(await dataset.list()).toMatchObject({ totalCount: 2 })
})

test('a stream can be given up between two entries', async () => {
  const { dataset } = await openTest({ init: { chunkSize: 64 } })
  await dataset.appendBatch(many(2000))
  await dataset.build()
  const abort = new AbortController()
  let seen = 0
  const reading = (async () => {
    for await (const { pi } of dataset.entries({ signal: abort.signal })) {
      seen += pi.length > 0 ? 1 : 0
      if (seen === 10) abort.abort()
    }
  })()
  expect((await refusal(reading)).code).toBe('aborted')
  expect(seen).toBeLessThan(500)
})

test('an append that is given up while it waits is not committed, and those beside it are', async () => {
  const memory = openMemory()
  let release = (): void => {}
  const gate = new Promise<void>((resolve) => (release = resolve))
  let gated = false
  const backend = wrapBackend(memory, {
    commit: async (request, options) => {
      if (gated) await gate
      return memory.commit(request, options)
    },
  })
  const { dataset } = await openTest({ backend })
  gated = true
  const abort = new AbortController()
  const first = dataset.append({ pi: 'first', tip: A })
  await new Promise((resolve) => setTimeout(resolve, 10))
  const given = dataset.append({ pi: 'given-up', tip: A }, { signal: abort.signal })
  const beside = dataset.append({ pi: 'beside', tip: A })
  await new Promise((resolve) => setTimeout(resolve, 10))
  abort.abort()
  release()
  await first
  expect((await refusal(given)).code).toBe('aborted')
  expect((await beside).position).toBe(1)
  expect(await dataset.get('given-up')).toBeUndefined()
})

test('after close every call says so', async () => {
  const { dataset, cairn } = await openTest()
  await dataset.append({ pi: 'x', tip: A })
  await cairn.close()
  await cairn.close()
  for (const call of [
    () => dataset.append({ pi: 'y', tip: A }),
    () => dataset.list(),
    () => dataset.get('x'),
    () => dataset.build(),
    async () => cairn.dataset('main'),
  ]) {
    expect((await refusal(call())).code).toBe('closed')
  }
})

test('an entry that was not found in a build is found after it, by one who looks all the time', async () => {
  const { dataset } = await openTest()
  await dataset.appendBatch(many(500))
  const building = dataset.build()
  const looks = Promise.all(many(500).map(({ pi }) => dataset.get(pi)))
  await expect(building).resolves.toMatchObject({ status: 'built' })
  expect((await looks).every((entry) => entry?.ver === 1)).toBe(true)
  await expectRefused(dataset.get(''), 'invalid_entry')
})
