import { access, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { expect, test, vi } from 'vitest'
import { pathsBeside } from '../../src/backup/name.ts'
import { exportTask } from '../../src/tasks/export.ts'
import {
  abortAnywhere,
  abortingAt,
  expectCode,
  expectPlain,
  failureOf,
  filesIn,
  ground,
  HOUR,
  wholeBackups,
  type Ground,
} from './kit.ts'

/** Exports of so many states, an hour apart, oldest first. */
async function exported({ context, dataset, clock }: Ground, count: number): Promise<string[]> {
  const paths: string[] = []
  for (let i = 0; i < count; i++) {
    await dataset.put('late', i)
    clock.now += HOUR
    paths.push((await exportTask(context)).path)
  }
  return paths
}

test('the record is the sidecar, where the CAR is, and what was removed', async () => {
  const { context } = await ground()
  const record = await exportTask(context)
  const text = await readFile(pathsBeside(record.path).sidecar, 'utf8')
  const sidecar = JSON.parse(text) as Record<string, unknown>
  expect(record).toEqual({ status: 'exported', ...sidecar, removed: [] })
  expect(record).toMatchObject({ dataset: 'main', total_count: 401, recent_count: 1, seq: 1 })
  expectPlain(record)
  expect(await wholeBackups(context)).toEqual([record.path])
  expect(await exportTask(context)).toEqual({ ...record, status: 'already_exported' })
})

test('what goes in, and in which form', async () => {
  const { context, dataset } = await ground()
  const recipient = await identityToRecipient(await generateX25519Identity())
  await dataset.build()
  const file = join(context.dataDir, '..', 'mine.car')
  const options = { content: 'tips', since: 'seq:1', snapshot: 'seq:2', v2: true } as const
  const record = await exportTask(context, { ...options, encryptTo: [recipient], file })
  expect(record).toMatchObject({
    path: file,
    content: 'tips',
    since: expect.any(String),
    seq: 2,
    car_version: 2,
    encrypted_to: [recipient],
  })
  await expectCode(exportTask(context, { file }), 'usage')
  expect(await exportTask(context, { file, force: true })).toMatchObject({ encrypted: false })
  expect(await wholeBackups(context)).toEqual([])
})

test('older ones go by number or by rules, newest first in the record; what is no backup is told of', async () => {
  const made = await ground()
  const { context, dataset, clock, notes } = made
  const paths = await exported(made, 4)
  await writeFile(join(context.backupsDir, 'mine.car'), 'not ours')
  const record = await exportTask(context, { keep: 2 })
  expect(record).toMatchObject({ status: 'already_exported', removed: [paths[1], paths[0]] })
  expect(notes).toEqual([
    `has no sidecar, and is not touched: ${join(context.backupsDir, 'mine.car')}`,
  ])
  await dataset.put('late', 'new')
  clock.now += HOUR
  const byRules = await exportTask(context, { policy: { hourly: 2 } })
  expect(byRules.removed).toEqual([paths[2]])
  expect((await filesIn(context.backupsDir)).filter((name) => name.endsWith('.car'))).toHaveLength(
    3,
  )
})

test('one older CAR of another version keeps all of them', async () => {
  const made = await ground()
  const [first = ''] = await exported(made, 3)
  const { sidecar } = pathsBeside(first)
  const text = await readFile(sidecar, 'utf8')
  await writeFile(sidecar, text.replace('cairn/car-sidecar@v1', 'cairn/car-sidecar@v9'))
  expect(await exportTask(made.context, { keep: 1 })).toMatchObject({ removed: [] })
  expect(made.notes).toEqual([expect.stringContaining(`not touched: ${first}: `)])
})

test('rules that keep nothing are refused before anything is done', async () => {
  const { context } = await ground()
  for (const options of [{ keep: 0 }, { policy: {} }, { policy: { daily: -1 } }])
    await expectCode(exportTask(context, options), 'usage')
  expect(await filesIn(context.backupsDir)).toEqual([])
})

test('a hook comes last, and when it fails the record is whole and the CAR stays', async () => {
  const made = await ground()
  const { context } = made
  const paths = await exported(made, 2)
  const seen = join(context.dataDir, '..', 'seen')
  const good = await exportTask(context, { after: `echo "$1" > ${seen}; ls "$1"* > /dev/null` })
  expect(await readFile(seen, 'utf8')).toBe(`${good.path}\n`)
  const failure = await failureOf(exportTask(context, { keep: 1, after: 'exit 3' }))
  expect(failure).toMatchObject({ code: 'hook_failed', exitCode: 16 })
  expect(failure.hint).toContain(good.path)
  expect(failure.record).toEqual({ ...good, removed: [paths[0]] })
  expect(JSON.stringify(failure)).not.toContain('car_sha256')
  expect(await wholeBackups(context)).toEqual([good.path])
  const slow = exportTask(context, { after: 'sleep 60', afterTimeoutMs: 50 })
  expect((await failureOf(slow)).message).toContain('50 ms')
})

test('aborted at any call to the store, it leaves nothing in the folder', async () => {
  const aborts = await abortAnywhere(ground, exportTask, async ({ context }) => {
    expect(await filesIn(context.backupsDir)).toEqual([])
  })
  expect(aborts).toBeGreaterThan(5)
})

test('aborted while it is read back, it leaves nothing; while the hook runs, the whole backup', async () => {
  const { context } = await ground()
  await expectCode(exportTask(abortingAt(context, 'read back')), 'aborted')
  expect(await filesIn(context.backupsDir)).toEqual([])
  const stop = new AbortController()
  const began = join(context.dataDir, '..', 'began')
  const task = exportTask({ ...context, signal: stop.signal }, { after: `: > ${began}; sleep 60` })
  const failing = failureOf(task)
  await vi.waitFor(() => access(began), { timeout: 5000 })
  stop.abort()
  const failure = await failing
  expect(failure.code).toBe('aborted')
  expect(await wholeBackups(context)).toEqual([failure.record['path']])
})

test('aborted before older ones are removed, it removes none', async () => {
  const made = await ground()
  const { context } = made
  const paths = await exported(made, 3)
  const stop = new AbortController()
  await writeFile(join(context.backupsDir, 'mine.car'), 'not ours')
  const onNote = (): void => stop.abort()
  const task = exportTask({ ...context, signal: stop.signal, onNote }, { keep: 1 })
  await expectCode(task, 'aborted')
  expect(await filesIn(context.backupsDir)).toHaveLength(3 * paths.length + 1)
})
