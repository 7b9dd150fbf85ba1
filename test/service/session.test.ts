/** The session over HTTP: connecting, heartbeats, saving when somebody leaves or is lost, and many at once. */
import { setTimeout as delay } from 'node:timers/promises'
import { expect, onTestFinished, test, vi } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { openBackend } from '../../src/compose.ts'
import { Cairn } from '../../src/cairn.ts'
import type { Job } from '../../src/jobs/job.ts'
import { createToken } from '../../src/service/access/token-file.ts'
import { createHeartbeats } from '../../src/service/heartbeats.ts'
import { createSessions } from '../../src/service/sessions.ts'
import { sharedDatasets } from '../../src/service/service.ts'
import { NEW_SESSION, withUser } from '../../src/live/session-record.ts'
import { tempDir } from '../helpers/engine.ts'
import { expectRefused, LINKED, MAIN, until } from '../helpers/hostile.ts'
import { expectProblem } from '../helpers/problem.ts'
import { startService, type Answer, type TestService } from '../helpers/service.ts'

const SESSION = `${MAIN}/session`
const JSON_BODY = { 'content-type': 'application/json' }

interface Session {
  readonly initialized: boolean
  readonly user_count: number
  readonly users: readonly { user: string; timeout_ms: number | null }[]
  readonly metadata: unknown
}
const sessionOf = async ({ request }: TestService): Promise<Session> =>
  (await request('GET', SESSION)).json as Session
const namesOf = async (service: TestService): Promise<string[]> =>
  (await sessionOf(service)).users.map(({ user }) => user)
const post = ({ request }: TestService, path: string, body?: unknown): Promise<Answer> =>
  request('POST', `${SESSION}/${path}`, body)
const reasons = async ({ request }: TestService): Promise<string[]> => {
  const { json } = await request('GET', `${MAIN}/snapshots`)
  return (json as { items: { reason: string }[] }).items.map(({ reason }) => reason)
}

test('users connect and leave; the last state is saved with who has left', async () => {
  const service = await startService(LINKED)
  expect(await sessionOf(service)).toEqual({
    initialized: false,
    user_count: 0,
    users: [],
    metadata: {},
  })
  expect((await post(service, 'connect', { user: 'Alice' })).status).toBe(201)
  const bob = await post(service, 'connect', { user: 'Bob', timeout_ms: 60_000 })
  expect(bob.json).toMatchObject({ user: 'Bob', timeout_ms: 60_000, user_count: 2 })
  expect((await post(service, 'connect', { user: 'Bob', timeout_ms: 60_000 })).status).toBe(200)
  expect((await post(service, 'heartbeat', { user: 'Bob' })).json).toEqual({
    user: 'Bob',
    timeout_ms: 60_000,
  })
  const left = await post(service, 'disconnect', { user: 'Alice' })
  expect(left.status).toBe(200)
  expect(left.json).toMatchObject({
    user: 'Alice',
    disconnected: true,
    user_count: 1,
    saved: true,
    job: { kind: 'build', state: 'succeeded', reason: 'user_disconnect:Alice' },
  })
  expect((await reasons(service))[0]).toBe('user_disconnect:Alice')
  expect(await namesOf(service)).toEqual(['Bob'])
  const { length } = await reasons(service)
  // Who is not connected is no error, and nothing is saved.
  const again = await post(service, 'disconnect', { user: 'Alice' })
  expect([again.status, again.json]).toEqual([
    200,
    { user: 'Alice', disconnected: false, user_count: 1, saved: false, job: null },
  ])
  expect((await reasons(service)).length).toBe(length)
  expectProblem(await post(service, 'heartbeat', { user: 'Alice' }), 404, 'not_found')
})

test('what was written before a disconnect is in its snapshot', async () => {
  const service = await startService(LINKED)
  await post(service, 'connect', { user: 'Alice' })
  const scene = `${MAIN}/maps/scene/keys/cube`
  await service.request('PUT', scene, '{"x":1}', JSON_BODY)
  await post(service, 'disconnect', { user: 'Alice' })
  const held = `${MAIN}/entities/map%2Fscene%2Fcube/content?at_snapshot=latest`
  expect((await service.request('GET', held)).json).toEqual({ x: 1 })
})

test('without waiting a save is a job; a save by hand has its reason', async () => {
  const service = await startService(LINKED)
  const { request } = service
  await post(service, 'connect', { user: 'Alice' })
  const left = await post(service, 'disconnect?wait=false', { user: 'Alice' })
  expect([left.status, left.json]).toMatchObject([202, { disconnected: true, saved: false }])
  const { job } = left.json as { job: Job }
  expect(left.headers.get('location')).toBe(`${MAIN}/jobs/${job.id}`)
  const ended = await request('GET', `${MAIN}/jobs/${job.id}?wait_ms=10000`)
  expect(ended.json).toMatchObject({ job: { state: 'succeeded' } })
  await request('PUT', `${MAIN}/entities/a`, { value: 1 })
  const saved = await post(service, 'save', { reason: 'before the demo' })
  expect([saved.status, saved.json]).toMatchObject([200, { saved: true }])
  expect((await reasons(service))[0]).toBe('before the demo')
  // Nothing new is a success as well.
  expect((await post(service, 'save', {})).json).toMatchObject({ saved: true })
})

