/** What an observer is told: each operation that went well, once, when it is over; and nothing of others. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { Cairn } from '../../src/cairn.ts'
import { BUILD_PHASES, type Observe, type ObservedFields } from '../../src/engine/observe.ts'
import { SILENT } from '../../src/engine/logger.ts'
import { wrapBackend } from '../helpers/counting-backend.ts'
import { openTest, expectRefused } from '../helpers/engine.ts'
import { tipOf } from '../helpers/entries.ts'
import { carInMemory } from '../helpers/memory-car.ts'

interface Told extends ObservedFields {
  readonly what: string
  readonly seconds: number
}

function ear(): { observe: Observe; told: Told[]; of: (what: string) => Told[] } {
  const told: Told[] = []
  return {
    observe: (what, seconds, fields) => told.push({ what, seconds, ...fields }),
    told,
    of: (what) => told.filter((one) => one.what === what),
  }
}

const sum = (told: readonly Told[], field: 'entries' | 'snapshots' | 'seconds'): number =>
  told.reduce((total, one) => total + (one[field] ?? 0), 0)

test('every batch that became durable is an append, and the commits count what is new', async () => {
  const { observe, of } = ear()
  const { dataset } = await openTest({ cairn: { observe } })
  const batches = Array.from({ length: 20 }, (_, i) =>
    Array.from({ length: i + 1 }, (__, j) => ({ pi: `${i}-${j}`, tip: tipOf('x'), ver: 1 })),
  )
  await Promise.all(batches.map((batch) => dataset.appendBatch(batch)))
  expect(of('append')).toHaveLength(20)
  expect(of('append').every(({ dataset: name }) => name === 'main')).toBe(true)
  expect(sum(of('commit'), 'entries')).toBe(210)
  // Those that waited together shared one.
  expect(of('commit').length).toBeLessThan(20)

  const commits = of('commit').length
  await dataset.appendBatch(batches[3] ?? [])
  expect(of('append')).toHaveLength(21)
  expect(of('commit')).toHaveLength(commits)
  await expectRefused(dataset.append({ pi: '0-0', tip: tipOf('y'), ver: 1 }), 'conflict')
  expect(of('append')).toHaveLength(21)
})

test('a build is told by its phases, in their order, when it is done', async () => {
  const { observe, told, of } = ear()
  const { dataset } = await openTest({ cairn: { observe } })
  await dataset.append({ pi: 'a', tip: tipOf('a') })
  const began = performance.now()
  await dataset.build()
  const took = (performance.now() - began) / 1000
  expect(of('build').map(({ phase }) => phase)).toEqual(BUILD_PHASES)
  expect(sum(of('build'), 'seconds')).toBeLessThanOrEqual(took)
  expect(sum(of('commit'), 'snapshots')).toBe(1)

  const before = told.length
  await dataset.build()
  expect(told).toHaveLength(before)
  await dataset.append({ pi: 'b', tip: tipOf('b') })
  const signal = AbortSignal.abort()
  await expect(dataset.build({ signal })).rejects.toMatchObject({ code: 'aborted' })
  expect(of('build')).toHaveLength(BUILD_PHASES.length)
})

test('a bulk load counts its entries and its snapshot, a page and an export are told', async () => {
  const { observe, of } = ear()
  const { dataset } = await openTest({ init: { content: 'linked' }, cairn: { observe } })
  const items = Array.from({ length: 500 }, (_, i) => ({ pi: `e${i}`, value: { i } }))
  await dataset.bulkLoad(items)
  expect(sum(of('commit'), 'entries')).toBe(500)
  expect(sum(of('commit'), 'snapshots')).toBe(1)
  await dataset.list({ limit: 10 })
  await expectRefused(dataset.list({ limit: 0 }), 'usage')
  expect(of('page')).toHaveLength(1)
  await carInMemory(dataset)
  expect(of('export')).toHaveLength(1)
  await expect(carInMemory(dataset, {}, () => Promise.reject(new Error('full')))).rejects.toThrow(
    'full',
  )
  expect(of('export')).toHaveLength(1)
})

test('a restore is told when it changed something, and adds no entries', async () => {
  const source = await openTest({ init: { content: 'linked' } })
  for (const pi of ['a', 'b', 'c']) await source.dataset.put(pi, pi)
  await source.dataset.build()
  const { car } = await carInMemory(source.dataset)
  const { observe, of } = ear()
  const cairn = new Cairn(openMemory(), { observe })
  await cairn.restoreCar([car], { dryRun: true })
  expect(of('restore')).toEqual([])
  const { dataset } = await cairn.init('main')
  await dataset.put('z', 1)
  await cairn.restoreCar([car], { replace: true })
  expect(of('restore')).toMatchObject([{ dataset: 'main' }])
  await cairn.restoreCar([car])
  expect(of('restore')).toHaveLength(1)
  // Its positions and its snapshot are those of the CAR.
  expect((await dataset.head()).next).toBe(3)
  expect(sum(of('commit'), 'entries')).toBe(1)
  expect(sum(of('commit'), 'snapshots')).toBe(0)
  await cairn.restoreCar([car], { as: 'copy' })
  expect(of('restore')).toHaveLength(2)
})

test('the seconds are those that the store takes', async () => {
  const { observe, of } = ear()
  const inner = openMemory()
  const slow = wrapBackend(inner, {
    commit: async (request) => {
      await sleep(40)
      return inner.commit(request)
    },
  })
  const { dataset } = await openTest({ backend: slow, cairn: { observe } })
  await dataset.append({ pi: 'a', tip: tipOf('a') })
  const [append] = of('append')
  const [commit] = of('commit')
  expect(commit?.seconds).toBeGreaterThan(0.035)
  expect(commit?.seconds).toBeLessThan(5)
  expect(append?.seconds).toBeGreaterThanOrEqual(commit?.seconds ?? 0)
})

test('an observer that throws changes no outcome, and is logged', async () => {
  const logged: unknown[] = []
  const { dataset } = await openTest({
    cairn: {
      observe: () => {
        throw new Error('no')
      },
      log: { ...SILENT, error: (event, fields) => logged.push([event, fields?.['what']]) },
    },
  })
  expect(await dataset.append({ pi: 'a', tip: tipOf('a') })).toMatchObject({ status: 'appended' })
  expect(await dataset.build()).toMatchObject({ status: 'built' })
  expect((await dataset.list()).items).toHaveLength(1)
  for (const what of ['append', 'commit', 'build', 'page'])
    expect(logged).toContainEqual(['observer.failed', what])
})
