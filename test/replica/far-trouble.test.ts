/** A far side that is away, broken or hostile: its sender ends or waits, and gives away neither secrets nor contents. */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { inspect } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { Cairn } from '../../src/cairn.ts'
import { blocksOfCar } from '../../src/car/blocks-of.ts'
import { transport } from '../../src/client/transport.ts'
import { follow } from '../../src/engine/replica/follow.ts'
import type { FollowedSource, SyncSource } from '../../src/engine/replica/source.ts'
import type { SyncReport } from '../../src/engine/replica/sync.ts'
import { isCairnError, type CairnError } from '../../src/errors.ts'
import { encodeChainBlock } from '../../src/model/chain-block.ts'
import { cborBlock, cidKey, printCid, rawCidOf } from '../../src/model/cid.ts'
import { PATIENCE, type PatienceLimits } from '../../src/remote/patience.ts'
import { serviceSource } from '../../src/remote/service-source.ts'
import { serviceTarget } from '../../src/remote/service-target.ts'
import { checkedToken } from '../../src/remote/token.ts'
import { expectRefused } from '../helpers/engine.ts'
import { farSide } from '../helpers/far-side.ts'
import { expectSame } from '../helpers/replicas.ts'
import { startService } from '../helpers/service.ts'

const SYNC = '0'.repeat(32)
const URL_THERE = 'http://far.example'
const REPORT = {
  status: 'synced',
  dataset: 'main',
  source: 'push:here',
  from: 1,
  commit: 1,
  generation: 1,
  next: 1,
  seq: 1,
  total_count: 1,
  snapshots: 1,
  blocks: 1,
  bytes: 1,
  requests: 1,
  found: 1,
}

const state = (said: Readonly<Record<string, unknown>> = {}) => ({
  sync: SYNC,
  wants: 'nothing',
  step: 0,
  cids: [],
  log_from: null,
  report: null,
  error: null,
  ...said,
})

interface Asked {
  readonly method: string
  readonly nth: number
  readonly body: unknown
}

/** A far side that answers each request at once, with what `answer` makes of it. */
function fakeFar(answer: (asked: Asked) => unknown, limits: Partial<PatienceLimits> = {}) {
  const asked: Asked[] = []
  const send: typeof fetch = async (_, { method = 'GET', body } = {}) => {
    const one = { method, nth: asked.length, body }
    asked.push(one)
    const said = method === 'DELETE' ? { sync: SYNC } : answer(one)
    return said instanceof Response ? said : Response.json(said)
  }
  const target = (token?: string) =>
    serviceTarget({ url: URL_THERE, fetch: send, token, retries: 0 }, { ...PATIENCE, ...limits })
  return { asked, send, target }
}

async function primary(content: 'linked' | 'external' = 'linked') {
  const backend = openMemory()
  const cairn = new Cairn(backend)
  const { dataset } = await cairn.init('main', { content, chunkSize: 64 })
  let held = 0
  const store = cairn.asSource()
  const source: FollowedSource = {
    ...store,
    location: 'lmdb:/primary',
    hold: async (...call) => {
      const release = await store.hold(...call)
      held += 1
      return async () => {
        held -= 1
        await release()
      }
    },
  }
  return { backend, cairn, dataset, source, held: () => held }
}

const newestOf = async (source: SyncSource) => {
  const stored = await source.newest('main', {})
  if (stored === undefined) throw new Error('no commit')
  return stored
}

test('who says nothing for ever is asked now and then, and then given up; nothing stays held', async () => {
  const { source, held } = await primary()
  const far = fakeFar(() => state(), { idleMs: 600, paceMs: 100 })
  await expectRefused(far.target().sync(source, 'main'), 'deadline_exceeded')
  const methods = far.asked.map(({ method }) => method)
  expect(methods.at(0)).toBe('POST')
  expect(methods.at(-1)).toBe('DELETE')
  expect(methods.length).toBeGreaterThan(4)
  // One more than 600 ms take, at 100 ms each, and the two ends.
  expect(methods.length).toBeLessThan(10)
  expect(held()).toBe(0)
})

test('who is told to stop while nothing is wanted stops at once', async () => {
  const { source, held } = await primary()
  const far = fakeFar(() => state(), { paceMs: 60_000 })
  const stop = new AbortController()
  const sync = far.target().sync(source, 'main', { signal: stop.signal })
  setTimeout(() => stop.abort(), 50)
  await expect(sync).rejects.toMatchObject({ code: 'aborted' })
  expect(far.asked.map(({ method }) => method)).toEqual(['POST', 'DELETE'])
  expect(held()).toBe(0)
})