test('a save that fails is not called saved, and the disconnect stays', async () => {
  const backend = openMemory()
  const service = await startService({ backend, ...LINKED })
  await post(service, 'connect', { user: 'Alice' })
  const stage = backend.stage.bind(backend)
  backend.stage = () => Promise.reject(new Error('the store has no place'))
  const left = await post(service, 'disconnect', { user: 'Alice' })
  expect([left.status, left.json]).toMatchObject([
    200,
    { disconnected: true, saved: false, job: { state: 'failed' } },
  ])
  backend.stage = stage
  expect(await namesOf(service)).toEqual([])
})

test('who is silent is disconnected, and that is saved and logged', async () => {
  const service = await startService(LINKED)
  service.service.heartbeats.start()
  await post(service, 'connect', { user: 'Lost', timeout_ms: 300 })
  await post(service, 'connect', { user: 'Beats', timeout_ms: 300 })
  await post(service, 'connect', { user: 'Stays' })
  let beats = 0
  const beating = setInterval(() => {
    beats++
    void post(service, 'heartbeat', { user: 'Beats' }).catch(() => {})
  }, 50)
  await until(async () => (await reasons(service)).includes('user_disconnect:Lost'))
  await delay(300)
  clearInterval(beating)
  expect(await namesOf(service)).toEqual(['Beats', 'Stays'])
  expect(beats).toBeGreaterThan(5)
  await until(async () => !(await namesOf(service)).includes('Beats'))
  const lapsed = service.lines.filter(({ event }) => event === 'session.lapsed')
  expect(lapsed.map(({ fields }) => fields['user'])).toEqual(['Lost', 'Beats'])
  expectProblem(await post(service, 'heartbeat', { user: 'Lost' }), 404, 'not_found')
})

test('after a restart the session is there, and the time of its users begins anew', async () => {
  const dir = await tempDir()
  const open = async (): Promise<TestService> =>
    startService({ backend: await openBackend(`lmdb:${dir}/store`), ...LINKED })
  const first = await open()
  await post(first, 'initialize')
  await first.request('PUT', `${SESSION}/metadata`, { scene: 'hall' })
  await post(first, 'connect', { user: 'Alice', timeout_ms: 400 })
  await post(first, 'connect', { user: 'Bob' })
  await first.close()
  await delay(500)
  const second = await open()
  second.service.heartbeats.start()
  expect(await sessionOf(second)).toMatchObject({
    initialized: true,
    user_count: 2,
    metadata: { scene: 'hall' },
  })
  expect((await post(second, 'heartbeat', { user: 'Alice' })).status).toBe(200)
  await until(async () => (await reasons(second)).includes('user_disconnect:Alice'))
  expect(await namesOf(second)).toEqual(['Bob'])
})

test('metadata is any JSON object; initialized stays', async () => {
  const service = await startService(LINKED)
  const { request } = service
  expect((await post(service, 'initialize')).json).toEqual({ initialized: true, changed: true })
  expect((await post(service, 'initialize')).json).toEqual({ initialized: true, changed: false })
  const exact = '{"big":12345678901234567890,"bytes":{"/":{"bytes":"AQI"}}}'
  const put = (body: unknown): Promise<Answer> =>
    request('PUT', `${SESSION}/metadata`, body, JSON_BODY)
  expect((await put(exact)).json).toEqual({ changed: true })
  expect((await put(exact)).json).toEqual({ changed: false })
  expect((await request('GET', SESSION)).text).toContain(`"metadata":${exact}`)
  for (const bad of ['[]', '1', 'null', '{', '', '{"__proto__":1}', '{"/":{"bytes":"AQI"}}'])
    expectRefused(await put(bad), bad)
  expectProblem(await put({ text: 'x'.repeat(1_100_000) }), 413, 'too_large')
  await post(service, 'connect', { user: 'A' })
  expect(await sessionOf(service)).toMatchObject({ initialized: true, user_count: 1 })
})

