/** Sessions: what is there after a restart, what a save says, and what happens where something is wrong. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Logger } from '../../src/engine/logger.ts'
import { openSession, type SessionOptions } from '../../src/session/open.ts'
import type { Session } from '../../src/session/session.ts'
import { expectRefused, tempDir } from '../helpers/engine.ts'

interface Heard extends Logger {
  readonly lines: string[]
}

function listener(): Heard {
  const lines: string[] = []
  const hear = (_: string, fields?: Readonly<Record<string, unknown>>): void => {
    if (typeof fields?.['message'] === 'string') lines.push(fields['message'])
  }
  return { lines, info: hear, error: hear, debug: () => {} }
}

const open = (dir: string, log: Logger, options: SessionOptions = {}): Promise<Session> =>
  openSession(dir, { log, ...options })

test('a session is there after a restart, active, without anybody doing anything', async () => {
  const dir = await tempDir()
  const first = await open(dir, listener())
  expect([first.state, first.restored.from]).toEqual(['new', 'new'])
  const objects = await first.map<{ x: number }>('objects')
  await objects.set('cube', { x: 1 })
  await first.initialize()
  await first.connect('Alice')
  await first.connect('Bob')
  await first.setMetadata({ scene: 'office' })
  await first.close()

  const log = listener()
  const second = await open(dir, log)
  expect([second.state, second.restored.from, second.restored.users]).toEqual([
    'active',
    'newest',
    ['Alice', 'Bob'],
  ])
  expect([second.users, second.metadata]).toEqual([[], { scene: 'office' }])
  expect((await second.map('objects')).get('cube')).toEqual({ x: 1 })
  expect(log.lines).toEqual([
    '📂 Previous session found:',
    'Session restored from disk',
    expect.stringMatching(/^ {2}Timestamp: \d{4}-/),
    '  Users: 2',
    '  Initialized: True',
    '✓ Repository automatically initialized to ACTIVE state',
  ])
  await second.close()
})

test('a save says what it saved, tells it in the file for people, and does nothing where nothing is new', async () => {
  const dir = await tempDir()
  const log = listener()
  const session = await open(dir, log)
  const map = await session.map('users')
  await map.setAll({ a: 1, b: 2 })
  await session.connect('Alice')
  const saved = await session.save('lunch')
  expect(saved).toMatchObject({ status: 'saved', reason: 'lunch', users: 1, nodes: 2 })
  expect(await session.save('again')).toMatchObject({ status: 'unchanged', seq: saved.seq })
  expect(log.lines.filter((line) => line.includes('saved'))).toEqual([
    '✓ Session saved to disk (reason: lunch)',
  ])
  await session.close()
  const facts = JSON.parse(await readFile(join(dir, 'session_metadata.json'), 'utf8')) as unknown
  expect(facts).toEqual({
    timestamp: expect.closeTo(Date.now() / 1000, -2),
    datetime: expect.stringMatching(/Z$/),
    reason: 'lunch',
    user_count: 1,
    node_count: 2,
    initialized: false,
    seq: saved.seq,
    snapshot_cid: saved.snapshot,
  })
})

test('state of the program itself: only what changed is written, and a source that fails is never "saved"', async () => {
  const dir = await tempDir()
  const log = listener()
  const scene = new Map<string, unknown>(Array.from({ length: 100 }, (_, i) => [`o${i}`, { i }]))
  const first = await open(dir, log, { sources: ['scene'] })
  await expectRefused(first.save(), 'unhealthy')
  expect(first.health().problems).toHaveLength(2)
  let broken = false
  await first.attach('scene', {
    capture: () => {
      if (broken) throw new Error('the scene is locked')
      return scene
    },
  })
  expect(await first.save()).toMatchObject({ status: 'saved', written: 100, nodes: 100 })
  scene.set('o7', { i: 'seven' })
  scene.delete('o8')
  expect(await first.save()).toMatchObject({ status: 'saved', written: 2, nodes: 99 })
  expect(await first.save()).toMatchObject({ status: 'unchanged', written: 0 })
  expect(first.health().healthy).toBe(true)
  broken = true
  await expectRefused(first.save('risky'), 'unhealthy')
  expect(log.lines.at(-1)).toBe(
    'Failed to save (reason: risky): The source "scene" was not saved: its capture threw: the scene is locked.',
  )
  expect(first.health()).toMatchObject({ healthy: false, lastFailure: { reason: 'risky' } })
  await first.close({ save: false })

  const back: unknown[] = []
  const second = await open(dir, listener())
  await second.attach('scene', {
    capture: () => scene,
    restore: (state) => void back.push(...state),
  })
  expect(back).toHaveLength(99)
  expect(new Map(back as [string, unknown][])).toEqual(scene)
  await second.close()
})

test('who goes is saved, with his name in the reason; who falls silent goes', async () => {
  const dir = await tempDir()
  const log = listener()
  const session = await open(dir, log)
  session.autosave({ every: 0, onShutdown: false, onError: false, backupEvery: 0 })
  await session.connect('Alice')
  await session.disconnect('Alice')
  await session.disconnect('Nobody')
  expect(log.lines).toContain('✓ Session saved to disk (reason: user_disconnect:Alice)')
  await session.connect('Bob', { timeout: 300 })
  const beats = setInterval(() => session.heartbeat('Bob'), 50)
  await new Promise((resolve) => setTimeout(resolve, 700))
  expect(session.users).toEqual(['Bob'])
  clearInterval(beats)
  while (!log.lines.includes('✓ Session saved to disk (reason: user_disconnect:Bob)'))
    await new Promise((resolve) => setTimeout(resolve, 10))
  expect(session.users).toEqual([])
  await session.close()
})

test('backups: newest first, so many, one map or all of them brought back, undone by history', async () => {
  const dir = await tempDir()
  let now = Date.UTC(2026, 0, 1)
  await using session = await open(dir, listener(), {
    maxBackups: 2,
    keepBackups: { last: 2 },
    now: () => now,
  })
  const [users, scene] = [await session.map<number>('users'), await session.map<number>('scene_2')]
  for (let i = 1; i <= 3; i++) {
    now += 60_000
    await users.set('n', i)
    await scene.setAll({ n: i, [`only ${i}`]: i })
    await session.save(`round ${i}`)
    await session.backups.create()
  }
  const list = await session.backups.list()
  expect(list.map(({ reason }) => reason)).toEqual(['round 3', 'round 2'])
  expect(list[0]).toEqual({
    filename: expect.stringMatching(/\.car$/),
    filepath: join(dir, 'backups', list[0]?.filename ?? ''),
    size: expect.any(Number),
    modified: expect.stringMatching(/Z$/),
    cid: expect.stringMatching(/^bafy/),
    seq: expect.any(Number),
    reason: 'round 3',
  })
  await session.backups.restore('latest~1', { maps: ['scene_2'] })
  expect([users.get('n'), scene.has('only 3'), scene.has('only 2')]).toEqual([3, false, true])
  await session.backups.restore()
  expect(scene.get('n')).toBe(3)
  await expectRefused(session.backups.restore('latest~5'), 'not_found')
  await expectRefused(session.backups.restore('latest', { maps: ['none'] }), 'not_found')
})

test('a moment of the past, and a deleted key, come back', async () => {
  const dir = await tempDir()
  await using session = await open(dir, listener())
  const users = await session.map<string>('users')
  const other = await session.map<string>('other')
  await users.setAll({ a: 'one', b: 'two' })
  await other.set('x', 'old')
  await session.save('good', { tags: ['good'] })
  await users.clear()
  await other.set('x', 'new')
  await session.save('oh')
  expect(await session.undelete('users', 'a')).toBe(true)
  expect(await session.undelete('users', 'a')).toBe(false)
  expect(await session.undelete('users', 'never')).toBe(false)
  expect(await session.restore({ snapshot: 'good' }, { maps: ['users'] })).toEqual({
    set: 1,
    deleted: 0,
  })
  expect([...users, other.get('x')]).toEqual([['a', 'one'], ['b', 'two'], 'new'])
})

test('what is brought back is in memory at once, and a save sees what a source has otherwise', async () => {
  await using session = await open(await tempDir(), listener())
  const many = await session.map<number>('many')
  const keys = Array.from({ length: 2000 }, (_, i) => [`k${i}`, i] as const)
  let state = { a: 1 }
  await session.attach('state', { capture: () => state })
  await many.setAll(keys)
  await session.save('good', { tags: ['good'] })
  await session.backups.create()
  state = { a: 2 }
  await session.save('after')
  for (const restore of [
    () => session.restore({ snapshot: 'good' }),
    () => session.backups.restore(),
  ]) {
    await many.clear()
    await restore()
    expect(many.size).toBe(2000)
    expect(await session.save()).toMatchObject({ status: 'saved', written: 1 })
    expect((await session.map('state')).get('a')).toBe(2)
  }
  await many.delete('k7')
  await session.undelete('many', 'k7')
  expect(many.get('k7')).toBe(7)
})

test('a fresh start only when it is asked for, and then what was there is kept', async () => {
  const dir = await tempDir()
  const first = await open(dir, listener())
  await (await first.map('users')).set('a', 1)
  await first.initialize()
  await first.close()
  const second = await open(dir, listener(), { fresh: true })
  expect([second.state, second.restored.from, (await second.map('users')).size]).toEqual([
    'new',
    'fresh',
    0,
  ])
  await second.restore({ snapshot: 'keep' })
  const users = await second.map('users')
  expect(users.get('a')).toBe(1)
  await second.close()
})

test('maps that are excluded are not kept', async () => {
  const dir = await tempDir()
  const first = await open(dir, listener(), { exclude: ['tmp-*'] })
  await (await first.map('tmp-1')).set('a', 1)
  await (await first.map('users')).set('a', 1)
  await first.close()
  const second = await open(dir, listener())
  expect([(await second.map('tmp-1')).size, (await second.map('users')).size]).toEqual([0, 1])
  await second.close()
})

test('asking many times at once makes few saves', async () => {
  const dir = await tempDir()
  const log = listener()
  await using session = await open(dir, log)
  const users = await session.map<number>('users')
  const saves = Array.from({ length: 50 }, async (_, i) => {
    await users.set('n', i)
    return session.save(`save ${i}`)
  })
  await Promise.all(saves)
  expect(log.lines.filter((line) => line.includes('Session saved')).length).toBeLessThan(10)
})

test('who connects and leaves at once is gone, and who comes again at once is there', async () => {
  await using session = await open(await tempDir(), listener())
  await Promise.all([session.connect('Alice'), session.disconnect('Alice')])
  expect(session.users).toEqual([])
  await session.connect('Alice')
  await Promise.all([session.disconnect('Alice'), session.connect('Alice')])
  expect(session.users).toEqual(['Alice'])
  await Promise.allSettled([session.connect(''), session.connect('Bob')])
  expect(session.users).toEqual(['Alice', 'Bob'])
})
