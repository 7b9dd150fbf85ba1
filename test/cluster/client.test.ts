/** The client of a cluster's API against servers that refuse, lie, stall and never end. */
import { afterEach, expect, test } from 'vitest'
import { openCluster, type Cluster } from '../../src/cluster/client.ts'
import { isCairnError, type CairnError } from '../../src/errors.ts'
import { parseCid } from '../../src/model/cid.ts'
import { fakeNodes, type Answer } from '../helpers/fake-node.ts'
import { collect } from '../helpers/engine.ts'

const A = 'bafkreihwsnuregceqh263vgdathcprnbvatyat6h6mu7ipjhhodcdbyhoy'
const B = 'bafkreie2xxsj4pgvxecbrjdiqi55a4ygablu5yelmxzf7j2ufdjj6btl7i'
const CID = parseCid(A)

const fakes = fakeNodes()
afterEach(() => fakes.closeAll())

const LONG_MS = 30_000
const SHORT_MS = 300

async function cluster(
  answer: Answer,
  { token, deadlineMs = LONG_MS }: { token?: string; deadlineMs?: number } = {},
): Promise<Cluster> {
  return openCluster({ url: await fakes.start(answer), token, deadlineMs })
}

const saying =
  (body: unknown, status = 200): Answer =>
  (_request, response) => {
    response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body))
  }

async function failure(promise: Promise<unknown>): Promise<CairnError> {
  const error: unknown = await promise.then(
    () => undefined,
    (cause: unknown) => cause,
  )
  if (isCairnError(error)) return error
  throw new Error(`It was no refusal: ${String(error)}`)
}

const listed = (by: Cluster): Promise<unknown[]> => collect(by.pins())
const request = { cid: CID, name: 'n', metadata: {}, min: 1, max: 2 }
const shared = (cid: string): object => ({
  cid,
  name: 'n',
  type: 'pin',
  metadata: null,
  replication_factor_min: 1,
  replication_factor_max: 2,
})

test.each([
  [401, '', 'access_denied'],
  [403, 'no', 'access_denied'],
  [404, '404 page not found', 'backend_refused'],
  [500, '{"message":"out of luck"}', 'backend_refused'],
  [500, '{"message":"not enough peers to allocate CID. Needed at least: 3."}', 'not_replicated'],
  [503, '<h1>later</h1>', 'backend_unavailable'],
  [302, '', 'backend_refused'],
] as const)('HTTP %i %s is %s, for a pin, a release and a list', async (status, body, code) => {
  const by = await cluster(saying(body, status))
  expect((await failure(by.pin(request))).code).toBe(code)
  expect((await failure(by.unpin(CID))).code).toBe(code)
  expect((await failure(listed(by))).code).toBe(code)
})

test('only what the cluster says of a pin is taken for a pin that is not there', async () => {
  const gone = await cluster(saying({ code: 404, message: 'pin is not part of the pinset' }, 404))
  expect(await gone.unpin(CID)).toBe(false)
  expect(await (await cluster(saying(shared(A)))).unpin(CID)).toBe(true)
})

test('a list that fails in its trailer is an error, and so is one that is cut', async () => {
  const failing = await cluster((_request, response) => {
    response.writeHead(200, { trailer: 'X-Stream-Error' })
    response.write(`${JSON.stringify(shared(A))}\n`)
    response.addTrailers({ 'X-Stream-Error': 'the peer lost its state' })
    response.end()
  })
  const error = await failure(listed(failing))
  expect(error.code).toBe('backend_refused')
  expect(error.message).toContain('the peer lost its state')
  const cut = await cluster((_request, response) => {
    response.writeHead(200, { 'content-length': 1000 })
    response.write(`${JSON.stringify(shared(A))}\n`, () => response.destroy())
  })
  expect((await failure(listed(cut))).code).toBe('backend_unavailable')
})

test('a trailer without an error ends a list well; of other kinds of pins nothing comes', async () => {
  const by = await cluster((_request, response) => {
    response.writeHead(200, { trailer: 'X-Stream-Error' })
    const other = { ...shared(B), type: 'meta-pin' }
    response.write(`${JSON.stringify(shared(A))}\n${JSON.stringify(other)}\n`)
    response.addTrailers({ 'X-Stream-Error': '' })
    response.end()
  })
  expect(await listed(by)).toEqual([{ cid: CID, name: 'n', metadata: {}, min: 1, max: 2 }])
  expect(
    await listed(await cluster((_request, response) => response.writeHead(204).end())),
  ).toEqual([])
})

