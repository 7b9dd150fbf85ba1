/** The embedded store without what it needs besides space: descriptors, permission, a larger map. */
import { chmod, mkdir, mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openLmdbFiles } from '../../src/backend/lmdb/tables.ts'
import { openCairn } from '../../src/compose.ts'
import { ERROR_CODES } from '../../src/errors.ts'
import { builtDist } from '../helpers/built.ts'
import { expectRefused } from '../helpers/engine.ts'
import { runWorker } from './lmdb-child.ts'
import { CAN_MOUNT, smallDisk } from './small-disk.ts'

const UNTRIED: string = CAN_MOUNT ? '' : ' (CANNOT BE TRIED: needs root on Linux)'

let base: string

beforeAll(async () => {
  await builtDist()
  base = await mkdtemp(join(tmpdir(), 'cairn-scarce-'))
})

afterAll(async () => {
  await rm(base, { recursive: true })
})

test.each([
  { opened: false, left: [0, 2, 5, 11, 14, 30] },
  { opened: true, left: [0, 3, 9, 30] },
])(
  'too many open files end no process and lose nothing (taken after opening: $opened)',
  async ({ opened, left }) => {
    const folder = join(base, `files-${opened}`)
    const few = (command: readonly string[]): readonly string[] => [
      'sh',
      '-c',
      'ulimit -n 256; exec "$@"',
      'sh',
      ...command,
    ]
    const { exit, signal, said, stderr } = await runWorker(
      'descriptors',
      { folder, opened, left },
      few,
    )
    expect([exit, signal, stderr]).toEqual([0, null, ''])
    expect(said.map((one) => one['left'])).toEqual(left)
    for (const { outcome, hint, lost, again, step } of said) {
      expect([lost, again]).toEqual([[], 'done'])
      if (outcome === 'done') continue
      expect(Object.keys(ERROR_CODES), `in ${String(step)}`).toContain(outcome)
      expect(hint).toMatch(/ulimit -n/)
    }
    expect(said[0]?.['outcome']).not.toBe('done')
    expect(said.at(-1)?.['outcome']).toBe('done')
  },
)

test(`a store on a disk that is mounted read-only says what to do, and works again later${UNTRIED}`, async () => {
  const disk = await smallDisk(24)
  const store = `lmdb:${join(disk.dir, 'store')}`
  await using cairn = await openCairn(store)
  const { dataset } = await cairn.init('main')
  await dataset.put('a', { n: 1 })
  await cairn.close()
  disk.remount('ro')
  const refused = await expectRefused(openCairn(store, { create: false }), 'access_denied')
  expect(refused.hint).toContain('mounted for writing')
  await expectRefused(openCairn(store), 'access_denied')
  disk.remount('rw')
  await using again = await openCairn(store, { create: false })
  expect((await (await again.dataset()).get('a'))?.ver).toBe(1)
})

test(`a store of somebody else is access_denied, whichever of its parts is closed${UNTRIED}`, async () => {
  const folder = join(base, 'denied')
  const stores = [join(folder, 'closed'), join(folder, 'readable')]
  await mkdir(folder)
  await chmod(base, 0o755)
  await chmod(folder, 0o777)
  for (const store of stores) {
    await using cairn = await openCairn(`lmdb:${store}`)
    await cairn.init('main')
  }
  await chmod(join(folder, 'readable'), 0o755)
  await chmod(join(folder, 'readable', 'data.mdb'), 0o644)
  const { exit, said } = await runWorker('denied', { folder, stores })
  expect(exit).toBe(0)
  expect(said.map(({ code }) => code)).toEqual(['access_denied', 'access_denied'])
  for (const { hint } of said) expect(hint).toContain('owner and the mode')
})

test('the map grows by itself, under two processes that both write and read', async () => {
  const folder = join(base, 'grow')
  const file = join(folder, 'store', 'data.mdb')
  await using cairn = await openCairn(`lmdb:${join(folder, 'store')}`)
  await cairn.init('main', { content: 'linked' })
  await cairn.close()
  const mapSize = async (): Promise<number> => {
    const env = openLmdbFiles(join(folder, 'store'))
    const { mapSize: size } = env.getStats() as { mapSize: number }
    await env.close()
    return size
  }
  const first = await mapSize()
  const options = { folder, count: 40, bytes: 400_000 }
  const ended = await Promise.all([
    runWorker('grow', { ...options, name: 'one', other: 'two' }),
    runWorker('grow', { ...options, name: 'two', other: 'one' }),
  ])
  for (const { exit, said, stderr } of ended)
    expect([exit, said.at(-1), stderr]).toEqual([0, { wrote: 40, seen: expect.any(Number) }, ''])
  const seen = ended.map(({ said }) => Number(said.at(-1)?.['seen']))
  expect(Math.max(...seen)).toBeGreaterThan(0)
  const { size } = await stat(file)
  expect(size).toBeGreaterThan(4 * first)
  expect(await mapSize()).toBeGreaterThan(size - 1)
})
