/** Sessions under what a careless program, a storm of users or an end in the midst of work does to them. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import type { Logger } from '../../src/engine/logger.ts'
import type { IpldMap } from '../../src/model/ipld.ts'
import { openSession } from '../../src/session/open.ts'
import { builtDist } from '../helpers/built.ts'
import { expectRefused, tempDir } from '../helpers/engine.ts'
import { liveStore } from '../helpers/live.ts'

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const QUIET: Logger = { info() {}, error() {}, debug() {} }
const OFF = { every: 0, onShutdown: false, onError: false, backupEvery: 0 }

test('a log that throws fails nothing', async () => {
  const fails = (): never => {
    throw new Error('the log is full')
  }
  const log = { info: fails, error: fails, debug: fails }
  const session = await openSession(await tempDir(), { log })
  const map = await session.map<number>('n')
  for (const i of [1, 2]) {
    await session.connect('Alice')
    await map.set('n', i)
    expect(await session.save()).toMatchObject({ status: 'saved' })
    expect(await session.save()).toMatchObject({ status: 'unchanged' })
    await session.attach('s', { capture: fails })
    await expectRefused(session.save(), 'unhealthy')
    session.detach('s')
    await session.disconnect('Alice')
  }
  await session.close()
})

test('listeners that answer each other without end are stopped, and the program goes on', async () => {
  const errors: string[] = []
  const log = { ...QUIET, error: (event: string) => void errors.push(event) }
  const session = await openSession(await tempDir(), { log })
  const map = await session.map<number>('n')
  map.onChange(({ value = 0 }) => void map.set('n', value + 1))
  await map.set('n', 0)
  await map.flush()
  expect(errors).toEqual(['live.listener_failed'])
  expect(map.get('n')).toBe(100)
  await session.close()
})

test('three hundred who come and go at once: all of them, in few commits', async () => {
  const store = liveStore()
  const cairn = store.open()
  const session = await openSession(cairn, { log: QUIET })
  const users = Array.from({ length: 300 }, (_, i) => `user ${i}`)
  const { commits } = store
  await Promise.all(users.map((user) => session.connect(user)))
  expect(session.users).toHaveLength(300)
  const odd = users.filter((_, i) => i % 2 === 1)
  const refused = session.connect('a\nb').then(
    () => false,
    () => true,
  )
  await Promise.all(odd.map((user) => session.disconnect(user)))
  expect([session.users.length, await refused]).toEqual([150, true])
  expect(store.commits - commits).toBeLessThan(10)
  const restored = await openSession(store.open(), { log: QUIET })
  expect(restored.restored.users).toEqual(session.users)
})

test('what a session could not be read with again is refused, and nothing of it is kept', async () => {
  const store = liveStore()
  const session = await openSession(store.open(), { log: QUIET })
  for (const timeout of [0, 1500.5, -1, '5', Infinity, 2 ** 60])
    await expectRefused(session.connect('Alice', { timeout: timeout as number }), 'usage')
  for (const metadata of [[1], 'x', null, new Uint8Array(3)])
    await expectRefused(session.setMetadata(metadata as unknown as IpldMap), 'usage')
  expect([session.users, session.metadata]).toEqual([[], {}])
  const again = await openSession(store.open(), { log: QUIET })
  expect([again.restored.users, again.metadata]).toEqual([[], {}])
})

test('one who fell silent and cannot be disconnected is disconnected later, and that is told once', async () => {
  const store = liveStore()
  const told: unknown[] = []
  const log = {
    ...QUIET,
    error: (event: string, fields?: object) => void told.push([event, fields]),
  }
  const session = await openSession(store.open(), { log })
  for (const round of [1, 2]) {
    await session.connect('Alice', { timeout: 50 })
    store.failing = true
    // Long enough for it to be tried again.
    await pause(800)
    expect(session.users).toEqual(['Alice'])
    expect(told).toHaveLength(round)
    store.failing = false
    await expect.poll(() => session.users).toEqual([])
  }
  const message = 'User could not be disconnected: Alice: The disk is full.'
  expect(told[0]).toEqual([
    'session.disconnect_failed',
    { dataset: 'main', user: 'Alice', message },
  ])
})

test('closing: twice, during a save and a backup, and while it ends', async () => {
  const dir = await tempDir()
  const failures: unknown[] = []
  const log = { ...QUIET, error: (_: string, fields?: object) => void failures.push(fields) }
  const session = await openSession(dir, { log })
  const map = await session.map<number>('n')
  await map.setAll(Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`k${i}`, i])))
  const create = session.backups.create.bind(session.backups)
  const backing = new Promise<void>((resolve) => {
    Object.assign(session.backups, {
      create: async () => {
        resolve()
        await pause(200)
        return create()
      },
    })
  })
  session.autosave({ ...OFF, every: 5, backupEvery: 10 })
  await backing
  const saving = session.save('manual')
  await Promise.all([session.close(), session.close(), session.shutdown()])
  await saving
  await session.close()
  await expect(session.connect('late')).rejects.toMatchObject({ code: 'closed' })
  const again = await openSession(dir, { log })
  expect((await again.map('n')).size).toBe(2000)
  await again.close({ save: false })
  await pause(200)
  expect(failures).toEqual([])
})

test('closing while a map is loaded ends in order', async () => {
  const dir = await tempDir()
  const first = await openSession(dir, { log: QUIET })
  const map = await first.map<number>('n')
  await map.setAll(Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`k${i}`, i])))
  await first.close()
  const second = await openSession(dir, { log: QUIET })
  const loading = second.map('n').then(
    () => 'loaded',
    () => 'refused',
  )
  await second.close()
  expect(['loaded', 'refused']).toContain(await loading)
})

test('a dataset that is reserved for a while is waited for, by writes, users and saves', async () => {
  const store = liveStore()
  const session = await openSession(store.open(), { log: QUIET })
  const map = await session.map<number>('n')
  const dataset = await store.open().dataset()
  let end = (): void => {}
  const ended = new Promise<void>((resolve) => (end = resolve))
  async function* source(): AsyncGenerator<{ pi: string; value: number }> {
    yield { pi: 'one', value: 1 }
    await ended
  }
  const load = dataset.bulkLoad(source())
  await pause(20)
  let done = 0
  const count = (): void => void (done += 1)
  const work = [
    map.set('a', 1).then(count),
    session.connect('Alice').then(count),
    session.save().then(count),
  ]
  await pause(100)
  expect(done).toBe(0)
  end()
  await load
  await Promise.all(work)
  expect([map.get('a'), session.users, session.health().problems]).toEqual([1, ['Alice'], []])
})

test('a source that saves within its capture is refused, a slow one is one moment, and one is attached once', async () => {
  const session = await openSession(await tempDir(), { log: QUIET })
  let refused: unknown
  await session.attach('greedy', {
    capture: async () => {
      await session.save().catch((error: unknown) => (refused = error))
      return { a: 1 }
    },
  })
  await session.save()
  expect(refused).toMatchObject({ code: 'usage' })
  session.detach('greedy')
  const scene = new Map([
    ['a', 1],
    ['b', 1],
  ])
  const slow = {
    capture: async () => {
      await pause(30)
      return new Map(scene)
    },
  }
  const attached = await Promise.allSettled([session.attach('s', slow), session.attach('s', slow)])
  expect(attached.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
  const saved = session.save()
  scene.set('a', 2).set('b', 2)
  await saved
  expect(new Set((await session.map('s')).values()).size).toBe(1)
  await session.close()
})

test('a source is not attached where nothing is kept', async () => {
  const session = await openSession(liveStore().open(), { log: QUIET, exclude: ['tmp-*'] })
  const source = { capture: () => ({ a: 1 }) }
  const forgets = await session.map('forgets', { persist: false })
  await session.map('keeps')
  for (const name of ['forgets', 'tmp-scene', 'tmp-scene'])
    await expectRefused(session.attach(name, source), 'usage')
  await session.attach('keeps', source)
  await session.attach('new', source)
  expect(await session.save()).toMatchObject({ status: 'saved', written: 2 })
  expect(forgets.size).toBe(0)
})

test('a capture that gives an object without members saves nothing, and deletes nothing', async () => {
  class Scene {
    readonly #objects = { a: 1 }
    get first(): number {
      return this.#objects.a
    }
  }
  const store = liveStore()
  const session = await openSession(store.open(), { log: QUIET })
  let given: unknown = Object.assign(Object.create(null), { a: 1 })
  await session.attach('s', { capture: () => given as Record<string, unknown> })
  await session.save()
  const wrong = [new Date(), new Error('no'), /a/, new WeakMap(), new ArrayBuffer(1), new Scene()]
  for (given of [...wrong, new Uint8Array(), Promise, 'a', undefined]) {
    const { message } = await expectRefused(session.save(), 'unhealthy')
    expect(message).toBe('The source "s" was not saved: its capture gave no state.')
    expect(session.health().healthy).toBe(false)
  }
  expect([...(await store.open().map('s')).entries()]).toEqual([['a', 1]])
  given = {}
  expect(await session.save()).toMatchObject({ status: 'saved', written: 1 })
})

test('an interval that no timer can keep is refused, and what was set before stays', async () => {
  const lines: unknown[] = []
  const log = { ...QUIET, info: (event: string) => void lines.push(event) }
  const session = await openSession(await tempDir(), { log })
  session.autosave({ ...OFF, every: 50 })
  for (const every of [30 * 86_400_000, -1, Number.NaN])
    expect(() => session.autosave({ ...OFF, every })).toThrow('is not possible')
  await (await session.map('n')).set('a', 1)
  await expect.poll(() => lines).toContain('session.saved')
  await session.close()
})

test('a session follows a rollback by another program, and is initialized again at once', async () => {
  const store = liveStore()
  const session = await openSession(store.open(), { log: QUIET })
  const other = await store.open().dataset('main')
  const { number: commit } = await other.head()
  for (const known of [true, false]) {
    await session.initialize()
    await session.setMetadata({ scene: 'new' })
    await session.connect('Alice')
    await other.rollback({ commit })
    if (known) await expect.poll(() => session.state, { timeout: 3000 }).toBe('new')
    if (known) expect([session.metadata, session.users]).toEqual([{}, []])
  }
  // Before it has heard of it.
  await session.initialize()
  const again = await openSession(store.open(), { log: QUIET })
  expect([again.state, session.state]).toEqual(['active', 'active'])
  await session.close()
})

test('a fresh start is whole or not at all, and keeps what was there', async () => {
  const store = liveStore()
  const first = await openSession(store.open(), { log: QUIET })
  await (await first.map('n')).setAll({ a: 1, b: 2 })
  await first.initialize()
  const { commits } = store
  const fresh = await openSession(store.open(), { log: QUIET, fresh: true })
  // A snapshot of what was there, and one commit that makes it new.
  expect([store.commits - commits, fresh.state, (await fresh.map('n')).size]).toEqual([2, 'new', 0])
  await fresh.restore({ snapshot: 'keep' })
  expect((await fresh.map('n')).size).toBe(2)
})

test('two programs with a session on one store: both write, both save, both see all of it', async () => {
  const dir = await tempDir()
  const [one, other] = [
    await openSession(dir, { log: QUIET }),
    await openSession(dir, { log: QUIET }),
  ]
  const [a, b] = [await one.map<number>('n'), await other.map<number>('n')]
  await Promise.all(
    Array.from({ length: 40 }, async (_, i) => {
      await Promise.all([a.set(`a${i}`, i), b.set(`b${i}`, i)])
      if (i % 10 === 0) await Promise.all([one.save(`a${i}`), other.save(`b${i}`)])
    }),
  )
  await expect.poll(() => [a.size, b.size]).toEqual([80, 80])
  await one.close()
  await other.close()
})

test('a hundred thousand keys are set at once, and are there again', async () => {
  const dir = await tempDir()
  const many = new Map(Array.from({ length: 100_000 }, (_, i) => [`key ${i}`, i]))
  const first = await openSession(dir, { log: QUIET })
  await (await first.map<number>('many')).setAll(many)
  await first.close({ save: false })
  const second = await openSession(dir, { log: QUIET })
  const map = await second.map<number>('many')
  expect([map.size, map.get('key 99999')]).toEqual([100_000, 99_999])
  await second.close({ save: false })
})

test('two sessions of one process: at its end both are saved before it exits', async () => {
  const [a, b] = [await tempDir(), await tempDir()]
  const program = `
    const { openSession } = await import(process.argv[1] + '/index.js')
    for (const [dir, ms] of [[process.argv[2], 500], [process.argv[3], 1]]) {
      const session = await openSession(dir)
      await session.attach('state', { capture: async () => {
        await new Promise((resolve) => setTimeout(resolve, ms))
        return { ms }
      } })
      session.autosave({ every: 0, backupEvery: 0 })
    }
    console.log('ready')
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['-e', program, await builtDist(), a, b])
  let said = ''
  child.stdout.on('data', (chunk) => (said += String(chunk)))
  await expect.poll(() => said).toContain('ready')
  child.kill('SIGTERM')
  expect(await once(child, 'close')).toEqual([0, null])
  for (const [dir, ms] of [
    [a, 500],
    [b, 1],
  ] as const) {
    const session = await openSession(dir, { log: QUIET })
    expect((await session.map('state')).get('ms')).toBe(ms)
    await session.close()
  }
})

test('a signal that is repeated at once does not end the last save, and one that comes later does', async () => {
  const program = `
    const { openSession } = await import(process.argv[1] + '/index.js')
    const session = await openSession(process.argv[2])
    await session.attach('state', { capture: async () => {
      console.log('saving')
      await new Promise((resolve) => setTimeout(resolve, Number(process.argv[3])))
      return { saved: true }
    } })
    session.autosave({ every: 0, backupEvery: 0 })
    console.log('ready')
    setInterval(() => {}, 1000)`
  const ended = async (dir: string, saveMs: number, apartMs: number): Promise<unknown> => {
    const given = ['-e', program, await builtDist(), dir, String(saveMs)]
    const child = spawn(process.execPath, given)
    let said = ''
    child.stdout.on('data', (chunk) => (said += String(chunk)))
    await expect.poll(() => said).toContain('ready')
    const end = once(child, 'close')
    child.kill('SIGINT')
    await expect.poll(() => said).toContain('saving')
    await pause(apartMs)
    child.kill('SIGINT')
    child.kill('SIGTERM')
    return end
  }
  const dir = await tempDir()
  expect(await ended(dir, 500, 0)).toEqual([0, null])
  const session = await openSession(dir, { log: QUIET })
  expect((await session.map('state')).get('saved')).toBe(true)
  await session.close()
  const [code, signal] = (await ended(await tempDir(), 20_000, 1100)) as [null, string]
  expect(code).toBeNull()
  expect(['SIGINT', 'SIGTERM']).toContain(signal)
})