test('what is no user, no time and no reason is refused', async () => {
  const service = await startService(LINKED)
  for (const user of [
    '',
    'a\nb',
    'a\u0000',
    '\u007f',
    '__proto__',
    'x'.repeat(101),
    5,
    null,
    '\ud800',
  ])
    for (const path of ['connect', 'heartbeat', 'disconnect'])
      expectProblem(await post(service, path, { user }), 400, 'usage')
  for (const timeout of [0, -1, 99, 1.5, '5000', null, 2 ** 53, 2_592_000_001])
    expectProblem(await post(service, 'connect', { user: 'a', timeout_ms: timeout }), 400, 'usage')
  expectProblem(await post(service, 'connect', { user: 'a', more: 1 }), 400, 'usage')
  expectProblem(await post(service, 'save', { reason: '' }), 400, 'usage')
  expectProblem(await post(service, 'disconnect?wait=maybe', { user: 'a' }), 400, 'usage')
  for (const user of ['constructor', 'toString', 'a/b', '/', '😀', ' '])
    expect((await post(service, 'connect', { user })).status, user).toBe(201)
  expect((await namesOf(service)).length).toBe(6)
  for (const path of ['connect', 'disconnect'])
    expectProblem(
      await service.request('POST', `/v1/datasets/none/session/${path}`, { user: 'a' }),
      404,
      'dataset_not_found',
    )
  const external = await startService({ init: { content: 'external' } })
  expectProblem(await post(external, 'connect', { user: 'a' }), 409, 'conflict')
  expect(await sessionOf(external)).toMatchObject({ user_count: 0 })
})

test('200 users connect at once, and leave at once: each is counted', async () => {
  const service = await startService(LINKED)
  const users = Array.from({ length: 200 }, (_, i) => `user ${i}`)
  const answers = await Promise.all(users.map((user) => post(service, 'connect', { user })))
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]))
  expect((await namesOf(service)).toSorted()).toEqual(users.toSorted())
  const left = await Promise.all(
    users.slice(1).map((user) => post(service, 'disconnect?wait=false', { user })),
  )
  expect(new Set(left.map(({ status }) => status))).toEqual(new Set([202]))
  expect(await namesOf(service)).toEqual(['user 0'])
})

test('changes that are asked for at once share a commit, and one that is refused fails alone', async () => {
  const log = { info: () => {}, error: () => {}, debug: () => {} }
  const cairn = new Cairn(openMemory(), { log, now: Date.now })
  await cairn.init('main', { content: 'linked' })
  const store = createSessions({ dataset: sharedDatasets(cairn), onChange: () => {} })
  const outcomes = await Promise.allSettled(
    Array.from({ length: 100 }, (_, i) =>
      store.change('main', (record) =>
        withUser(record, i === 50 ? '\n' : `u${i}`, { since: 1, timeout_ms: null }),
      ),
    ),
  )
  expect(outcomes.flatMap(({ status }, i) => (status === 'rejected' ? [i] : []))).toEqual([50])
  expect(Object.keys((await store.read('main')).users).length).toBe(99)
  const dataset = await cairn.dataset('main')
  expect((await dataset.head()).recentCount).toBeLessThanOrEqual(2)
})

test('two processes change one session: no change is lost', async () => {
  const backend = openMemory()
  const log = { info: () => {}, error: () => {}, debug: () => {} }
  const stores = await Promise.all(
    [1, 2, 3].map(async () => {
      const cairn = new Cairn(backend, { log, now: Date.now })
      await cairn.init('main', { content: 'linked' })
      return createSessions({ dataset: sharedDatasets(cairn), onChange: () => {} })
    }),
  )
  const connected = { since: 1, timeout_ms: null }
  await Promise.all(
    stores.flatMap((store, s) =>
      Array.from({ length: 30 }, async (_, i) => {
        await delay(i % 7)
        await store.change('main', (record) => withUser(record, `${s}-${i}`, connected))
      }),
    ),
  )
  for (const store of stores) expect(Object.keys((await store.read('main')).users).length).toBe(90)
})

test('the 5001st user is refused, and nobody else with them', async () => {
  const service = await startService(LINKED)
  const users = Object.fromEntries(
    Array.from({ length: 4999 }, (_, i) => [`user ${i}`, { since: 1, timeout_ms: 60_000 }]),
  )
  await (await service.service.dataset('main')).put('session', { ...NEW_SESSION, users })
  const answers = await Promise.all(
    ['a', 'b', 'c', 'user 7'].map((user) => post(service, 'connect', { user, timeout_ms: 60_000 })),
  )
  expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
    200, 201, 413, 413,
  ])
  expect((await sessionOf(service)).user_count).toBe(5000)
})

test('a foreign entity `session` is left alone', async () => {
  const service = await startService(LINKED)
  await service.request('PUT', `${MAIN}/entities/session`, { value: { mine: 1 } })
  service.service.heartbeats.start()
  expectProblem(await service.request('GET', SESSION), 422, 'invalid_content')
  expectProblem(await post(service, 'connect', { user: 'a' }), 422, 'invalid_content')
  expect((await service.request('GET', `${MAIN}/entities/session/content`)).json).toEqual({
    mine: 1,
  })
})

