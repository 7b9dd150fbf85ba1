/** The places that a service has for incoming syncs: none is held for longer than its sender goes on with it. */
import { request as httpRequest } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { Cairn } from '../../src/cairn.ts'
import { carHeader, sectionHead } from '../../src/car/encode.ts'
import { CairnError, type ErrorCode } from '../../src/errors.ts'
import { parseCid } from '../../src/model/cid.ts'
import type { SyncStateRecord } from '../../src/service/schemas/replication.ts'
import type { Backend } from '../../src/store/backend.ts'
import { wrapBackend } from '../helpers/counting-backend.ts'
import { newestCommit, refusal } from '../helpers/engine.ts'
import { cut, farSide, type FarSide, type Sent } from '../helpers/far-side.ts'
import { expectProblem } from '../helpers/problem.ts'
import type { Answer } from '../helpers/service.ts'

const SYNCS = '/v1/datasets/main/syncs'
const CAR = 'application/vnd.ipld.car'
const KEY = '0123456789abcdef'.repeat(2)

/** A far side, what is to be sent, and a sender by hand, which does what it is told to and no more. */
async function scene(options: Parameters<typeof farSide>[0] = {}) {
  const cairn = new Cairn(openMemory())
  const { dataset } = await cairn.init('main', { chunkSize: 64 })
  await dataset.putBatch(Array.from({ length: 200 }, (_, i) => ({ pi: `e${i}`, value: { i } })))
  await dataset.build()
  const source = cairn.asSource()
  const far = await farSide(options)
  const { request, url } = far.service()
  const commit = Buffer.from((await source.newest('main', {}))?.bytes ?? []).toString()
  const begin = (key?: string): Promise<Answer> =>
    request('POST', SYNCS, { from: 'somebody', commit, ...(key === undefined ? {} : { key }) })
  const look = (sync: string): Promise<Answer> => request('GET', `${SYNCS}/${sync}`)
  const pathOf = ({ sync, step, cids }: SyncStateRecord): string =>
    `${SYNCS}/${sync}/${step}?count=${cids.length}`
  const bodyFor = async ({ cids }: SyncStateRecord): Promise<Buffer> => {
    const wanted = cids.map(parseCid)
    const blocks = await source.getBlocks(wanted, {})
    const sections = wanted.flatMap((cid, i) => {
      const bytes = blocks[i]
      return bytes === undefined ? [] : [sectionHead(cid, bytes.length), bytes]
    })
    return Buffer.concat([carHeader([]), ...sections])
  }
  const answer = async (state: SyncStateRecord): Promise<SyncStateRecord> => {
    const { json } = await request('PUT', pathOf(state), await bodyFor(state), {
      'content-type': CAR,
    })
    return json as SyncStateRecord
  }
  return {
    dataset,
    source,
    far,
    begin,
    begun: async (key?: string) => (await begin(key)).json as SyncStateRecord,
    look,
    bodyFor,
    answer,
    /** Goes on with a sync until it has ended. */
    finish: async (sync: string): Promise<SyncStateRecord> => {
      let state = (await look(sync)).json as SyncStateRecord
      while (state.wants === 'blocks') state = await answer(state)
      return state
    },
    /** A body that comes in parts. */
    openPut: (state: SyncStateRecord, length: number) => openPut(`${url}${pathOf(state)}`, length),
  }
}

function openPut(url: string, length: number) {
  const headers = { 'content-type': CAR, 'content-length': length }
  const sent = httpRequest(url, { method: 'PUT', agent: false, headers })
  /** The status of the answer; 0 where the connection was ended without one. */
  const status = new Promise<number>((resolve) => {
    sent.on('error', () => resolve(0))
    sent.once('response', (answer) => {
      answer.on('error', () => {})
      answer.resume()
      resolve(answer.statusCode ?? 0)
    })
  })
  onTestFinished(() => void sent.destroy())
  const one = { sent, status, isOver: false }
  void status.then(() => (one.isOver = true))
  return one
}

const calls = ({ sent }: FarSide, from = 0): string[] =>
  sent.slice(from).map(({ method, path }) => `${method} ${path.replace('/v1/datasets/main', '')}`)

