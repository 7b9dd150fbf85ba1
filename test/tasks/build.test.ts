import { expect, test } from 'vitest'
import { buildTask } from '../../src/tasks/build.ts'
import { openMemory } from '../../src/backend/memory.ts'
import { Cairn } from '../../src/cairn.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import { wrapBackend } from '../helpers/counting-backend.ts'
import { collect } from '../helpers/engine.ts'
import { tipOf } from '../helpers/entries.ts'
import { abortAnywhere, CID, expectCode, expectPlain, ground, NOW } from './kit.ts'

test('the record says what was built, and has the same fields when nothing was', async () => {
  const { context, dataset } = await ground()
  const built = await buildTask(context, { reason: 'schedule', tags: ['nightly'], meta: { a: 1 } })
  expect(built).toEqual({
    status: 'built',
    snapshot: expect.stringMatching(CID),
    root: expect.stringMatching(CID),
    seq: 2,
    ts: new Date(NOW).toISOString(),
    entries: 401,
    live: 401,
    chunk_count: expect.any(Number),
    folded: 1,
    chunks_written: expect.any(Number),
    chunks_dropped: expect.any(Number),
    blocks_written: expect.any(Number),
    bytes_written: expect.any(Number),
    recent_count: 0,
  })
  expectPlain(built)
  const [newest] = await collect(dataset.snapshots())
  expect(newest).toMatchObject({ seq: 2, reason: 'schedule', tags: ['nightly'] })
  const again = await buildTask(context)
  expect(again).toMatchObject({ status: 'already_built', snapshot: built.snapshot, seq: 2 })
  expect(Object.keys(again)).toEqual(Object.keys(built))
  expect(await buildTask(context, { force: true })).toMatchObject({ status: 'built', seq: 3 })
})

test('a moment beyond RFC 3339 is told as a number', async () => {
  const { context, clock } = await ground()
  clock.now = Date.UTC(10_000, 0)
  expect((await buildTask(context)).ts).toBe(clock.now)
})

test('a dataset that is not there is told as that', async () => {
  const { context } = await ground()
  await expectCode(buildTask({ ...context, dataset: 'other' }), 'dataset_not_found')
})

test('aborted anywhere, it leaves the dataset as it was', async () => {
  const aborts = await abortAnywhere(ground, buildTask, async ({ context, dataset }) => {
    expect((await dataset.status()).pointer).toMatchObject({ snapshot_seq: 1, recent_count: 1 })
    expect(await buildTask(context)).toMatchObject({ status: 'built', seq: 2, live: 401 })
  })
  expect(aborts).toBeGreaterThan(5)
})

/** A build that reaches its commit only after another process has done this to the dataset. */
async function overtakenBuild(
  overtake: (other: Dataset, time: number) => Promise<unknown>,
): Promise<Awaited<ReturnType<typeof buildTask>>> {
  const memory = openMemory()
  let armed = false
  let times = 0
  const { context } = await ground(
    wrapBackend(memory, {
      stage: async (dataset, label, options) => {
        const staging = await memory.stage(dataset, label, options)
        if (!armed || !label.startsWith('snapshot')) return staging
        return {
          ...staging,
          flush: async (callOptions) => {
            await staging.flush(callOptions)
            times += 1
            await overtake(await other.dataset('main'), times)
          },
        }
      },
    }),
  )
  const other = new Cairn(memory, { now: context.now })
  armed = true
  return buildTask(context)
}

test('a build that another was faster than is made again, of what that one left', async () => {
  const left = await overtakenBuild(async (other, time) => {
    if (time > 1) return
    await other.build()
    await other.put('later', 1)
  })
  expect(left).toMatchObject({ status: 'built', seq: 3, folded: 1, live: 402, recent_count: 0 })
  const nothing = await overtakenBuild(async (other) => other.build())
  expect(nothing).toMatchObject({ status: 'already_built', seq: 2, folded: 0, recent_count: 0 })
})

test('one that is overtaken again and again gives up in the end', async () => {
  const task = overtakenBuild(async (other, time) => {
    await other.put(`more-${time}`, 1)
    await other.build()
    await other.put(`again-${time}`, 1)
  })
  await expectCode(task, 'conflict')
})

test.each(['linked', 'external'] as const)(
  'an entity `session` of another program, %s, keeps no chain from being folded',
  async (content) => {
    const cairn = new Cairn(openMemory())
    const { dataset } = await cairn.init('main', { content })
    if (content === 'linked') await dataset.put('session', { mine: 1 })
    else await dataset.append({ pi: 'session', tip: tipOf('elsewhere') })
    expect(await buildTask({ cairn, dataset: 'main' })).toMatchObject({
      status: 'built',
      folded: 1,
    })
    expect((await dataset.pointer()).header.meta).toEqual({})
  },
)
