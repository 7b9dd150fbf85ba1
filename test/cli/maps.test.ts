/** `cairn maps` and `cairn backups`: what programs keep, looked at and brought back from outside of them. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openSession } from '../../src/session/open.ts'
import { SILENT } from '../../src/engine/logger.ts'
import { Sandbox } from './sandbox.ts'

let box: Sandbox

beforeAll(async () => {
  box = await Sandbox.make()
  const session = await openSession(box.path('.cairn'), { log: SILENT })
  const users = await session.map<string>('users')
  await users.setAll({ alice: 'one', bob: 'two' })
  await (await session.map('tok/en_s', { ttl: 3_600_000 })).set('t', 1)
  await session.save('first', { tags: ['first'] })
  await session.backups.create()
  await users.delete('bob')
  await users.set('alice', 'changed')
  await session.save('second')
  await session.backups.create()
  await session.close()
})

afterAll(() => box.remove())

const values = async (): Promise<unknown> => {
  const found: Record<string, unknown> = {}
  for (const key of ['alice', 'bob']) {
    const { stdout, code } = await box.run(['cat', `map/users/${key}`])
    if (code === 0) found[key] = JSON.parse(stdout)
  }
  return found
}

test('lists the maps, without opening them', async () => {
  expect(await box.json(['maps', 'list'])).toEqual({
    maps: [
      { name: 'tok/en_s', kind: 'expiring', ttl_ms: 3_600_000, count: 1 },
      { name: 'users', kind: 'named', ttl_ms: null, count: 1 },
    ],
  })
  expect(await box.ok(['maps', 'list'])).toMatch(
    /^expiring +1 {2}tok\/en_s {2}3600s\nnamed +1 {2}users\n$/,
  )
})

test('lists backups newest first, counts them, and by time', async () => {
  const { backups } = (await box.json(['backups'])) as { backups: Record<string, unknown>[] }
  expect(backups.map(({ reason }) => reason)).toEqual(['second', 'first'])
  expect(Object.keys(backups[0] ?? {})).toEqual([
    'filename',
    'filepath',
    'size',
    'modified',
    'cid',
    'seq',
    'reason',
  ])
  expect(await box.ok(['backups', '--count'])).toBe('2\n')
  expect(await box.ok(['backups', '--count', '--until', '2020-01-01T00:00:00Z'])).toBe('0\n')
})

test('brings one key back, then one map from a moment, then all from a backup', async () => {
  expect(await values()).toEqual({ alice: 'changed' })
  expect(await box.json(['maps', 'undelete', 'users', 'bob'])).toMatchObject({
    status: 'undeleted',
  })
  expect(await box.json(['maps', 'undelete', 'users', 'bob'])).toMatchObject({
    status: 'already_there',
  })
  expect((await box.fails(['maps', 'undelete', 'users', 'never'])).exit).toBe(10)
  expect(await values()).toEqual({ alice: 'changed', bob: 'two' })
  expect(await box.json(['maps', 'restore', 'users', '--snapshot', 'first'])).toEqual({
    status: 'restored',
    set: 1,
    deleted: 0,
  })
  expect(await values()).toEqual({ alice: 'one', bob: 'two' })
  expect(await box.json(['maps', 'restore', '--from', 'latest'])).toEqual({
    status: 'restored',
    set: 1,
    deleted: 1,
  })
  expect(await values()).toEqual({ alice: 'changed' })
  expect(await box.json(['maps', 'restore', '--from', 'latest'])).toMatchObject({
    status: 'already_restored',
  })
})

test('refuses what names no moment, two of them, no such map and no such tool, and changes nothing', async () => {
  expect((await box.fails(['maps', 'restore'])).exit).toBe(2)
  expect((await box.fails(['maps', 'restore', '--from', 'latest', '--seq', '1'])).exit).toBe(2)
  expect((await box.fails(['maps', 'restore', 'none', '--from', 'latest'])).exit).toBe(10)
  expect((await box.fails(['maps', 'restore', '--from', 'latest~7'])).exit).toBe(10)
  expect((await box.fails(['maps', 'fly'])).exit).toBe(2)
  expect(await values()).toEqual({ alice: 'changed' })
})
