/** The RPC's bad days. */
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { openKubo } from '../../src/backend/kubo/index.ts'
import { isCairnError, type ErrorCode } from '../../src/errors.ts'
import { rawCidOf } from '../../src/model/cid.ts'
import { errorOf, expectCode, fakeNodes, refusal } from '../helpers/fake-node.ts'

const nodes = fakeNodes()
const { listen, open } = nodes
const fakeNode = nodes.start
afterEach(nodes.closeAll)

const someCid = rawCidOf(Buffer.from('some block'))
const someCommit = { dataset: 'main', number: 0, bytes: Buffer.from('{}'), blocks: [] }

test('a socket that is accepted and says nothing ends at the deadline', async () => {
  const sockets: net.Socket[] = []
  const url = await listen(net.createServer((socket) => sockets.push(socket)))
  nodes.defer(() => sockets.forEach((socket) => socket.destroy()))
  const from = performance.now()
  await expectCode(openKubo({ url, deadlineMs: 200 }), 'backend_timeout')
  expect(performance.now() - from).toBeLessThan(2_000)
})

test('a node that falls silent in the middle of an answer ends at the deadline', async () => {
  const url = await fakeNode((_request, response) => response.write('a part'))
  const backend = await open(url, { deadlineMs: 200 })
  await expectCode(backend.getBlocks([someCid]), 'backend_timeout')
})

test('an abort ends a call that waits', async () => {
  const backend = await open(await fakeNode(() => {}))
  const abort = new AbortController()
  const reading = backend.getBlocks([someCid], { signal: abort.signal })
  setTimeout(() => abort.abort(), 50)
  await expectCode(reading, 'aborted')
})

test('opening waits for a node that is starting', async () => {
  const probe = net.createServer()
  const { port } = new URL(await listen(probe))
  probe.close()
  await once(probe, 'close')
  const opening = openKubo({ url: `http://127.0.0.1:${port}`, openMs: 10_000 })
  await sleep(300)
  const server = http.createServer((_request, response) => {
    response.end(JSON.stringify({ Version: '0.44.0-dev' }))
  })
  await listen(server, Number(port))
  const backend = await opening
  await backend.close()
})

test('a node that does not start is unavailable, after the time to wait', async () => {
  const probe = net.createServer()
  const url = await listen(probe)
  probe.close()
  await expectCode(openKubo({ url, openMs: 100 }), 'backend_unavailable')
})

test('a version before 0.43 is refused, with the reason', async () => {
  const url = await fakeNode(() => {}, '0.38.1')
  const error = await errorOf(openKubo({ url }))
  expect(error).toMatchObject({ code: 'backend_refused' })
  expect(String(error)).toContain('0.38.1')
  expect(isCairnError(error) && error.hint).toContain('garbage collection')
})

test('an error that comes after the first byte, in a trailer, is not a short answer', async () => {
  const url = await fakeNode((_request, response) => {
    response.writeHead(200, { trailer: 'X-Stream-Error' })
    response.write('half a block')
    response.addTrailers({ 'X-Stream-Error': 'unexpected EOF' })
    response.end()
  })
  await expectCode((await open(url)).getBlocks([someCid]), 'backend_refused')
})

test('an answer that is cut off is an unreachable node, not a short block', async () => {
  const url = await fakeNode((_request, response) => {
    response.writeHead(200, { 'content-length': '100' })
    response.write('half a block')
    setTimeout(() => response.destroy(), 20)
  })
  await expectCode((await open(url)).getBlocks([someCid]), 'backend_unavailable')
})

test.each<[string, string, ErrorCode]>([
  ['an unknown message', 'merkledag: something new', 'backend_refused'],
  ['a full disk', 'write /x: no space left on device', 'no_space'],
  ['a node that stops', 'context canceled', 'backend_unavailable'],
])('%s is an error, never a missing block or commit', async (_what, message, code) => {
  const backend = await open(await fakeNode(refusal(message)))
  await expectCode(backend.getBlocks([someCid]), code)
  await expectCode(backend.hasBlocks([someCid]), code)
  await expectCode(backend.newest('main', -1), code)
  await expectCode(backend.getCommit('main', 0), code)
  await expectCode(backend.datasets(), code)
})

test('a refused token is access denied, and neither token nor password is ever told', async () => {
  const seen: (string | undefined)[] = []
  const url = await fakeNode((request, response) => {
    seen.push(request.headers.authorization)
    response.writeHead(403).end('403 - Access Denied')
  })
  const withUser = url.replace('http://', 'http://ann:s3cret@')
  for (const [given, token, sent] of [
    [url, 'bearer:s3cret', 'Bearer s3cret'],
    [url, 's3cret', 'Bearer s3cret'],
    [url, 'basic:ann:s3cret', `Basic ${btoa('ann:s3cret')}`],
    [withUser, undefined, `Basic ${btoa('ann:s3cret')}`],
  ] as const) {
    const backend = await open(given, { token })
    const error = await errorOf(backend.getBlocks([someCid]))
    expect(error).toMatchObject({ code: 'access_denied' })
    expect(seen.at(-1)).toBe(sent)
    const told = `${JSON.stringify(error)}${String(error)}${backend.location}`
    expect(told).not.toMatch(/s3cret|YW5u/)
    expect(backend.location).toBe(`kubo:${url}`)
  }
})

test.each(['ftp://127.0.0.1', 'ann:s3cret@127.0.0.1', 'http://ann:s3cret@:0:0'])(
  'the address %s is refused without repeating it',
  async (url) => {
    const error = await errorOf(openKubo({ url }))
    expect(error).toMatchObject({ code: 'config' })
    expect(JSON.stringify(error) + String(error)).not.toContain('s3cret')
  },
)

test.each(['pointer', '/pointer', '/cairn/pointer', '/cairn/datasets/pointer', '/pointers/'])(
  'a mirror at %s, in a folder that holds the folders of commits, is refused',
  async (path) => {
    const url = await fakeNode((_request, response) => response.end())
    await expectCode(open(url, { indexPointerPath: path }), 'config')
  },
)

test('a read is tried again while the node restarts', async () => {
  let tries = 0
  const url = await fakeNode((_request, response) => {
    if (++tries < 3) response.destroy()
    else response.end('some block')
  })
  const backend = await open(url, { retryMs: 5_000 })
  const [bytes] = await backend.getBlocks([someCid])
  expect(Buffer.from(bytes ?? []).toString()).toBe('some block')
  expect(tries).toBe(3)
})

test('a node that took fewer blocks than were sent is an error', async () => {
  const url = await fakeNode((request, response) => {
    if (request.url?.includes('dag/import') === true) response.end('{"Stats":{"BlockCount":0}}\n')
    else if (request.url?.includes('files/mkdir') === true) response.end()
    else refusal('file does not exist')(request, response)
  })
  await expectCode((await open(url)).commit(someCommit), 'backend_refused')
})
