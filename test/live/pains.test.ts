/** What users of the older servers suffered from, on a program that uses the library: each must not happen. */
import { execFile } from 'node:child_process'
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { openSession } from '../../src/session/open.ts'
import { builtDist } from '../helpers/built.ts'
import { tempDir } from '../helpers/engine.ts'
import { CAN_MOUNT, smallDisk } from '../resources/small-disk.ts'
import type { Scene, SceneClient } from './scene.ts'
import { scene, type State } from './start-scene.ts'

const SAVED = '✓ Session saved to disk'
const NEVER = { every: 0, backupEvery: 0 }
const OBJECTS = { maps: { objects: {} } }

const objects = async (from: Scene): Promise<unknown> => {
  const client = await from.client()
  return (await client.ask<{ items: unknown }>('all', { map: 'objects' })).items
}

const state = (client: SceneClient): Promise<State> => client.ask<State>('state')

const saves = ({ lines }: Scene): string[] => lines.filter((line) => line.startsWith(SAVED))

const cairn = async (...args: string[]): Promise<string> => {
  const main = JSON.stringify(join(await builtDist(), 'cli', 'main.js'))
  const run = `(await import(${main})).main(process.argv.slice(1))`
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', run, '--', ...args])
  return stdout
}

test('P01: what clients wrote is there when all of them have gone and the server is killed before any save', async () => {
  const dir = await tempDir()
  const first = await scene(dir, OBJECTS)
  for (let i = 0; i < 3; i++) {
    const client = await first.client()
    await client.ask('connect', { user: `user ${i}` })
    await client.ask('set', { map: 'objects', key: `o${i}`, value: i })
    client.close()
  }
  await first.said('User disconnected: user 2')
  await first.kill('SIGKILL')
  expect(saves(first)).toEqual([])
  expect(await objects(await scene(dir, OBJECTS))).toEqual([
    ['o0', 0],
    ['o1', 1],
    ['o2', 2],
  ])
})

test('P02: with a source that is missing or throws it never says "saved", and is unhealthy until it is well again', async () => {
  const expected = { session: { sources: ['scene'] } }
  const missing = await scene(await tempDir(), { ...expected, autosave: { ...NEVER, every: 100 } })
  await missing.said('Failed to save (reason: auto-save): The source "scene" was not saved')
  const other = await missing.client()
  await expect(other.ask('init')).rejects.toMatchObject({ code: 'unhealthy' })
  expect(await state(other)).toMatchObject({ health: { healthy: false } })
  expect(saves(missing)).toEqual([])
  // What could not be saved is told at the end, too.
  expect(await missing.kill('SIGTERM')).toBe(1)
  expect(missing.lines).toContain('Backup completed: 0/1 successful')

  const first = await scene(await tempDir(), {
    ...expected,
    source: true,
    autosave: { ...NEVER, every: 100 },
  })
  const client = await first.client()
  await client.ask('edit', { values: { cube: 1 } })
  await first.said(SAVED)
  await client.ask('breakSource', { why: 'the scene is locked' })
  await client.ask('edit', { values: { cube: 2 } })
  const broken = await first.said('Failed to save (reason: auto-save): The source "scene" was not')
  await first.said('Failed to save', broken + 1)
  await expect(client.ask('save')).rejects.toMatchObject({ code: 'unhealthy' })
  expect(await state(client)).toMatchObject({ health: { healthy: false } })
  expect(first.lines.slice(broken).filter((line) => line.startsWith(SAVED))).toEqual([])
  await client.ask('breakSource', {})
  await first.said(SAVED, broken)
  await expect.poll(() => state(client)).toMatchObject({ health: { healthy: true, problems: [] } })
})

