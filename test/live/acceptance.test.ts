/**
 * What the older systems were accepted by, on a program that uses the library: a scene server of its own, real
 * clients, real ends. Where they waited for minutes the intervals are short here.
 */
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openSession } from '../../src/session/open.ts'
import { tempDir } from '../helpers/engine.ts'
import { scene, startOn, type Facts, type State } from './start-scene.ts'

const SOON = { every: 300, backupEvery: 0 }
const OBJECTS = { maps: { objects: {} }, autosave: SOON }
const UNCHANGED = /^(?!.*fail)/i

const factsIn = async (dir: string): Promise<Facts> =>
  JSON.parse(await readFile(join(dir, 'session_metadata.json'), 'utf8')) as Facts

test('AC01: it starts, clients connect, it saves by itself and when one goes, and all is there after a restart', async () => {
  const dir = await tempDir()
  const first = await scene(dir, { ...OBJECTS, autosave: { every: 300, backupEvery: 400 } })
  await first.said('listening')
  expect((await stat(join(dir, 'store'))).isDirectory()).toBe(true)
  await first.said('✓ Auto-save enabled (interval: 0.3s)')
  const alice = await first.client()
  const bob = await first.client()
  await alice.ask('connect', { user: 'Alice' })
  await bob.ask('connect', { user: 'Bob' })
  await first.said('User connected: Bob')
  await alice.ask('set', { map: 'objects', key: 'cube', value: { x: 1 } })
  // The file appears by time alone,
  await first.said('✓ Session saved to disk (reason: auto-save)')
  await expect.poll(() => factsIn(dir).catch(() => undefined)).toMatchObject({ user_count: 2 })
  // is brought up to date when one goes, and there is a new backup.
  const backup = await first.said('Backup completed: ')
  await alice.ask('set', { map: 'objects', key: 'ball', value: { x: 2 } })
  alice.close()
  const gone = await first.said('User disconnected: Alice')
  await first.said('✓ Session saved to disk (reason: user_disconnect:Alice)', gone)
  await expect
    .poll(() => factsIn(dir))
    .toMatchObject({ user_count: 1, node_count: 2, initialized: false })
  await first.said('Backup completed: ', Math.max(gone, backup + 1))
  expect((await bob.ask<unknown[]>('backups')).length).toBeGreaterThanOrEqual(2)
  expect(await first.kill('SIGTERM')).toBe(0)

  const second = await scene(dir, OBJECTS)
  await second.said('Session restored from disk')
  const again = await second.client()
  expect((await again.ask<{ items: unknown }>('all', { map: 'objects' })).items).toEqual([
    ['ball', { x: 2 }],
    ['cube', { x: 1 }],
  ])
})

test('AC02: a change, a save by itself, a restart: the log says what was restored, of when, and who was there', async () => {
  const dir = await tempDir()
  const first = await scene(dir, OBJECTS)
  const clients = [await first.client(), await first.client(), await first.client()]
  for (const [i, client] of clients.entries()) await client.ask('connect', { user: `user ${i}` })
  await clients[0]?.ask('set', { map: 'objects', key: 'cube', value: 1 })
  await clients[0]?.ask('init')
  const { length } = first.lines
  await clients[0]?.ask('set', { map: 'objects', key: 'cube', value: 2 })
  await first.said('✓ Session saved to disk (reason: auto-save)', length)
  await expect.poll(() => factsIn(dir)).toMatchObject({ reason: 'auto-save', user_count: 3 })
  const { datetime } = await factsIn(dir)
  await first.kill('SIGKILL')

  const second = await scene(dir, OBJECTS)
  await second.said('listening')
  expect(startOn(second)).toEqual([
    '🚀 Starting replication server...',
    '📂 Previous session found:',
    'Session restored from disk',
    `  Timestamp: ${datetime}`,
    '  Users: 3',
    '  Initialized: True',
    '✓ Repository automatically initialized to ACTIVE state',
    '✓ Auto-save enabled (interval: 0.3s)',
  ])
})

test.each(['SIGKILL', 'SIGTERM'] as const)(
  'AC03: everybody leaves, then %s: it is active again without "Init", and what was there can be worked on',
  async (signal) => {
    const dir = await tempDir()
    const options = { ...OBJECTS, source: true, session: { sources: ['scene'] } }
    const first = await scene(dir, options)
    const [alice, bob] = [await first.client(), await first.client()]
    await alice.ask('connect', { user: 'Alice' })
    await bob.ask('connect', { user: 'Bob' })
    expect(await alice.ask<State>('state')).toMatchObject({ state: 'new' })
    await alice.ask('init')
    await first.said('✓ Session saved to disk (reason: init)')
    for (let i = 0; i < 20; i++)
      await alice.ask('set', { map: 'objects', key: `o${i}`, value: { i } })
    await bob.ask('edit', { values: { light: 'on', camera: { x: 1.5 } } })
    await first.said('✓ Session saved to disk (reason: auto-save)')
    // All clients close; nobody is there any more when it ends.
    alice.close()
    const one = await first.said('User disconnected: Alice')
    await first.said('✓ Session saved to disk (reason: user_disconnect:Alice)', one)
    bob.close()
    const other = await first.said('User disconnected: Bob')
    await first.said('✓ Session saved to disk (reason: user_disconnect:Bob)', other)
    await expect.poll(() => factsIn(dir)).toMatchObject({ user_count: 0, initialized: true })
    expect(await first.kill(signal)).toBe(signal === 'SIGKILL' ? signal : 0)

    const second = await scene(dir, options)
    await second.said('✓ Repository automatically initialized to ACTIVE state')
    const back = await second.client()
    await back.ask('connect', { user: 'Alice' })
    expect(await back.ask<State>('state')).toMatchObject({
      state: 'active',
      users: ['Alice'],
      restored: { from: 'newest' },
      health: { healthy: true, problems: [] },
    })
    const { items } = await back.ask<{ items: unknown[] }>('all', { map: 'objects' })
    expect(items).toHaveLength(20)
    expect(await back.ask('scene')).toEqual([
      ['camera', { x: 1.5 }],
      ['light', 'on'],
    ])
    await back.ask('set', { map: 'objects', key: 'o20', value: 'work goes on' })
    expect(second.lines.every((line) => UNCHANGED.test(line))).toBe(true)
  },
)

