import { expect, test } from 'vitest'
import { printCid } from '../../src/model/cid.ts'
import { openTest } from '../helpers/engine.ts'
import { tipOf } from '../helpers/entries.ts'

const EXTERNAL = { content: 'external' } as const

async function seqOf(
  dataset: Awaited<ReturnType<typeof openTest>>['dataset'],
  snapshot: string,
): Promise<string[]> {
  const { items } = await dataset.list({ at: { snapshot }, order: 'asc' })
  return items.map(({ pi }) => pi)
}

test('`latest` is the current snapshot, also after a rollback left newer ones', async () => {
  const { dataset } = await openTest({ init: EXTERNAL })
  for (const pi of ['a', 'b', 'c']) {
    await dataset.append({ pi, tip: tipOf(pi) })
    await dataset.build({ tags: [`with-${pi}`] })
  }
  expect(await seqOf(dataset, 'latest')).toEqual(['a', 'b', 'c'])
  expect(await seqOf(dataset, 'latest~1')).toEqual(['a', 'b'])
  const { snapshot } = await dataset.rollback({ snapshot: 'latest~1' })
  expect(await seqOf(dataset, 'latest')).toEqual(['a', 'b'])
  expect(await seqOf(dataset, 'latest~1')).toEqual(['a'])
  expect(await seqOf(dataset, 'latest~2')).toEqual([])
  expect(await seqOf(dataset, 'seq:3')).toEqual(['a', 'b', 'c'])
  expect(await seqOf(dataset, 'with-c')).toEqual(['a', 'b', 'c'])
  expect(await seqOf(dataset, printCid(snapshot).slice(0, 30))).toEqual(['a', 'b'])
  await expect(dataset.list({ at: { snapshot: 'latest~3' } })).rejects.toMatchObject({
    code: 'not_found',
  })
})

test('the chunks of a snapshot add up to it, and an update rewrites one or two of them', async () => {
  const { dataset } = await openTest({ init: { ...EXTERNAL, chunkSize: 64 } })
  const ids = Array.from({ length: 2000 }, (_, n) => `c${String(n).padStart(5, '0')}`)
  await dataset.appendBatch(ids.map((pi) => ({ pi, tip: tipOf(pi) })))
  const { chunkCount } = await dataset.build()
  await dataset.append({ pi: 'c01000', tip: tipOf('new') })
  await dataset.build()
  const chunks = async (selector: string): Promise<string[]> => {
    const found: string[] = []
    let entries = 0
    for await (const chunk of dataset.chunks(selector)) {
      found.push(printCid(chunk.cid))
      entries += chunk.entries
    }
    expect(entries).toBe(2000)
    return found
  }
  const before = await chunks('latest~1')
  const after = await chunks('latest')
  expect(before).toHaveLength(chunkCount)
  const rewritten = after.filter((cid) => !before.includes(cid))
  expect(rewritten.length).toBeGreaterThan(0)
  expect(rewritten.length).toBeLessThanOrEqual(2)
})

test('a reader whose clock is behind does not see what has expired for writers', async () => {
  const { dataset, backend, clock } = await openTest()
  await dataset.append({ pi: 'short', tip: tipOf('x'), exp: clock.now + 1000 })
  const late = await openTest({ backend, clock: { now: clock.now } })
  clock.now += 2000
  await dataset.append({ pi: 'other', tip: tipOf('y') })
  expect(await late.dataset.get('short')).toBeUndefined()
  expect((await late.dataset.list()).items.map(({ pi }) => pi)).toEqual(['other'])
})

test('a tag that reads as another selector is refused, since it could never be selected', async () => {
  const { dataset } = await openTest()
  await dataset.append({ pi: 'a', tip: tipOf('a') })
  for (const tag of ['latest', 'latest~2', 'seq:7']) {
    await expect(dataset.build({ tags: [tag] })).rejects.toMatchObject({ code: 'usage' })
  }
  expect((await dataset.build({ tags: ['latest-good', 'seq:x'] })).status).toBe('built')
})

test('the `nextCursor` of a page is taken as it is, null for the first page too', async () => {
  const { dataset } = await openTest()
  await dataset.appendBatch(['a', 'b', 'c'].map((pi) => ({ pi, tip: tipOf(pi) })))
  const first = await dataset.list({ limit: 2, order: 'asc', cursor: null })
  expect(first.items.map(({ pi }) => pi)).toEqual(['a', 'b'])
  const second = await dataset.list({ limit: 2, order: 'asc', cursor: first.nextCursor })
  expect(second.items.map(({ pi }) => pi)).toEqual(['c'])
  expect(second.nextCursor).toBeNull()
})