test('P03: a restart and a crash lose nothing, and older states are kept, but not without end', async () => {
  const dir = await tempDir()
  const options = {
    ...OBJECTS,
    session: { maxBackups: 3, keepBackups: { last: 3 } },
    autosave: NEVER,
  }
  for (let i = 1; i <= 5; i++) {
    const server = await scene(dir, options)
    const client = await server.client()
    const { items } = await client.ask<{ items: [string, number][] }>('all', { map: 'objects' })
    expect(items.map(([, value]) => value)).toEqual(Array.from({ length: i - 1 }, (_, n) => n + 1))
    await client.ask('set', { map: 'objects', key: `o${i}`, value: i })
    await client.ask('save', { reason: `round ${i}` })
    await client.ask('backup')
    expect(await client.ask<unknown[]>('backups')).toHaveLength(Math.min(i, 3))
    await server.kill(i % 2 === 0 ? 'SIGTERM' : 'SIGKILL')
  }
})

test('P04: nobody presses "Init" again, even when the server died right after the first time', async () => {
  const dir = await tempDir()
  const first = await scene(dir, OBJECTS)
  const client = await first.client()
  expect((await state(client)).state).toBe('new')
  await client.ask('init')
  await first.kill('SIGKILL')
  const second = await scene(dir, OBJECTS)
  await second.said('✓ Repository automatically initialized to ACTIVE state')
  expect((await state(await second.client())).state).toBe('active')
})

test('P05: a server that nobody is connected to and nobody asks anything saves by itself', async () => {
  const first = await scene(await tempDir(), {
    ...OBJECTS,
    autosave: { ...NEVER, every: 500, onDisconnect: false },
  })
  const client = await first.client()
  await client.ask('set', { map: 'objects', key: 'cube', value: 1 })
  client.close()
  const { length } = first.lines
  await first.said(`${SAVED} (reason: auto-save)`, Math.max(0, length - 1))
})

test('P06: one cache that was emptied by accident comes back alone', async () => {
  const first = await scene(await tempDir(), { maps: { users: {}, scores: {} } })
  const client = await first.client()
  await client.ask('setAll', { map: 'users', values: { a: 1, b: 2 } })
  await client.ask('setAll', { map: 'scores', values: { a: 10 } })
  await client.ask('save', { reason: 'good' })
  await client.ask('backup')
  for (const key of ['a', 'b']) await client.ask('delete', { map: 'users', key })
  await client.ask('set', { map: 'scores', key: 'a', value: 11 })
  await client.ask('restore', { which: 'latest', names: ['users'] })
  const items = async (map: string): Promise<unknown> =>
    (await client.ask<{ items: unknown }>('all', { map })).items
  await expect
    .poll(() => items('users'))
    .toEqual([
      ['a', 1],
      ['b', 2],
    ])
  expect(await items('scores')).toEqual([['a', 11]])
})

test('P07: backups that do not happen are told of: in the log, and by the health of the session', async () => {
  const dir = await tempDir()
  // A folder that cannot be made, whoever tries it.
  await writeFile(join(dir, 'backups'), 'a file')
  const first = await scene(dir, { ...OBJECTS, autosave: { every: 0, backupEvery: 150 } })
  const client = await first.client()
  await client.ask('set', { map: 'objects', key: 'cube', value: 1 })
  await first.said('Backup failed: ')
  expect(await state(client)).toMatchObject({
    health: { healthy: false, problems: [expect.stringMatching(/^Backup failed: /)] },
  })
  await rm(join(dir, 'backups'))
  await first.said('Backup completed: ')
  await expect.poll(() => state(client)).toMatchObject({ health: { healthy: true } })
})