test('AC04: it saves all the time, for each who goes, ends in order, and takes everybody back', async () => {
  const dir = await tempDir()
  const first = await scene(dir, OBJECTS)
  const users = ['Alice', 'Bob', 'Carol']
  const clients = []
  for (const user of users) {
    const client = await first.client()
    await client.ask('connect', { user })
    clients.push(client)
  }
  await clients[0]?.ask('init')
  // 1: saves go on, each of what is new.
  for (let i = 0, after = 0; i < 3; i++) {
    await clients[0]?.ask('set', { map: 'objects', key: 'cube', value: i })
    after = 1 + (await first.said('✓ Session saved to disk (reason: auto-save)', after))
  }
  // 2: each who goes is saved by name.
  for (const [i, user] of users.entries()) {
    clients[i]?.close()
    const gone = await first.said(`User disconnected: ${user}`)
    await first.said(`✓ Session saved to disk (reason: user_disconnect:${user})`, gone)
  }
  // 3: it ends in order, with the last change in it.
  const late = await first.client()
  await late.ask('set', { map: 'objects', key: 'cube', value: 'late' })
  const { length } = first.lines
  expect(await first.kill('SIGTERM')).toBe(0)
  const end = first.lines.slice(length).filter((line) => !line.includes('auto-save'))
  expect(end.filter((line) => !line.startsWith('✓ Session saved'))).toEqual([
    'Shutting down server...',
    'Performing final backup...',
    'Backup completed: 1/1 successful',
    'Cleaning up resources...',
    'Server shutdown complete.',
  ])
  // 4: everybody comes back.
  const second = await scene(dir, OBJECTS)
  for (const user of users) await (await second.client()).ask('connect', { user })
  const client = await second.client()
  expect(await client.ask<State>('state')).toMatchObject({ state: 'active', users })
  expect((await client.ask<{ items: unknown }>('all', { map: 'objects' })).items).toEqual([
    ['cube', 'late'],
  ])
})

test('AC05: four stores are filled, backed up, one is destroyed, brought back, and compared; the others are not touched', async () => {
  const dir = await tempDir()
  const options = {
    maps: { user_cache: {}, sessions: {}, scores: {}, codes: { ttl: 3_600_000 } },
    autosave: { every: 0, backupEvery: 0 },
  }
  const first = await scene(dir, options)
  const client = await first.client()
  const names = Object.keys(options.maps)
  const all = async (): Promise<[string, unknown][][]> => {
    const items = []
    for (const map of names)
      items.push((await client.ask<{ items: [string, unknown][] }>('all', { map })).items)
    return items
  }
  // 1 fill, 2 back up, 3 list, 4 destroy, 5 restore and compare.
  for (const map of names)
    await client.ask('setAll', {
      map,
      values: { 'user:1': 'alice@example.com', 'user:2': 'bob@example.com', [map]: { n: 3 } },
    })
  const before = await all()
  await client.ask('save', { reason: 'critical' })
  const { filename } = await client.ask<{ filename: string }>('backup')
  expect(await client.ask('backups')).toMatchObject([{ filename, reason: 'critical' }])
  for (const key of ['user:1', 'user:2', 'user_cache'])
    await client.ask('delete', { map: 'user_cache', key })
  await client.ask('set', { map: 'scores', key: 'user:1', value: 'newer' })
  expect(await client.ask('restore', { which: 'latest', names: ['user_cache'] })).toEqual({
    set: 3,
    deleted: 0,
  })
  await expect.poll(async () => (await all())[0]).toEqual(before[0])
  expect((await all())[2]).toContainEqual(['user:1', 'newer'])
  expect(await first.kill('SIGTERM')).toBe(0)
  // What is periodic: the newest backup alone, on an empty machine.
  const other = await openSession(await tempDir(), {
    backupsDir: join(dir, 'backups'),
    log: { info() {}, error() {}, debug() {} },
  })
  await other.backups.restore('latest')
  for (const [i, name] of names.entries()) {
    const map = await other.map(name)
    expect(new Map(map)).toEqual(new Map(before[i]))
  }
  await other.close()
})
