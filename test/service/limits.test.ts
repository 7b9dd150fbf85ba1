import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { probeRoutes } from '../../src/service/routes/probes.ts'
import { answerOf, head, openSocket, rawRequest, type RawAnswer } from '../helpers/raw-http.ts'
import { testRoutes, type Seen } from '../helpers/service-routes.ts'
import { startService, type ServiceTestOptions, type TestService } from '../helpers/service.ts'

async function start(options: ServiceTestOptions = {}): Promise<TestService & { seen: Seen }> {
  const seen: Seen = { aborts: [], waiting: 0 }
  const routes = [probeRoutes, testRoutes(seen)]
  return { ...(await startService({ routes, automation: false, ...options })), seen }
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; !condition(); i++) {
    if (i > 500) throw new Error('it never came')
    await delay(10)
  }
}

function expectRaw(answer: RawAnswer, status: number, code: string): void {
  expect([answer.status, answer.text]).toEqual([
    status,
    expect.stringMatching(/application\/problem\+json/),
  ])
  expect(JSON.parse(answer.body)).toMatchObject({ status, code })
}

const POST = (path: string, ...headers: string[]): string =>
  head('POST', path, 'Host: localhost', 'Content-Type: application/json', ...headers)

test('a body above the limit is refused, announced or not, and the connection ends', async () => {
  const { url, request } = await start({ values: { body_limit: 1000 } })
  const fits = JSON.stringify({ n: 1, text: 'x'.repeat(900) })
  const json = { 'content-type': 'application/json' }
  expect((await request('POST', '/t/echo', fits, json)).status).toBe(200)
  // It is refused before it was sent.
  expectRaw(await rawRequest(url, POST('/t/echo', 'Content-Length: 5000000000')), 413, 'too_large')
  const chunk = `400\r\n${'x'.repeat(0x400)}\r\n`
  const chunked = POST('/t/echo', 'Transfer-Encoding: chunked') + chunk.repeat(3)
  expectRaw(await rawRequest(url, chunked), 413, 'too_large')
  expect((await request('GET', '/livez')).status).toBe(200)
})

test('a body that does not come is given up after the deadline, and so is one that drips', async () => {
  const { url, seen } = await start({ values: { request_deadline: 400 } })
  const began = performance.now()
  const silent = await rawRequest(url, POST('/t/echo', 'Content-Length: 10'))
  expectRaw(silent, 408, 'deadline_exceeded')
  expect(performance.now() - began).toBeLessThan(3000)
  const socket = await openSocket(url)
  socket.write(POST('/t/echo', 'Content-Length: 1000'))
  const drip = setInterval(() => socket.write(' '), 20)
  const answer = await answerOf(socket)
  clearInterval(drip)
  expectRaw(answer, 408, 'deadline_exceeded')
  expect(seen.waiting).toBe(0)
})

test('an answer that takes too long is 504, and the work behind it is told to stop', async () => {
  const { request, seen } = await start({ values: { request_deadline: 300 } })
  const late = await request('GET', '/t/wait')
  expect([late.status, late.json]).toMatchObject([504, { code: 'deadline_exceeded' }])
  await until(() => seen.aborts.length === 1)
  expect(seen.waiting).toBe(0)
})

test('the same holds for work that a body asked for', async () => {
  const { url, request, seen } = await start({ values: { request_deadline: 600 } })
  const late = await request('POST', '/t/wait', { n: 1 })
  expect([late.status, late.json]).toMatchObject([504, { code: 'deadline_exceeded' }])
  const socket = await openSocket(url)
  socket.write(`${POST('/t/wait', 'Content-Length: 7')}{"n":1}`)
  await until(() => seen.waiting === 1)
  expect(seen.aborts).toHaveLength(1)
  socket.destroy()
  await until(() => seen.aborts.length === 2)
  expect(seen.waiting).toBe(0)
})

test('a stream may go on after the deadline', async () => {
  const { request } = await start({ values: { request_deadline: 200 } })
  const { status, text } = await request('GET', '/t/stream')
  expect([status, text.split('\n').length]).toEqual([200, 31])
})

test('work for a client that has gone is told to stop, and the log says that it was cut', async () => {
  const { url, seen, lines } = await start()
  const socket = await openSocket(url)
  socket.write(head('GET', '/t/wait', 'Host: localhost'))
  await until(() => seen.waiting === 1)
  socket.destroy()
  await until(() => seen.aborts.length === 1)
  await until(() => lines.some(({ event }) => event === 'request.cut'))
})