test(`P12: on a full disk a save and a backup fail loudly, and the last good ones stay${CAN_MOUNT ? '' : ' (CANNOT BE TRIED: needs root on Linux)'}`, async () => {
  const disk = await smallDisk(64)
  const options = {
    ...OBJECTS,
    session: { maxBackups: 1, keepBackups: { last: 1 }, keepSnapshots: { last: 1 } },
    autosave: NEVER,
  }
  const first = await scene(disk.dir, options)
  const client = await first.client()
  const blob = 'x'.repeat(200_000)
  for (let i = 0; i < 10; i++)
    await client.ask('set', { map: 'objects', key: `o${i}`, value: { i, blob } })
  await client.ask('save', { reason: 'good' })
  const { filename } = await client.ask<{ filename: string }>('backup')
  disk.leave(300_000)
  await expect(
    client.ask('set', { map: 'objects', key: 'more', value: blob }),
  ).rejects.toMatchObject({ code: 'no_space' })
  await expect(client.ask('edit', { values: {} })).resolves.toBeUndefined()
  await expect(client.ask('backup')).rejects.toMatchObject({ code: 'no_space' })
  expect(await client.ask('backups')).toMatchObject([{ filename, reason: 'good' }])
  await first.kill('SIGKILL')

  disk.empty()
  const second = await scene(disk.dir, options)
  const back = await second.client()
  expect(await state(back)).toMatchObject({ restored: { from: 'newest' } })
  expect(await objects(second)).toHaveLength(10)
  await back.ask('set', { map: 'objects', key: 'more', value: blob })
  await back.ask('save', { reason: 'after' })
  await back.ask('backup')
  expect(await back.ask('backups')).toMatchObject([{ reason: 'after' }])
})

test('P13: the backups of a session are drilled by one command', async () => {
  const dir = await tempDir()
  const first = await scene(dir, { maps: { objects: {} }, autosave: NEVER })
  const client = await first.client()
  await client.ask('setAll', { map: 'objects', values: { a: 1, b: { c: [2] } } })
  await client.ask('init')
  await client.ask('backup')
  const report = JSON.parse(await cairn('drill', '--data-dir', dir, '--json')) as unknown
  expect(report).toMatchObject({ dataset: 'main' })
  const [car] = (await readdir(join(dir, 'backups'))).filter((name) => name.endsWith('.car'))
  const path = join(dir, 'backups', car ?? '')
  const bytes = await readFile(path)
  bytes[bytes.length - 40] = (bytes[bytes.length - 40] ?? 0) ^ 1
  await writeFile(path, bytes)
  await expect(cairn('drill', '--data-dir', dir)).rejects.toMatchObject({ code: 18 })
})

/** All files below a folder, with what is in them. */
async function contents(dir: string): Promise<Map<string, string>> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true })
  const files = entries.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name))
  return new Map(
    await Promise.all(
      files.map(async (path) => [path, (await readFile(path)).toString('base64')] as const),
    ),
  )
}

test('P14: a session begins in the folder of an older server, and leaves what that one saved as it is', async () => {
  const dir = await tempDir()
  await mkdir(join(dir, 'backups'))
  await writeFile(join(dir, 'session_snapshot.pkl'), Buffer.from('\x80\x04N.', 'latin1'))
  await writeFile(join(dir, 'backups', 'snapshot_20250112_143025.pkl'), 'an older one')
  const before = await contents(dir)
  const session = await openSession(dir, { log: { info() {}, error() {}, debug() {} } })
  await (await session.map('objects')).set('cube', 1)
  await session.initialize()
  await session.backups.create()
  await session.close()
  expect([...(await contents(dir))]).toEqual(expect.arrayContaining([...before]))
})

test('P14: what the older cache saved moves in with one command, and its files stay as they are', async () => {
  const [dir, old] = [await tempDir(), await tempDir()]
  const fixtures = fileURLToPath(new URL('../../fixtures/radish', import.meta.url))
  await cp(fixtures, old, { recursive: true })
  const before = await contents(old)
  await cairn('import', '--data-dir', dir, '--layout', 'radish', old)
  expect(await contents(old)).toEqual(before)
  const server = await scene(dir, { maps: { user_cache: {} }, autosave: NEVER })
  const client = await server.client()
  const { items } = await client.ask<{ items: unknown }>('all', { map: 'user_cache' })
  expect(items).toContainEqual(['user:1', 'alice@example.com'])
  await client.ask('set', { map: 'user_cache', key: 'user:4', value: 'dora@example.com' })
  await client.ask('init')
  expect(await state(client)).toMatchObject({ state: 'active' })
})