test('who is at work for long between its questions is waited for, since each begins the time anew', async () => {
  const { source } = await primary()
  const began = performance.now()
  const far = fakeFar(
    ({ nth }) => {
      if (nth === 25) return state({ report: REPORT })
      return state(nth % 5 === 4 ? { wants: 'newest', step: nth } : {})
    },
    { idleMs: 800, paceMs: 80 },
  )
  const report = await far.target().sync(source, 'main')
  expect(performance.now() - began).toBeGreaterThan(1200)
  expect(report).toMatchObject({ status: 'synced', totalCount: 1, source: 'lmdb:/primary' })
})

test.each([{ wants: 'newest' }, { wants: 'blocks' }])(
  'who asks for the same again and again ($wants) comes to an end',
  async (said) => {
    const { source, held } = await primary()
    const { commit } = await newestOf(source)
    const cids = said.wants === 'blocks' ? [printCid(commit.snapshot)] : []
    const far = fakeFar(({ nth }) => state({ ...said, cids, step: nth + 1 }), { wholeMs: 300 })
    await expectRefused(far.target().sync(source, 'main'), 'deadline_exceeded')
    expect(far.asked.filter(({ method }) => method === 'PUT').length).toBeGreaterThan(2)
    expect(far.asked.at(-1)?.method).toBe('DELETE')
    expect(held()).toBe(0)
  },
)

test('what is no state of a sync is refused, and never gone on with', async () => {
  const { source } = await primary()
  const { status: _, ...noStatus } = REPORT
  const wrong: unknown[] = [
    null,
    'text',
    [],
    {},
    state({ sync: '../../../v1/tokens' }),
    state({ sync: 7 }),
    state({ wants: 'everything' }),
    state({ step: '1' }),
    state({ cids: null }),
    state({ cids: [7] }),
    state({ wants: 'blocks' }),
    state({ log_from: '0' }),
    state({ report: undefined }),
    state({ report: noStatus }),
    state({ report: { ...REPORT, total_count: 'many' } }),
    state({ error: 'a text' }),
    state({ error: { code: 7, message: 'a text' } }),
  ]
  for (const said of wrong) {
    const far = fakeFar(() => Response.json(said))
    await expectRefused(far.target().sync(source, 'main'), 'backend_refused')
    expect(far.asked.filter(({ method }) => method !== 'DELETE').length).toBe(1)
  }
})

const html = (status: number): Response =>
  new Response('<html><h1>Bad Gateway</h1></html>', {
    status,
    headers: { 'content-type': 'text/html' },
  })

/** Follows until the test is over. */
function following(source: Pick<FollowedSource, 'changed'>, sync: () => Promise<SyncReport>) {
  const stop = new AbortController()
  onTestFinished(() => stop.abort())
  const synced: SyncReport[] = []
  const away: string[] = []
  const ended = follow({
    source,
    dataset: 'main',
    sync,
    onSynced: (report) => void synced.push(report),
    onAway: ({ code }) => void away.push(code),
    signal: stop.signal,
    delay: (ms) => delay(Math.min(ms, 20)),
  })
  ended.catch(() => undefined)
  const until = async (holds: () => boolean): Promise<void> => {
    while (!holds())
      await Promise.race([delay(5), ended.then(() => Promise.reject(new Error('ended')))])
  }
  return { synced, away, until }
}

test('a proxy that answers for the service is waited out by who pulls, also while the stream lasts', async () => {
  const { backend, dataset } = await primary()
  const { url, app } = await startService({ backend, init: null, automation: false })
  const statuses = [502, 503, 504, 429]
  let isAway = true
  let nth = 0
  const between: typeof fetch = async (input, init) => {
    if (isAway) return html(statuses[nth++ % 4] ?? 502)
    const { pathname } = new URL(input instanceof Request ? input.url : input)
    return fetch(url + pathname, init)
  }
  const source = serviceSource(
    URL_THERE,
    'main',
    transport({ url: URL_THERE, fetch: between, retries: 0 }),
  )
  const replica = new Cairn(openMemory())
  const { synced, away, until } = following(source, () => replica.sync(source))
  await until(() => away.length >= 5)
  expect(away.slice(0, 4)).toEqual([
    'backend_unavailable',
    'backend_unavailable',
    'backend_unavailable',
    'rate_limited',
  ])
  isAway = false
  await until(() => synced.length === 1)
  // The stream has begun, and breaks into the arms of the proxy.
  await delay(200)
  const before = away.length
  isAway = true
  app.server.closeAllConnections()
  await until(() => away.length >= before + 3)
  isAway = false
  await dataset.put('a', 1)
  await until(() => synced.length === 2)
})