test('too many requests at once are refused at once, and later let in', async () => {
  const limits = { requests: 3, streams: 1, bodyBytes: 1 << 20, answerBytes: 1 << 20 }
  const { url, request, seen } = await start({ limits })
  const sockets = [await openSocket(url), await openSocket(url), await openSocket(url)]
  for (const socket of sockets) socket.write(head('GET', '/t/wait', 'Host: localhost'))
  await until(() => seen.waiting === 3)
  const refused = await request('GET', '/livez')
  expect([refused.status, refused.json]).toMatchObject([503, { code: 'overloaded' }])
  expect(refused.headers.get('retry-after')).toBe('1')
  // Streams are counted for themselves.
  const [first, second] = await Promise.all([
    request('GET', '/t/stream'),
    request('GET', '/t/stream'),
  ])
  expect(new Set([first.status, second.status])).toEqual(new Set([200, 503]))
  for (const socket of sockets) socket.destroy()
  await until(() => seen.waiting === 0)
  expect((await request('GET', '/livez')).status).toBe(200)
})

test('the bytes of bodies under way are bounded, whatever each of them announces', async () => {
  const limits = { requests: 100, streams: 10, bodyBytes: 5000, answerBytes: 1 << 20 }
  const { url, request, app } = await start({ limits, values: { body_limit: 4000 } })
  const open = async (...headers: string[]): ReturnType<typeof openSocket> => {
    const socket = await openSocket(url)
    socket.write(POST('/t/echo', ...headers))
    return socket
  }
  const first = await open('Transfer-Encoding: chunked')
  await until(() => app.underWay().requests === 1)
  expect((await request('POST', '/t/echo', { n: 1 })).status).toBe(200)
  const second = await rawRequest(url, POST('/t/echo', 'Transfer-Encoding: chunked'))
  expectRaw(second, 503, 'overloaded')
  const text = 'x'.repeat(2000)
  expect((await request('POST', '/t/echo', { n: 1, text })).status).toBe(503)
  first.destroy()
  await until(() => app.underWay().requests === 0)
  expect((await request('POST', '/t/echo', { n: 1, text })).status).toBe(200)
})

test('large and many headers, and a long address, are refused', async () => {
  const { url, request } = await start()
  const large = head('GET', '/livez', 'Host: localhost', `X-Big: ${'x'.repeat(20_000)}`)
  expectRaw(await rawRequest(url, large), 431, 'too_large')
  const many = Array.from({ length: 3000 }, (_, i) => `X-${i}: 1`)
  expectRaw(
    await rawRequest(url, head('GET', '/livez', 'Host: localhost', ...many)),
    431,
    'too_large',
  )
  const long = await request('GET', `/v1/datasets/main/thing/${'x'.repeat(6000)}`)
  expect([long.status, long.json]).toMatchObject([414, { code: 'too_large' }])
  expect(long.headers.get('x-request-id')).not.toBeNull()
  expect((await request('GET', `/${'x'.repeat(20_000)}`)).status).toBe(431)
})