test('a question that is not answered ends its sync, however often its sender looks at it', async () => {
  const { source, far, begun, look } = await scene({ incoming: { silentMs: 400, most: 1 } })
  const { sync } = await begun()
  let last = await look(sync)
  expect(last.json).toMatchObject({ wants: 'blocks', error: null })
  for (let looks = 0; last.status === 200 && looks < 200; looks++) {
    await delay(50)
    last = await look(sync)
  }
  expectProblem(last, 404, 'not_found')
  expect(await far.target({ retries: 0 }).sync(source, 'main')).toMatchObject({ status: 'synced' })
})

test('each question has a time of its own: a sender that answers all of them, slowly, comes to the end', async () => {
  const silentMs = 2400
  const { far, dataset, begun, answer, finish } = await scene({ incoming: { silentMs } })
  const began = performance.now()
  let state = await begun()
  for (let times = 0; times < 5; times++) {
    await delay(silentMs / 3)
    state = await answer({ ...state, cids: state.cids.slice(0, 1) })
    expect(state).toMatchObject({ wants: 'blocks', step: times + 2 })
  }
  expect(performance.now() - began).toBeGreaterThan(silentMs)
  expect(await finish(state.sync)).toMatchObject({ report: { status: 'synced' } })
  expect((await newestCommit(far.backend)).next).toBe((await dataset.pointer()).commit.next)
})

test('a body that is arriving is waited for, but no longer than one may take', async () => {
  const limits = { silentMs: 400, bodyMs: 800, most: 1 }
  const { begun, look, bodyFor, finish, openPut } = await scene({ incoming: limits })
  const state = await begun()
  const body = await bodyFor(state)
  const slow = openPut(state, body.length)
  slow.sent.write(body.subarray(0, 10))
  await delay(600)
  expect((await look(state.sync)).json).toEqual(state)
  slow.sent.end(body.subarray(10))
  expect(await slow.status).toBe(200)
  expect(await finish(state.sync)).toMatchObject({ report: { status: 'synced' } })

  // Others that come in its place get no time of their own.
  const other = await scene({ incoming: limits })
  const asked = await other.begun()
  const began = performance.now()
  let last = await other.look(asked.sync)
  while (last.status === 200 && performance.now() - began < 5000) {
    other.openPut(asked, 1000).sent.write(Buffer.alloc(10))
    await delay(50)
    last = await other.look(asked.sync)
  }
  expectProblem(last, 404, 'not_found')
  expect(performance.now() - began).toBeGreaterThan(limits.silentMs)
  expect((await other.begin()).status).toBe(200)
})

test('a beginning that is sent again is the same sync, and takes one place', async () => {
  const { begin, begun, look, finish } = await scene({ incoming: { most: 1 } })
  const { sync, ...first } = await begun(KEY)
  expect(first).toMatchObject({ wants: 'blocks', step: 1 })
  for (let times = 0; times < 3; times++) expect(await begun(KEY)).toEqual({ sync, ...first })
  for (const key of [undefined, KEY.replace('0', 'f')])
    expectProblem(await begin(key), 503, 'overloaded')
  expectProblem(await begin('short'), 400, 'usage')
  expect(await finish(sync)).toMatchObject({ report: { status: 'synced' } })
  // It runs no more: what is begun now is another.
  expect((await look(sync)).json).toMatchObject({ report: { status: 'synced' } })
  expect(await begun(KEY)).toMatchObject({ report: { status: 'already_synced' } })
})

test('a sender that hears nothing of what it begins leaves nothing behind', async () => {
  const { source, far } = await scene({ incoming: { most: 1 } })
  const after = ({ method }: Sent): void => (method === 'POST' ? cut() : undefined)
  for (let times = 0; times < 3; times++) {
    const deaf = far.target({ after, retries: 2 }).sync(source, 'main')
    expect((await refusal(deaf)).code).toBe('backend_unavailable')
  }
  expect(calls(far).filter((call) => call === 'POST /syncs').length).toBe(9)
  expect(await far.target({ retries: 0 }).sync(source, 'main')).toMatchObject({ status: 'synced' })
})

test('of many bodies for one sync one is taken in, and the sync goes on', async () => {
  const { begun, look, finish, openPut } = await scene()
  const state = await begun()
  const part = Buffer.alloc(7 << 20)
  const bodies = Array.from({ length: 50 }, () => openPut(state, 8 << 20))
  for (const { sent } of bodies) sent.write(part)
  const open = () => bodies.filter(({ isOver }) => !isOver)
  await expect.poll(() => open().length, { timeout: 10_000 }).toBe(1)
  await delay(200)
  expect(open().length).toBe(1)
  const refused = bodies.filter(({ isOver }) => isOver).map(({ status }) => status)
  for (const status of await Promise.all(refused)) expect([503, 0]).toContain(status)
  for (const { sent } of open()) sent.destroy()
  expect((await look(state.sync)).json).toEqual(state)
  expect(await finish(state.sync)).toMatchObject({ report: { status: 'synced' } })
})