test('and by who pushes', async () => {
  const { dataset, source } = await primary()
  await dataset.put('a', 1)
  const far = await farSide()
  let isAway = true
  const between: typeof fetch = async (input, init) => {
    if (isAway) return html(502)
    const { pathname, search } = new URL(input instanceof Request ? input.url : input)
    return fetch(far.service().url + pathname + search, init)
  }
  const target = serviceTarget({ url: URL_THERE, fetch: between, retries: 0 })
  const { synced, away, until } = following(source, () => target.sync(source, 'main'))
  await until(() => away.length >= 3)
  expect(new Set(away)).toEqual(new Set(['backend_unavailable']))
  isAway = false
  await until(() => synced.length === 1)
  await expectSame(dataset, far.backend, Date.now)
})

test('a code that Cairn knows counts whatever the status, and an answer with neither ends it', async () => {
  const answers: readonly (readonly [status: number, body: unknown, code: string])[] = [
    [502, { code: 'backend_refused' }, 'backend_refused'],
    [502, { code: 'offsite_failed' }, 'offsite_failed'],
    [502, { code: 'UPSTREAM_DOWN' }, 'backend_unavailable'],
    [503, { code: 'constructor' }, 'backend_unavailable'],
    [500, { code: 'toString' }, 'backend_refused'],
    [404, {}, 'backend_refused'],
  ]
  for (const [status, body, code] of answers) {
    const far = fakeFar(() => Response.json(body, { status }))
    await expect(far.target().newest('main')).rejects.toMatchObject({ code })
  }
})

/** Everything that stands in an error, with its causes. */
const allOf = (error: CairnError): string =>
  inspect(error, { depth: Infinity, showHidden: true, maxStringLength: Infinity })

test('a token that a far side says back stands in no part of an error, nor does what moves a terminal', async () => {
  const token = `cairn_${'k7'.repeat(26)}+/=`
  checkedToken(token)
  const base64 = Buffer.from(token).toString('base64')
  const cut = `${'x'.repeat(40)}${token}`
  const split = `${token.slice(0, 9)}\u0000\u001B\u200B\u2028${token.slice(9)}`
  const said = (code: string, status: number) => (echo: string) =>
    Response.json(
      {
        type: echo,
        title: echo,
        code,
        detail: `no: ${echo}\u001B[2J`,
        hint: `why: ${echo}\n`,
        instance: echo,
        pi: [echo],
      },
      { status },
    )
  const answers: ((echo: string) => Response)[] = [
    said('busy', 409),
    said('unauthenticated', 401),
    said('whatever', 502),
    said('whatever', 400),
    (echo) => Response.json({ code: echo, detail: echo }, { status: 409 }),
    (echo) => new Response(echo, { status: 500 }),
    (echo) => new Response(echo),
    (echo) => Response.json(state({ wants: 'blocks', step: 1, cids: [echo] })),
    (echo) => Response.json(state({ error: { code: 'busy', message: echo, hint: echo } })),
    (echo) => Response.json(state({ error: { code: echo, message: echo } })),
    (echo) => Response.json({ schema: echo }),
    (echo) =>
      new Response('', { status: 502, headers: { 'x-request-id': encodeURIComponent(echo) } }),
    (echo) => {
      throw new TypeError('fetch failed', { cause: new Error(`no host in ${echo}`) })
    },
  ]
  const { source } = await primary()
  for (const answer of answers)
    for (const echo of [token, base64, encodeURIComponent(token), split, cut]) {
      const { target, send } = fakeFar(() => answer(echo))
      const there = serviceSource(
        URL_THERE,
        'main',
        transport({ url: URL_THERE, fetch: send, token, retries: 0 }),
      )
      const outcomes = await Promise.allSettled([
        target(token).sync(source, 'main'),
        target(token).newest('main'),
        there.newest('main', {}),
        there.getBlocks([rawCidOf(Buffer.from('a'))], {}),
        Promise.race([there.changed('main', 1, {}), delay(50)]),
      ])
      const errors = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
      expect(errors.length).toBeGreaterThan(2)
      for (const error of errors) {
        if (!isCairnError(error)) throw error
        const all = allOf(error)
        for (const secret of [token.slice(0, 16), token.slice(-16), base64.slice(0, 16)])
          expect(all).not.toContain(secret)
        expect(`${error.message}${error.hint}`).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
      }
    }
  const busy = fakeFar(() => said('busy', 409)(token)).target(token)
  await expect(busy.newest('main')).rejects.toMatchObject({
    code: 'busy',
    message: 'no: ***[2J',
    hint: 'why: ***',
  })
})

