import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Cairn } from '../../src/cairn.ts'
import { exportTask } from '../../src/tasks/export.ts'
import { restoreTask } from '../../src/tasks/restore.ts'
import { collect } from '../helpers/engine.ts'
import {
  abortAnywhere,
  abortingAt,
  CID,
  elsewhere,
  expectCode,
  expectPlain,
  ground,
  NOW,
  type Ground,
} from './kit.ts'

const exported = async ({ context }: Ground): Promise<string> => (await exportTask(context)).path

const liveIn = async (cairn: Cairn, name = 'main'): Promise<number> =>
  (await collect((await cairn.dataset(name)).entries())).length

test('the record says what the dataset holds now; again it changes nothing', async () => {
  const made = await ground()
  const other = elsewhere(made)
  const files = [await exported(made)]
  const plan = await restoreTask(other, { files, dryRun: true })
  expect(plan).toMatchObject({ status: 'planned', total_count: 401, generation: null, undo: null })
  expect(await other.cairn.datasets()).toEqual([])
  const record = await restoreTask(other, { files })
  expect(record).toEqual({
    status: 'restored',
    dataset: 'main',
    snapshot: expect.stringMatching(CID),
    root: expect.stringMatching(CID),
    seq: 1,
    snapshot_ts: new Date(NOW).toISOString(),
    recent_count: 1,
    total_count: 401,
    generation: 2,
    undo: null,
    cid_counts: plan.cid_counts,
  })
  expect(Object.keys(plan)).toEqual(Object.keys(record))
  expect(record.cid_counts).toMatchObject({ snapshot: 1, events: 1, dag_nodes: 401 })
  expectPlain(record)
  expect(await liveIn(other.cairn)).toBe(401)
  expect(await restoreTask(other, { files })).toMatchObject({
    status: 'already_restored',
    generation: 2,
    cid_counts: { total: 0 },
  })
})

test('what is there is replaced only when asked to, and the record says how to undo it', async () => {
  const made = await ground()
  const files = [await exported(made)]
  await made.dataset.put('more', 1)
  await expectCode(restoreTask(made.context, { files }), 'conflict')
  const record = await restoreTask(made.context, { files, replace: true })
  expect(record).toMatchObject({ status: 'restored', total_count: 401, undo: expect.any(Number) })
  await made.dataset.rollback({ commit: Number(record.undo) })
  expect(await liveIn(made.context.cairn)).toBe(402)
})

test('only the dataset that is meant is restored, unless another name is given', async () => {
  const made = await ground()
  const files = [await exported(made)]
  const other = { ...made.context, dataset: 'other' }
  await expectCode(restoreTask(other, { files }), 'usage')
  expect(await other.cairn.datasets()).toEqual(['main'])
  const record = await restoreTask(other, { files, as: 'other' })
  expect(record).toMatchObject({ status: 'restored', dataset: 'other', total_count: 401 })
  expect(await liveIn(other.cairn, 'other')).toBe(401)
})

test('of several states the one that is meant, and a delta with its base', async () => {
  const made = await ground()
  const base = await exported(made)
  await made.dataset.put('more', 1)
  await made.dataset.build()
  const delta = (await exportTask(made.context, { since: 'seq:1' })).path
  const other = elsewhere(made)
  const files = [delta, base]
  await expectCode(restoreTask(other, { files: [delta] }), 'base_missing')
  expect(await restoreTask(other, { files, at: 'seq:1', as: 'old' })).toMatchObject({ seq: 1 })
  expect(await restoreTask(other, { files, at: 'seq:2' })).toMatchObject({
    seq: 2,
    dataset: 'main',
    total_count: 402,
  })
})

test('an encrypted CAR needs its secret key', async () => {
  const made = await ground()
  const identity = await generateX25519Identity()
  const encryptTo = [await identityToRecipient(identity)]
  const files = [(await exportTask(made.context, { encryptTo })).path]
  const other = elsewhere(made)
  await expectCode(restoreTask(other, { files }), 'access_denied')
  const wrong = [await generateX25519Identity()]
  await expectCode(restoreTask(other, { files, identities: wrong }), 'access_denied')
  expect(await restoreTask(other, { files, identities: [identity] })).toMatchObject({
    status: 'restored',
  })
})

test('a file that is not there changes nothing', async () => {
  const made = await ground()
  const files = [join(made.context.backupsDir, 'none.car')]
  await expectCode(restoreTask(made.context, { files, replace: true }), 'usage')
  expect(await liveIn(made.context.cairn)).toBe(401)
})

test('aborted anywhere, it leaves what was there', async () => {
  const stocked = async (): Promise<Ground & { readonly files: readonly string[] }> => {
    const made = await ground()
    const files = [await exported(made)]
    await made.dataset.put('more', 1)
    return { ...made, files }
  }
  const { context, files } = await stocked()
  await expectCode(
    restoreTask(abortingAt(context, 'read back'), { files, replace: true }),
    'aborted',
  )
  expect(await liveIn(context.cairn)).toBe(402)
  let current: readonly string[] = []
  const aborts = await abortAnywhere(
    async () => {
      const made = await stocked()
      current = made.files
      return made
    },
    (aborting) => restoreTask(aborting, { files: current, replace: true }),
    async (made) => {
      expect(await liveIn(made.context.cairn)).toBe(402)
      expect(await made.context.backend.leases()).toEqual([])
    },
  )
  expect(aborts).toBeGreaterThan(5)
})
