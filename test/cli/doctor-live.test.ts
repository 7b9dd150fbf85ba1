/** What `cairn doctor` sees of live state: a session that is not saved, no backups, damage, a failed drill. */
import { chmod, mkdir, readdir, rm, truncate, writeFile } from 'node:fs/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openLmdb } from '../../src/backend/lmdb/index.ts'
import {
  checkFolder,
  automationResults,
  drillResult,
  sizeResults,
} from '../../src/cli/doctor/backups.ts'
import { fileSystemResult } from '../../src/cli/doctor/machine.ts'
import { unsavedResult } from '../../src/cli/doctor/saving.ts'
import { fallenBackResults, proofResult } from '../../src/cli/doctor/state.ts'
import { SILENT } from '../../src/engine/logger.ts'
import { parseCid } from '../../src/model/cid.ts'
import { openSession, type SessionOptions } from '../../src/session/open.ts'
import type { Session } from '../../src/session/session.ts'
import { Sandbox } from './sandbox.ts'

let box: Sandbox

beforeEach(async () => {
  box = await Sandbox.make()
})

afterEach(() => box.remove())

const HOUR = 3_600_000

interface Check {
  readonly name: string
  readonly status: string
  readonly message: string
  readonly hint?: string
}

/** All checks by name, of a folder. */
async function doctor(env: Record<string, string> = {}): Promise<Map<string, Check>> {
  const { stdout } = await box.run(['doctor', '--data-dir', 'data', '--json'], { env })
  const { checks } = JSON.parse(stdout) as { checks: Check[] }
  return new Map(checks.map((check) => [check.name, check]))
}

const open = (options: SessionOptions = {}): Promise<Session> =>
  openSession(box.path('data'), { log: SILENT, ...options })

/** A session of which one key was set, so long ago. */
async function sessionOf(ago: number): Promise<Session> {
  const session = await open({ now: () => Date.now() - ago })
  await (await session.map('users')).set('ada', { score: 1 })
  return session
}

test('a session that is saved and backed up is all right, and says so', async () => {
  const session = await sessionOf(0)
  await session.initialize()
  await session.connect('Ada')
  await session.save()
  await session.backups.create()
  await session.close()
  const checks = await doctor()
  const said = (name: string): unknown => [checks.get(name)?.status, checks.get(name)?.message]
  expect(said('session')).toEqual(['ok', 'active, 1 user connected'])
  expect(said('snapshots')).toEqual(['ok', 'the newest one has everything'])
  expect(said('newest state')).toEqual(['ok', 'all 3 values can be read'])
  expect(said('backups')).toEqual(['ok', 'the newest one has everything'])
  expect(said('backups folder')).toEqual(['ok', expect.stringContaining('can be written')])
  expect(said('drill')).toEqual(['skipped', expect.stringContaining('cairn drill')])
  const others = [...checks.values()].filter(
    ({ name, status }) => name !== 'file system' && !['ok', 'skipped'].includes(status),
  )
  expect(others).toEqual([])
})

test('a dataset without a session, and with a backups folder by default, is told of neither', async () => {
  await box.ok(['put', 'page:1', '--value', '1', '--data-dir', 'data'])
  const checks = await doctor()
  expect(checks.get('session')?.status).toBe('skipped')
  expect(checks.get('backups')?.status).toBe('skipped')
  expect(checks.get('newest state')).toBeUndefined()
})

test('an entity that is called session and is another program’s is left alone', async () => {
  await box.ok(['put', 'session', '--value', '"mine"', '--data-dir', 'data'])
  const { status, message } = (await doctor()).get('session') ?? {}
  expect([status, message]).toEqual(['skipped', 'an entity of that name is another program’s'])
})

test('what nobody saves or backs up is seen, and what has only begun is not', async () => {
  const session = await sessionOf(2 * HOUR)
  await session.close({ save: false })
  const late = await doctor()
  expect(late.get('session')).toMatchObject({
    status: 'warning',
    message: expect.stringContaining('never initialized'),
  })
  expect(late.get('snapshots')).toMatchObject({
    status: 'warning',
    message: expect.stringMatching(
      /^3 recent entries are in no snapshot yet, .* 2\.0 hours ago\.$/,
    ),
    hint: expect.stringContaining('autosave'),
  })
  expect(late.get('backups')).toMatchObject({
    status: 'warning',
    message: expect.stringContaining('No backup in'),
  })

  await rm(box.path('data'), { recursive: true })
  await (await sessionOf(60_000)).close({ save: false })
  const early = await doctor()
  expect([early.get('snapshots')?.status, early.get('backups')?.status]).toEqual(['ok', 'ok'])
})

test('a newest backup that lacks what is new for long is too old, and backups may be damaged', async () => {
  const before = await sessionOf(5 * HOUR)
  await before.save()
  await before.backups.create()
  await (await before.map('users')).set('bob', 1)
  await before.close()
  const checks = await doctor()
  expect(checks.get('snapshots')?.status).toBe('ok')
  expect(checks.get('backups')).toMatchObject({
    status: 'warning',
    message: expect.stringMatching(
      /^The newest is of .*, and what is new since .* 5\.0 hours ago\.$/,
    ),
  })
  const [car = ''] = (await readdir(box.path('data', 'backups'))).filter((name) =>
    name.endsWith('.car'),
  )
  await truncate(box.path('data', 'backups', car), 100)
  expect((await doctor()).get('damaged backups')).toMatchObject({
    status: 'warning',
    message: expect.stringContaining('1 backup: '),
  })
  const sidecar = box.path('data', 'backups', car.replace(/car$/, 'json'))
  await rm(sidecar)
  expect((await doctor()).get('unfinished backups')).toMatchObject({
    status: 'warning',
    message: `1 CAR without a sidecar: data/backups/${car}`,
  })
})