/** Contents that lie in the store of a dataset with external content, and a far side that asks for `cids` first. */
async function withContents() {
  const all = await primary('external')
  const { cairn, dataset } = all
  const { dataset: other } = await cairn.init('other')
  const value = { secret: randomBytes(8).toString('hex') }
  await other.put('value', value)
  await other.put('file', randomBytes(500))
  const tips: Uint8Array[] = []
  for (const pi of ['value', 'file']) {
    const tip = (await other.get(pi))?.tip ?? undefined
    if (tip === undefined) throw new Error('no tip')
    tips.push(tip)
    await dataset.append({ pi, tip })
  }
  await dataset.build()
  return { ...all, tips }
}

const asksFor = (cids: readonly Uint8Array[], logFrom: number | null = null) =>
  fakeFar(({ method, nth }) =>
    method === 'PUT'
      ? state({ report: REPORT })
      : state({ wants: 'blocks', step: nth + 1, cids: cids.map(printCid), log_from: logFrom }),
  )

const blocksSent = (asked: readonly Asked[]): string[] =>
  asked.flatMap(({ method, body }) =>
    method === 'PUT' && body instanceof Uint8Array ? [...blocksOfCar(body).keys()] : [],
  )

test('of a dataset with external content a far side gets the records, and no content that lies in the store', async () => {
  const { backend, dataset, source, tips, held } = await withContents()
  const { commit } = await newestOf(source)
  for (const tip of tips) expect((await backend.getBlocks([tip]))[0]).toBeDefined()
  for (const cids of [...tips.map((tip) => [tip]), [commit.snapshot, ...tips]]) {
    const far = asksFor(cids)
    const error = await expectRefused(far.target().sync(source, 'main'), 'backend_refused')
    expect(error.message).toContain('no record')
    expect(far.asked.map(({ method }) => method)).toEqual(['POST', 'DELETE'])
    expect(held()).toBe(0)
  }
  const records = [commit.snapshot, commit.kept]
  const honest = asksFor(records)
  await honest.target().sync(source, 'main')
  expect(blocksSent(honest.asked)).toEqual(records.map(cidKey))
  const far = await farSide()
  await far.target().sync(source, 'main')
  await dataset.append({ pi: 'more', tip: tips[0] ?? null })
  await far.target().sync(source, 'main')
  await expectSame(dataset, far.backend, Date.now)
})

test('nor does content come along with a block of the log that names it as the one before', async () => {
  const { backend, source, tips } = await withContents()
  const [tip = null] = tips
  const block = {
    dataset: 'forged',
    ordinal: 2,
    first: 5,
    prev: tip,
    back: [],
    ts: 1,
    entries: [{ pi: 'a', ver: 1, tip: null, ts: 1, exp: null }],
  }
  const head = cborBlock(encodeChainBlock(block, 'external'))
  const forging: SyncSource = {
    ...source,
    getBlocks: async ([cid], options) =>
      cid !== undefined && cidKey(cid) === cidKey(head.cid)
        ? [head.bytes]
        : backend.getBlocks(cid === undefined ? [] : [cid], options),
  }
  const far = asksFor([head.cid], 0)
  await expectRefused(far.target().sync(forging, 'main'), 'backend_refused')
  expect(blocksSent(far.asked)).toEqual([])
})

test('what only looks like a record is none, and a record that is damaged is not sent', async () => {
  const { source } = await withContents()
  const { commit } = await newestOf(source)
  const forged = cborBlock(Buffer.from('a166736368656d616d636169726e2f6e6f6465407631', 'hex'))
  const holding = (bytes: Uint8Array): SyncSource => ({
    ...source,
    getBlocks: async (cids) => cids.map(() => bytes),
  })
  const far = asksFor([forged.cid])
  await expectRefused(far.target().sync(holding(forged.bytes), 'main'), 'backend_refused')
  const torn = asksFor([commit.snapshot])
  await expectRefused(torn.target().sync(holding(forged.bytes), 'main'), 'block_mismatch')
  expect([...blocksSent(far.asked), ...blocksSent(torn.asked)]).toEqual([])
})

test('contents of a dataset that holds them are sent to who takes the copy', async () => {
  const { dataset, source } = await primary()
  await dataset.put('a', { value: 1 })
  const tip = (await dataset.get('a'))?.tip ?? undefined
  if (tip === undefined) throw new Error('no tip')
  const far = asksFor([tip])
  await far.target().sync(source, 'main')
  expect(blocksSent(far.asked)).toEqual([cidKey(tip)])
})