interface World {
  readonly heartbeats: ReturnType<typeof createHeartbeats>
  readonly store: ReturnType<typeof createSessions>
  readonly saved: string[]
  readonly clock: { now: number }
  readonly users: () => Promise<string[]>
  readonly generation: { now: string }
}

/** Heartbeats with a clock of the test's own. */
async function world(): Promise<World> {
  const log = { info: () => {}, error: () => {}, debug: () => {} }
  const cairn = new Cairn(openMemory(), { log, now: Date.now })
  await cairn.init('main', { content: 'linked' })
  const store = createSessions({ dataset: sharedDatasets(cairn), onChange: () => {} })
  const saved: string[] = []
  const clock = { now: 0 }
  const generation = { now: 'first' }
  const stop = new AbortController()
  const heartbeats = createHeartbeats({
    sessions: store,
    datasets: async () => ['main'],
    generation: async () => generation.now,
    save: async (_, reason) => saved.push(reason),
    log,
    stop: stop.signal,
    clock: () => clock.now,
  })
  const users = async (): Promise<string[]> => Object.keys((await store.read('main')).users)
  return { heartbeats, store, saved, clock, users, generation }
}

test('a process that was deaf does not take those for lost whom it did not hear', async () => {
  const { heartbeats, store, saved, clock, users } = await world()
  const connected = { since: 1, timeout_ms: 100 }
  await store.change('main', (record) => withUser(record, 'A', connected))
  heartbeats.hear('main', 'A', connected)
  // It was stopped for a minute: its bell rings late.
  clock.now = 60_000
  await delay(200)
  expect(await users()).toEqual(['A'])
  // From then on it counts again.
  clock.now += 101
  await until(async () => (await users()).length === 0)
  expect(saved).toEqual(['user_disconnect:A'])
})

test('a lapse that cannot be written is tried again', async () => {
  const { heartbeats, store, saved, clock, users } = await world()
  const connected = { since: 1, timeout_ms: 100 }
  await store.change('main', (record) => withUser(record, 'A', connected))
  const { change } = store
  let failures = 0
  Object.assign(store, { change: () => Promise.reject(new Error(`no ${++failures}`)) })
  heartbeats.hear('main', 'A', connected)
  clock.now = 101
  await until(() => failures === 1)
  expect(await users()).toEqual(['A'])
  Object.assign(store, { change })
  clock.now += 2000
  await until(async () => (await users()).length === 0)
  expect(saved).toEqual(['user_disconnect:A'])
})

test('after a restore the time of those whom it brought back begins anew', async () => {
  vi.useFakeTimers({ toFake: ['setInterval'] })
  onTestFinished(() => void vi.useRealTimers())
  const { heartbeats, store, saved, clock, users, generation } = await world()
  heartbeats.start()
  await vi.advanceTimersByTimeAsync(15_000)
  const connected = { since: 1, timeout_ms: 100 }
  await store.change('main', (record) => withUser(record, 'A', connected))
  // In the record by another process: that one looks after them.
  await vi.advanceTimersByTimeAsync(15_000)
  clock.now += 5000
  await delay(150)
  expect(await users()).toEqual(['A'])
  generation.now = 'restored'
  await vi.advanceTimersByTimeAsync(15_000)
  await delay(50)
  clock.now += 101
  await until(async () => (await users()).length === 0)
  expect(saved).toEqual(['user_disconnect:A'])
})

test('who connected anew elsewhere is not taken for lost', async () => {
  const { heartbeats, store, saved, clock, users } = await world()
  heartbeats.hear('main', 'A', { since: 1, timeout_ms: 100 })
  await store.change('main', (record) => withUser(record, 'A', { since: 2, timeout_ms: 100 }))
  clock.now = 101
  await delay(250)
  expect(await users()).toEqual(['A'])
  expect(saved).toEqual([])
})

test('rights', async () => {
  const file = `${await tempDir()}/tokens.json`
  const { token } = await createToken(file, { name: 'reader', right: 'read' })
  const service = await startService({ ...LINKED, values: { tokens_file: file } })
  const reader = { authorization: `Bearer ${token}` }
  expect((await service.request('GET', SESSION, undefined, reader)).status).toBe(200)
  for (const path of ['initialize', 'connect', 'heartbeat', 'disconnect', 'save'])
    expectProblem(
      await service.request('POST', `${SESSION}/${path}`, { user: 'a' }, reader),
      403,
      'access_denied',
    )
  expectProblem(
    await service.request('PUT', `${SESSION}/metadata`, {}, reader),
    403,
    'access_denied',
  )
  expectProblem(await service.request('GET', SESSION), 401, 'unauthenticated')
})