test('silence is a time-out, at the beginning, in the middle, and drop by drop', async () => {
  const short = { deadlineMs: SHORT_MS }
  const mute = await cluster(() => {}, short)
  expect((await failure(mute.pin(request))).code).toBe('backend_timeout')
  const stuck = await cluster((_request, response) => {
    response.writeHead(200).write(`${JSON.stringify(shared(A))}\n`)
  }, short)
  expect((await failure(listed(stuck))).code).toBe('backend_timeout')
  const drops = await cluster((_request, response) => {
    const timer = setInterval(() => response.write(' '), 20)
    response.on('close', () => clearInterval(timer))
  }, short)
  expect((await failure(drops.pin(request))).code).toBe('backend_timeout')
})

test('nobody there is an error, never an empty list', async () => {
  const url = await fakes.start(saying(''))
  await fakes.closeAll()
  const by = openCluster({ url, token: undefined, deadlineMs: LONG_MS })
  expect((await failure(listed(by))).code).toBe('backend_unavailable')
  expect((await failure(by.states([CID]))).code).toBe('backend_unavailable')
})

test('answers without end are refused', async () => {
  const endless = await cluster((_request, response) => {
    const more = (): void => {
      while (response.write('x'.repeat(65_536))) if (response.destroyed) return
      response.once('drain', more)
    }
    more()
  })
  expect((await failure(endless.pin(request))).code).toBe('backend_refused')
  expect((await failure(listed(endless))).code).toBe('backend_refused')
})

test.each([
  ['a page', '<html>'],
  ['null', 'null'],
  ['a list', '[]'],
  ['another pin', JSON.stringify(shared(B))],
  ['a pin without a factor', JSON.stringify({ ...shared(A), replication_factor_min: '1' })],
  ['a CID that is none', JSON.stringify(shared('bafy'))],
])('%s in the place of an answer is refused', async (_, body) => {
  const by = await cluster(saying(body))
  expect((await failure(by.pin(request))).code).toBe('backend_refused')
})

test('states that are left out, or were not asked for, are refused', async () => {
  const state = (cid: string): object => ({
    cid,
    peer_map: { p: { peername: 'one', status: 'pinned', error: '' } },
  })
  const both = await cluster(saying(`${JSON.stringify(state(A))}\n${JSON.stringify(state(B))}\n`))
  expect((await failure(both.states([CID]))).code).toBe('backend_refused')
  const twice = await cluster(saying(`${JSON.stringify(state(A))}\n${JSON.stringify(state(A))}\n`))
  expect((await failure(twice.states([CID]))).code).toBe('backend_refused')
  const one = await cluster(saying(state(A)))
  expect((await failure(one.states([CID, parseCid(B)]))).code).toBe('backend_refused')
  const found = await one.states([CID])
  expect([...found.values()][0]?.peers).toEqual([
    { peer: 'p', name: 'one', status: 'pinned', error: '' },
  ])
})

test('the password goes to the cluster and into no message; what others say stays in one line', async () => {
  let seen: string | undefined
  const by = await cluster(
    (incoming, response) => {
      seen = incoming.headers.authorization
      saying({ message: 'bad\n\u001B[31mthings' }, 500)(incoming, response)
    },
    { token: 'basic:me:open-sesame' },
  )
  const error = await failure(by.pin(request))
  expect(seen).toBe(`Basic ${Buffer.from('me:open-sesame').toString('base64')}`)
  expect(JSON.stringify(error)).not.toContain('sesame')
  expect(error.message).not.toMatch(/\p{Cc}/u)
  const url = (await fakes.start(saying('', 401))).replace('http://', 'http://me:open-sesame@')
  const named = openCluster({ url, token: undefined, deadlineMs: LONG_MS })
  expect(JSON.stringify(await failure(named.pin(request)))).not.toContain('sesame')
  expect(named.address).not.toContain('sesame')
})

test('an abort ends a call', async () => {
  const by = await cluster(() => {})
  const aborter = new AbortController()
  const pending = failure(by.pin(request, { signal: aborter.signal }))
  aborter.abort()
  expect((await pending).code).toBe('aborted')
})
