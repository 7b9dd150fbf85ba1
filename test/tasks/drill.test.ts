import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { pathsBeside } from '../../src/backup/name.ts'
import { drillTask, type DrillRecord } from '../../src/tasks/drill.ts'
import { exportTask } from '../../src/tasks/export.ts'
import type { TaskContext } from '../../src/tasks/context.ts'
import {
  abortAnywhere,
  abortingAt,
  CID,
  expectCode,
  expectPlain,
  failureOf,
  filesIn,
  ground,
  HOUR,
  NOW,
  scratch as ownFolder,
  wholeBackups,
  type Ground,
} from './kit.ts'

const reportIn = async ({ context }: Ground): Promise<unknown> =>
  JSON.parse(await readFile(join(context.backupsDir, 'drill-report.json'), 'utf8'))

const small = { sample: 5, cacheBytes: 1 << 20 }

test('the record is the report in the folder of backups, and nothing else is left', async () => {
  const made = await ground()
  const { context, clock } = made
  const { path } = await exportTask(context)
  clock.now += HOUR
  const scratch = await ownFolder()
  const report = join(await ownFolder(), 'also.json')
  const record = await drillTask(context, { ...small, scratch, report })
  const moment = new Date(NOW + HOUR).toISOString()
  expect(record).toEqual({
    schema: 'cairn/drill-report@v1',
    status: 'passed',
    dataset: 'main',
    started_at: moment,
    finished_at: moment,
    sources: [path],
    snapshot: expect.stringMatching(CID),
    total_count: 401,
    checks: expect.any(Array),
    sampled: expect.any(Number),
    compared_with_live: record.sampled,
    open_ms: expect.any(Number),
    restore_ms: expect.any(Number),
    verify_ms: expect.any(Number),
    rto_ms: expect.any(Number),
    rpo_ms: 0,
    age_ms: HOUR,
    error: null,
    last_success: {
      finished_at: moment,
      snapshot: record.snapshot,
      rto_ms: record.rto_ms,
      rpo_ms: 0,
    },
  })
  expectPlain(record)
  expect(await reportIn(made)).toEqual(record)
  expect(JSON.parse(await readFile(report, 'utf8'))).toEqual(record)
  expect(await filesIn(scratch)).toEqual([])
})

test('what is wrong with the backup makes it fail, and the report still knows the last success', async () => {
  const made = await ground()
  const { context } = made
  const none = await failureOf(drillTask(context, small))
  expect(none).toMatchObject({ code: 'unhealthy', exitCode: 18 })
  expect(none.record).toMatchObject({
    status: 'failed',
    error: { code: 'not_found' },
    last_success: null,
  })
  expect(await reportIn(made)).toEqual(none.record)
  const { path } = await exportTask(context)
  const good = await drillTask(context, small)
  const late = await failureOf(drillTask(context, { ...small, maxRtoMs: 0.001 }))
  expect(late.message).toContain('recovery time')
  expect(late.record).toMatchObject({ status: 'failed', error: null })
  const bytes = await readFile(path)
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
  await writeFile(path, bytes)
  const bad = await failureOf(drillTask(context, small))
  expect(bad.record).toMatchObject({
    error: { code: 'block_mismatch' },
    last_success: good.last_success,
  })
  expectPlain(bad.record)
})

test('a CAR that is named may lack its sidecar, but not contradict it', async () => {
  const { context } = await ground()
  const { path } = await exportTask(context)
  const { sidecar } = pathsBeside(path)
  const wanted = { ...small, from: [path] }
  const text = await readFile(sidecar, 'utf8')
  const wrongWith = async (other: string): Promise<unknown> => {
    await writeFile(sidecar, other)
    return (await failureOf(drillTask(context, wanted))).record
  }
  const { size_bytes: size } = JSON.parse(text) as { size_bytes: number }
  const longer = text.replace(`"size_bytes": ${size}`, `"size_bytes": ${size + 1}`)
  expect(await wrongWith(longer)).toMatchObject({ error: { code: 'invalid_car' } })
  expect(await wrongWith(text.slice(0, 100))).toMatchObject({ error: { code: 'invalid_car' } })
  const later = text.replace('car-sidecar@v1', 'car-sidecar@v9')
  expect(await wrongWith(later)).toMatchObject({ error: { code: 'format_unsupported' } })
  await rm(sidecar)
  expect(await drillTask(context, wanted)).toMatchObject({ status: 'passed' })
})

test('it needs neither the dataset nor a store', async () => {
  const made = await ground()
  const { path } = await exportTask(made.context)
  const other = { ...made.context, dataset: 'other' }
  const passed: DrillRecord = await drillTask(other, { ...small, from: [path] })
  expect(passed).toMatchObject({ status: 'passed', dataset: 'main', compared_with_live: 0 })
  expect(made.notes).toEqual(['compared with no live dataset: The store has no dataset "other".'])
  made.clock.now += HOUR
  const without = await drillTask({ ...made.context, cairn: undefined }, small)
  expect(without).toMatchObject({ status: 'passed', compared_with_live: 0, rpo_ms: HOUR })
})

test('a call that is wrong says nothing about the backup', async () => {
  const { context } = await ground()
  await exportTask(context)
  const before = await filesIn(context.backupsDir)
  const from = [join(context.backupsDir, 'none.car')]
  await expectCode(drillTask(context, { ...small, from }), 'usage')
  expect(await filesIn(context.backupsDir)).toEqual(before)
})

test('aborted anywhere, it leaves no report and nothing to clean up', async () => {
  const scratch = await ownFolder()
  const stocked = async (): Promise<Ground> => {
    const made = await ground()
    await exportTask(made.context)
    return made
  }
  const check = async ({ context }: Ground): Promise<void> => {
    expect(await filesIn(scratch)).toEqual([])
    expect(await wholeBackups(context)).toHaveLength(1)
  }
  const made = await stocked()
  const restoring = abortingAt(made.context, 'read back')
  await expectCode(drillTask(restoring, { ...small, scratch }), 'aborted')
  await check(made)
  const drilled = (context: TaskContext): Promise<unknown> =>
    drillTask(context, { ...small, scratch })
  expect(await abortAnywhere(stocked, drilled, check)).toBeGreaterThan(5)
})