test('what was not asked for, or was answered before, is not read', async () => {
  const { begun, answer, finish, openPut } = await scene()
  const state = await begun()
  const next = await answer(state)
  // No more than a beginning of either comes.
  const statuses = [state.step, next.step + 1].map((step) => {
    const { sent, status } = openPut({ ...state, step }, 8 << 20)
    sent.write(Buffer.alloc(10))
    return status
  })
  expect(await Promise.all(statuses)).toEqual([200, 400])
  expect(await finish(state.sync)).toMatchObject({ report: { status: 'synced' } })
})

/** A store of which one call fails, once. */
function failing(call: 'stage' | 'put' | 'flush', error: Error): Backend {
  const inner = openMemory()
  let failed = false
  const once = (one: typeof call): void => {
    if (one !== call || failed) return
    failed = true
    throw error
  }
  return wrapBackend(inner, {
    stage: async (...args) => {
      once('stage')
      const staging = await inner.stage(...args)
      return {
        ...staging,
        put: async (...given) => {
          once('put')
          await staging.put(...given)
        },
        flush: async (...given) => {
          once('flush')
          await staging.flush(...given)
        },
        end: (outcome) => staging.end(outcome),
      }
    },
  })
}

test('what ended a sync is told once, as what it is, and the next one goes on', async () => {
  const away = (code: ErrorCode): Error =>
    new CairnError(code, 'The bucket at https://me:pa55word@far.example is away.', {
      hint: 'Wait.',
    })
  const failures: [Parameters<typeof failing>[0], Error, ErrorCode][] = [
    ['put', away('backend_unavailable'), 'backend_unavailable'],
    ['stage', away('backend_unavailable'), 'backend_unavailable'],
    ['flush', away('backend_timeout'), 'backend_timeout'],
    ['put', away('commit_unknown'), 'commit_unknown'],
    ['put', away('no_space'), 'no_space'],
    ['put', new TypeError('x is undefined'), 'internal'],
  ]
  for (const [call, failure, code] of failures) {
    const { source, far } = await scene({ backend: failing(call, failure) })
    const began = performance.now()
    const error = await refusal(far.target().sync(source, 'main'))
    expect(performance.now() - began, `${call} ${code}`).toBeLessThan(15_000)
    expect(error.code).toBe(code)
    expect(error.message).not.toMatch(/pa55word|undefined/)
    if (code !== 'internal') expect(error).toMatchObject({ hint: 'Wait.' })
    const logged = far.service().lines.filter(({ event }) => event.endsWith('.failed'))
    expect(logged.map(({ fields }) => fields['code'])).toEqual([code])
    expect(await far.target().sync(source, 'main')).toMatchObject({ status: 'synced' })
  }
})

test('how it ended is remembered for a while, and no longer because it is asked for', async () => {
  const backend = failing('put', new CairnError('backend_unavailable', 'It is away.'))
  const { begun, look, finish } = await scene({ backend, incoming: { silentMs: 3000 } })
  const { sync } = await begun()
  const error = { code: 'backend_unavailable', message: 'It is away.' }
  expect(await finish(sync)).toMatchObject({ wants: 'nothing', report: null, error })
  let last = await look(sync)
  expect(last.json).toMatchObject({ error })
  for (let looks = 0; last.status === 200 && looks < 200; looks++) {
    await delay(50)
    last = await look(sync)
  }
  expectProblem(last, 404, 'not_found')
})

test('a service that ends says so, and not how the sync ended: its sender comes again', async () => {
  let staged: () => void = () => {}
  const atWork = new Promise<void>((resolve) => (staged = resolve))
  const backend = wrapBackend(openMemory(), {
    stage: (_dataset, _label, { signal } = {}) =>
      new Promise((_, reject) => {
        signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
        staged()
      }),
  })
  const { begin, far } = await scene({ backend })
  const begun = begin()
  await atWork
  far.service().drain()
  expectProblem(await begun, 503, 'closed')
})
