import { expect, test } from 'vitest'
import { openLmdb } from '../../src/backend/lmdb/index.ts'
import { exportTask } from '../../src/tasks/export.ts'
import { pruneTask } from '../../src/tasks/prune.ts'
import { collect } from '../helpers/engine.ts'
import {
  abortAnywhere,
  CID,
  expectCode,
  expectPlain,
  ground,
  HOUR,
  NOW,
  scratch,
  type Ground,
} from './kit.ts'

/** Snapshots 0 to 4, an hour apart; 2 has a tag. */
async function built(backend?: Parameters<typeof ground>[0]): Promise<Ground> {
  const made = await ground(backend)
  for (let i = 0; i < 3; i++) {
    await made.dataset.put('late', i)
    made.clock.now += HOUR
    await made.dataset.build(i === 0 ? { tags: ['keep-me'] } : {})
  }
  return made
}

const seqs = async ({ dataset }: Ground): Promise<number[]> =>
  (await collect(dataset.snapshots())).map(({ seq }) => seq)

test('the record says of each snapshot whether it stays and why; a dry run changes nothing', async () => {
  const made = await built()
  const policy = { last: 1, tags: ['keep-me'] }
  const plan = await pruneTask(made.context, { policy, dryRun: true, gc: true })
  expect(plan).toMatchObject({
    status: 'planned',
    kept: 2,
    forgotten: 3,
    commits_forgotten: expect.any(Number),
    freed_blocks: 0,
    freed_bytes: 0,
    space: null,
  })
  expect(plan.snapshots[0]).toEqual({
    cid: expect.stringMatching(CID),
    seq: 4,
    ts: new Date(NOW + 3 * HOUR).toISOString(),
    live: 401,
    tags: [],
    keep: true,
    reasons: ['current', 'newest', 'last 1/1'],
  })
  expect(plan.snapshots.filter(({ keep }) => keep).map(({ seq }) => seq)).toEqual([4, 2])
  expectPlain(plan)
  expect(await seqs(made)).toEqual([4, 3, 2, 1, 0])
  const done = await pruneTask(made.context, { policy })
  expect(done).toMatchObject({ status: 'pruned', kept: 2, forgotten: 3, space: null })
  expect(done.freed_blocks).toBeGreaterThan(0)
  expect(await seqs(made)).toEqual([4, 2])
  expect((await pruneTask(made.context, { policy })).status).toBe('already_pruned')
})

test('the snapshot of the newest CAR stays', async () => {
  const made = await built()
  await exportTask(made.context, { snapshot: 'seq:3' })
  await pruneTask(made.context, { policy: { last: 1 } })
  expect(await seqs(made)).toEqual([4, 3])
})

test('an embedded store gives the space back, if that was asked for', async () => {
  const backend = await openLmdb({ dir: await scratch(), create: true })
  const { context } = await built(backend)
  try {
    const record = await pruneTask(context, { policy: { last: 1 }, gc: true })
    expect(record.space).toEqual({ before: expect.any(Number), after: expect.any(Number) })
    expectPlain(record)
  } finally {
    await context.cairn.close()
  }
})

test('rules that keep nothing are refused', async () => {
  const made = await built()
  await expectCode(pruneTask(made.context, { policy: { last: 0 } }), 'usage')
  expect(await seqs(made)).toHaveLength(5)
})

test('aborted anywhere, it leaves a dataset that is whole, and the next one does the rest', async () => {
  const policy = { last: 1 }
  const aborts = await abortAnywhere(
    built,
    (context) => pruneTask(context, { policy, waitMs: 0 }),
    async (made) => {
      expect([5, 1]).toContain((await seqs(made)).length)
      await pruneTask(made.context, { policy, waitMs: 0 })
      expect(await seqs(made)).toEqual([4])
      expect((await collect(made.dataset.entries())).length).toBe(401)
      expect((await pruneTask(made.context, { policy })).status).toBe('already_pruned')
    },
  )
  expect(aborts).toBeGreaterThan(5)
})