test('headers that do not end are given up', async () => {
  const { url, app } = await start()
  // The real times are too long for a test; what is tested is that they are set, and how it ends.
  expect(app.server.headersTimeout).toBe(15_000)
  expect(app.server.requestTimeout).toBeGreaterThan(60_000)
  expect(app.server.keepAliveTimeout).toBe(65_000)
  const socket = await openSocket(url)
  socket.write('GET /livez HTTP/1.1\r\nHost: loc')
  app.server.emit(
    'clientError',
    Object.assign(new Error('late'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' }),
    socket,
  )
  await once(socket, 'close')
})

test('what two parsers could read differently is refused', async () => {
  const { url } = await start()
  const body = '{"n":1}'
  const smuggled = 'GET /t/fault HTTP/1.1\r\nHost: localhost\r\n\r\n'
  const both = 'Transfer-Encoding: chunked'
  const attempts = [
    POST('/t/echo', `Content-Length: ${body.length}`, both) + `0\r\n\r\n${smuggled}`,
    POST('/t/echo', both, `Content-Length: ${body.length}`) + `0\r\n\r\n${smuggled}`,
    POST('/t/echo', 'Content-Length: 7', 'Content-Length: 8') + body,
    POST('/t/echo', 'Content-Length: 7, 7') + body,
    POST('/t/echo', 'Content-Length: +7') + body,
    POST('/t/echo', 'Content-Length: 0x7') + body,
    POST('/t/echo', 'Content-Length: -1') + body,
    POST('/t/echo', 'Transfer-Encoding: xchunked') + `0\r\n\r\n`,
    POST('/t/echo', 'Transfer-Encoding: chunked, identity') + `0\r\n\r\n`,
    POST('/t/echo', 'Transfer-Encoding : chunked') + `0\r\n\r\n`,
    POST('/t/echo', 'Transfer-Encoding:\x0bchunked') + `0\r\n\r\n`,
    POST('/t/echo', both) + `-1\r\n${body}\r\n0\r\n\r\n`,
    POST('/t/echo', both) + `7;\n\r\n${body}\r\n0\r\n\r\n`,
    head('GET', '/livez', 'Host: localhost', 'X-A: 1\r\n X-B: folded'),
    head('GET', '/livez', 'Host: localhost', 'X-A: a\u0000b'),
    'GET /livez HTTP/1.1\nHost: localhost\n\n',
    'get /livez HTTP/1.1\r\nHost: localhost\r\n\r\n',
    head('GET', '/livez'),
    head('GET', '/livez', 'Host: localhost', 'Host: evil.example'),
  ]
  const answers = await Promise.all(
    attempts.map(async (attempt) => {
      const { text } = await rawRequest(url, attempt)
      return [attempt, text.match(/HTTP\/1\.1 \d{3}/g) ?? []]
    }),
  )
  const refused = [expect.stringMatching(/ 4\d\d$/)]
  expect(answers).toEqual(attempts.map((attempt) => [attempt, refused]))
})

test('an address is read once: slashes in ids stay there, and dots lead nowhere', async () => {
  const { url, request } = await start()
  const pi = async (raw: string): Promise<unknown> => {
    const { body } = await rawRequest(url, head('GET', raw, 'Host: localhost'))
    return (
      (JSON.parse(body) as { pi?: string; code?: string }).pi ??
      (JSON.parse(body) as { code: string }).code
    )
  }
  const thing = '/v1/datasets/main/thing'
  expect(await pi(`${thing}/a%2Fb`)).toBe('a/b')
  expect(await pi(`${thing}/a%252Fb`)).toBe('a%2Fb')
  expect(await pi(`${thing}/..%2F..%2Fetc`)).toBe('../../etc')
  expect(await pi(`${thing}/%2e%2e`)).toBe('..')
  expect(await pi(`${thing}/..`)).toBe('..')
  expect(await pi(`${thing}/a%00b`)).toBe('a\u0000b')
  expect(await pi(`${thing}/%F0%9F%8F%94`)).toBe('🏔')
  expect(await pi(`${thing}/a%3Fb%23c`)).toBe('a?b#c')
  expect(await pi(`${thing}/../thing/x`)).toBe('not_found')
  expect(await pi('/v1/../livez')).toBe('not_found')
  expect(await pi('//livez')).toBe('not_found')
  expect(await pi('/livez%2f')).toBe('not_found')
  expect(await pi('/LIVEZ')).toBe('not_found')
  for (const bad of ['%', '%zz', '%ff', '%c0%af', '%ed%a0%80']) {
    const answer = await rawRequest(url, head('GET', `${thing}/${bad}`, 'Host: localhost'))
    expectRaw(answer, 400, 'usage')
    expect(answer.text).toMatch(/x-request-id: /i)
  }
  expect((await request('GET', '/livez;x=1')).status).toBe(404)
})

test('pipelined requests are answered in their order', async () => {
  const { url } = await start()
  const keep = 'GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n'
  const { text } = await rawRequest(url, keep + keep + head('GET', '/nope', 'Host: localhost'))
  expect(text.match(/HTTP\/1\.1 \d{3}/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200', 'HTTP/1.1 404'])
})

test('idle connections take nothing from who asks, and end with the service', async () => {
  const { url, request, close } = await start()
  const { hostname, port } = new URL(url)
  const sockets = Array.from({ length: 500 }, () => connect(Number(port), hostname))
  await Promise.all(sockets.map((socket) => once(socket, 'connect')))
  for (const socket of sockets) socket.on('error', () => {})
  for (let i = 0; i < 5; i++) expect((await request('GET', '/livez')).status).toBe(200)
  expect((await request('GET', '/metrics')).text).toMatch(/cairn_http_connections 50\d/)
  await close()
  for (const socket of sockets) if (!socket.closed) await once(socket, 'close')
})