test('backups that were asked for by a setting, and are not there', async () => {
  await box.ok(['put', 'page:1', '--value', '1', '--data-dir', 'data'])
  const env = { CAIRN_BACKUPS_DIR: box.path('elsewhere'), CAIRN_MAX_CAR_AGE: '1s' }
  await new Promise((resolve) => setTimeout(resolve, 1000))
  expect((await doctor(env)).get('backups')).toMatchObject({ status: 'warning' })
})

test('a newest state that is damaged, and after the restart the one that was kept of it', async () => {
  const session = await sessionOf(0)
  await session.initialize()
  await (await session.map('users')).set('bob', 'a value of its own')
  await session.close()
  const { tip } = await box.json(['get', 'map/users/bob', '--data-dir', 'data'])
  const store = await openLmdb({ dir: box.path('data', 'store') })
  await store.heal([{ cid: parseCid(String(tip)), bytes: Uint8Array.of(1, 2, 3) }])
  await store.close()
  expect((await doctor()).get('newest state')).toMatchObject({
    status: 'failed',
    message: expect.stringContaining(String(tip)),
    hint: expect.stringContaining('cairn repair'),
  })

  const again = await open()
  expect(again.restored.from).toBe('fell_back')
  await again.close()
  const checks = await doctor()
  expect(checks.get('newest state')?.status).toBe('ok')
  expect(checks.get('damaged state')).toMatchObject({
    status: 'warning',
    hint: expect.stringContaining(`cairn rollback --commit ${again.restored.report?.from}`),
  })
})

test('a folder of backups that is none, or may not be written', async () => {
  await box.write('file', '')
  expect(await checkFolder(box.path('file'))).toMatchObject({
    status: 'failed',
    message: `${box.path('file')} is no folder.`,
  })
  expect(await checkFolder(box.path('file', 'below'))).toMatchObject({ status: 'failed' })
  expect(await checkFolder(box.path('new', 'below'))).toMatchObject({ status: 'skipped' })
  await mkdir(box.path('closed'))
  expect(await checkFolder(box.path('closed'))).toMatchObject({ status: 'ok' })
  await chmod(box.path('closed'), 0o500)
  // Root may write everywhere.
  const expected = process.getuid?.() === 0 ? 'ok' : 'failed'
  expect(await checkFolder(box.path('closed'))).toMatchObject({ status: expected })
})

test('a drill that failed, a run of the service that failed, a report that cannot be read', async () => {
  const facts = { dataset: 'main', finishedAt: 0, rtoMs: 1, snapshot: undefined, sources: [] }
  expect(drillResult({ ...facts, passed: false }, 'main')).toMatchObject({
    status: 'failed',
    message: 'The restore that was tried at 1970-01-01T00:00:00.000Z failed.',
  })
  expect(drillResult({ ...facts, passed: true }, 'main').status).toBe('ok')
  expect(drillResult({ ...facts, passed: false }, 'other').status).toBe('skipped')
  const run = { finishedAt: 0, durationMs: 1, failuresInRow: 2 }
  const failure = { ...run, failed: true, message: 'The disk is full.' }
  const success = { ...run, failed: false, message: undefined }
  expect(automationResults({ build: success, export: failure })).toEqual([
    {
      name: 'last backup',
      status: 'warning',
      message: 'The service failed at it at 1970-01-01T00:00:00.000Z: The disk is full.',
      hint: '`cairn export-car` tries it again and shows why.',
    },
  ])
  await (await sessionOf(0)).close()
  await mkdir(box.path('data', 'backups'), { recursive: true })
  await writeFile(box.path('data', 'backups', 'drill-report.json'), 'cut')
  const checks = await doctor()
  expect(checks.get('drill')).toMatchObject({
    status: 'failed',
    message: expect.stringContaining('cannot be read'),
  })
  expect(checks.get('backups')?.status).toBe('ok')
})

test('what takes more than is free, what lies in memory, what was found before', () => {
  const free = (freeBytes: number | undefined): { store: never } => ({
    store: { freeBytes } as never,
  })
  expect(sizeResults(2, free(1))).toMatchObject([{ status: 'warning' }])
  expect([sizeResults(1, free(1)), sizeResults(2, free(undefined))]).toEqual([[], []])
  expect(fileSystemResult('/data', 0x01021994)).toMatchObject({ status: 'warning' })
  expect(fileSystemResult('/data', 0xef53)).toMatchObject({ status: 'ok' })
  expect(proofResult({ parts: 3, never: 1, problems: 0, oldest: 1 })).toMatchObject({
    status: 'ok',
    message: '2 of 3 parts',
  })
  expect(proofResult({ parts: 3, never: 0, problems: 2, oldest: 1 }).status).toBe('failed')
  expect(fallenBackResults([])).toEqual([])
  expect(fallenBackResults([{ from: 3, to: 5 }])).toMatchObject([{ status: 'warning' }])
  const unsaved = { count: 2, now: 10_000, patience: 1000 }
  expect(unsavedResult({ ...unsaved, since: 9000 }).status).toBe('ok')
  expect(unsavedResult({ ...unsaved, since: 8999 }).status).toBe('warning')
  expect(unsavedResult({ ...unsaved, count: 0, since: undefined }).status).toBe('ok')
})
