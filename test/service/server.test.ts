import { expect, test } from 'vitest'
import { Type } from 'typebox'
import { openMemory } from '../../src/backend/memory.ts'
import type { ErrorCode } from '../../src/errors.ts'
import { probeRoutes } from '../../src/service/routes/probes.ts'
import { head, rawRequest } from '../helpers/raw-http.ts'
import { testRoutes, type Seen } from '../helpers/service-routes.ts'
import { startService, type Answer, type TestService } from '../helpers/service.ts'

async function start(options: Parameters<typeof startService>[0] = {}): Promise<TestService> {
  const seen: Seen = { aborts: [], waiting: 0 }
  return startService({ routes: [probeRoutes, testRoutes(seen)], ...options })
}

const TYPE = 'application/problem+json; charset=utf-8'

function expectProblem(answer: Answer, status: number, code: ErrorCode): void {
  expect([answer.status, answer.headers.get('content-type')]).toEqual([status, TYPE])
  expect(answer.json).toMatchObject({
    type: `/errors/${code}`,
    status,
    code,
    instance: answer.headers.get('x-request-id'),
  })
}

test('a coded error is a problem with its particulars, but none of the machine', async () => {
  const { request } = await start()
  const answer = await request('GET', '/t/conflict')
  expectProblem(answer, 409, 'conflict')
  expect(answer.json).toMatchObject({
    title: 'Conflict',
    detail: 'It is another one.',
    hint: 'Look.',
    current_ver: 7,
    current_tip: 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy',
  })
  expect(answer.text).not.toContain('inside')
})

test('what nobody foresaw says nothing of the inside, and the log says all under its id', async () => {
  const { request, lines } = await start()
  const answer = await request('GET', '/t/fault', undefined, { 'x-request-id': 'trace-1' })
  expectProblem(answer, 500, 'internal')
  expect(answer.text).not.toMatch(/secret words|at |\.ts/)
  const failed = lines.find(({ event }) => event === 'request.failed')
  expect(failed).toMatchObject({
    level: 'error',
    fields: { request_id: 'trace-1', code: 'internal' },
  })
  expect(String(failed?.fields['message'])).toContain('secret words')
  expect(String(failed?.fields['stack'])).toContain('service-routes.ts')
})

test('a sane request id is taken over, any other replaced', async () => {
  const { request, url, lines } = await start()
  const sane = await request('GET', '/livez', undefined, {
    'x-request-id': 'abc-123:~'.slice(0, 8),
  })
  expect(sane.headers.get('x-request-id')).toBe('abc-123:')
  for (const bad of ['a b', 'x'.repeat(129), '{"a":1}', 'é']) {
    const { text } = await rawRequest(
      url,
      head('GET', '/livez', 'Host: localhost', `X-Request-Id: ${bad}`),
    )
    expect(/x-request-id: ([^\r]+)/i.exec(text)?.[1]).toMatch(/^[0-9a-f-]{36}$/)
  }
  const twice = await rawRequest(
    url,
    head('GET', '/livez', 'Host: localhost', 'X-Request-Id: one', 'X-Request-Id: two'),
  )
  expect(/x-request-id: ([^\r]+)/i.exec(twice.text)?.[1]).toMatch(/^[0-9a-f-]{36}$/)
  const done = lines.filter(({ event }) => event === 'request.done')
  expect(done[0]?.fields).toMatchObject({ request_id: 'abc-123:', route: '/livez', status: 200 })
})

test('an unknown address is 404, a known one with another method 405 and says which it has', async () => {
  const { request, url } = await start()
  expectProblem(await request('GET', '/nope'), 404, 'not_found')
  expectProblem(await request('GET', '/livez/'), 404, 'not_found')
  expectProblem(await request('GET', '/v1/datasets/main/thing'), 404, 'not_found')
  for (const [method, path, allow] of [
    ['POST', '/livez', 'GET, HEAD'],
    ['GET', '/t/echo?times=1', 'POST'],
    ['DELETE', '/v1/datasets/main/thing/a%2Fb', 'GET, HEAD, PUT'],
    ['PATCH', '/openapi.json', 'GET, HEAD'],
    ['OPTIONS', '/livez', 'GET, HEAD'],
  ] as const) {
    const answer = await request(method, path)
    expectProblem(answer, 405, 'method_not_allowed')
    expect([path, answer.headers.get('allow')]).toEqual([path, allow])
  }
  // A method that Fastify does not route at all.
  for (const method of ['PROPFIND', 'TRACE', 'PURGE']) {
    const raw = await rawRequest(url, head(method, '/livez', 'Host: localhost'))
    expect([method, raw.status]).toEqual([method, 405])
  }
})

test('queries are read as what they should be, bodies are taken as they are', async () => {
  const { request } = await start()
  const good = await request('POST', '/t/echo?times=3', { n: 1 })
  expect([good.status, good.json]).toEqual([200, { n: 1, times: 3 }])
  const refused = async (path: string, body: unknown, place: string): Promise<void> => {
    const answer = await request('POST', path, body)
    expectProblem(answer, 400, 'usage')
    expect(answer.json).toMatchObject({ place })
  }
  await refused('/t/echo', { n: '1' }, 'body.n')
  await refused('/t/echo', { n: 1.5 }, 'body.n')
  await refused('/t/echo', { n: null }, 'body.n')
  await refused('/t/echo', { n: 1, more: 2 }, 'body.more')
  await refused('/t/echo', {}, 'body.n')
  await refused('/t/echo', [], 'body')
  await refused('/t/echo?times=0', { n: 1 }, 'query.times')
  await refused('/t/echo?times=x', { n: 1 }, 'query.times')
  await refused('/t/echo?other=1', { n: 1 }, 'query.other')
  await refused('/t/echo?times=1&times=2', { n: 1 }, 'query.times')
})

test('a body that is no JSON in UTF-8 is refused with a reason', async () => {
  const { request } = await start()
  const json = { 'content-type': 'application/json' }
  for (const body of ['{', '{"n":1}x', 'NaN', '{"__proto__":{"n":1}}', '\u0000'])
    expectProblem(await request('POST', '/t/echo', body, json), 400, 'usage')
  const bytes = Buffer.concat([
    Buffer.from('{"n":1,"text":"'),
    Buffer.from([0xff, 0xc0]),
    Buffer.from('"}'),
  ])
  const notUtf8 = await request('POST', '/t/echo', bytes, json)
  expectProblem(notUtf8, 400, 'usage')
  expect(notUtf8.text).toContain('UTF-8')
  expectProblem(await request('POST', '/t/echo', '', json), 400, 'usage')
  for (const type of [
    'text/plain',
    'text/html',
    'application/x-www-form-urlencoded',
    'x/y',
    'nonsense',
  ])
    expectProblem(
      await request('POST', '/t/echo', '{"n":1}', { 'content-type': type }),
      415,
      'unsupported_media',
    )
  expectProblem(
    await request('POST', '/t/echo', '{"n":1}', { ...json, 'content-encoding': 'gzip' }),
    415,
    'unsupported_media',
  )
})

test('large answers are compressed for who asks, small ones and streams are not', async () => {
  const { request } = await start()
  const gzip = { 'accept-encoding': 'gzip' }
  const large = await request('GET', '/t/large', undefined, gzip)
  expect(large.headers.get('content-encoding')).toBe('gzip')
  expect((large.json as { text: string }).text).toHaveLength(100_000)
  const plain = await request('GET', '/t/large', undefined, { 'accept-encoding': 'identity' })
  expect(plain.headers.get('content-encoding')).toBeNull()
  const small = await request('GET', '/livez', undefined, gzip)
  expect(small.headers.get('content-encoding')).toBeNull()
})

test('every answer has the headers that keep browsers from taking it for a page', async () => {
  const { request } = await start()
  for (const path of ['/livez', '/nope', '/t/fault', '/t/conflict']) {
    const { headers } = await request('GET', path)
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('content-security-policy')).toContain("default-src 'none'")
    expect(headers.get('access-control-allow-origin')).toBeNull()
    expect(headers.get('server')).toBeNull()
  }
})

test('only listed origins are told that their pages may ask', async () => {
  const cors = await start({ values: { cors_origins: ['https://app.example'] } })
  const ask = (origin: string): Promise<Answer> =>
    cors.request('OPTIONS', '/t/echo', undefined, {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type',
    })
  const listed = await ask('https://app.example')
  expect([listed.status, listed.headers.get('access-control-allow-origin')]).toEqual([
    204,
    'https://app.example',
  ])
  expect(listed.headers.get('access-control-allow-credentials')).toBeNull()
  const other = await ask('https://evil.example')
  expect(other.headers.get('access-control-allow-origin')).toBeNull()
  const real = await cors.request('POST', '/t/echo', { n: 1 }, { origin: 'https://app.example' })
  expect([real.status, real.headers.get('access-control-allow-origin')]).toEqual([
    200,
    'https://app.example',
  ])
  const off = await start()
  const none = await off.request('OPTIONS', '/t/echo', undefined, {
    origin: 'https://app.example',
    'access-control-request-method': 'POST',
  })
  expectProblem(none, 405, 'method_not_allowed')
  expect(none.headers.get('access-control-allow-origin')).toBeNull()
})

test('the document describes every route with its right, its schemas and its problems', async () => {
  const { request } = await start()
  const { json, headers } = await request('GET', '/openapi.json')
  expect(headers.get('content-type')).toContain('application/json')
  const document = json as {
    openapi: string
    components: { schemas: Record<string, unknown>; securitySchemes: Record<string, unknown> }
    paths: Record<
      string,
      Record<string, { security?: unknown; responses: Record<string, unknown> }>
    >
  }
  expect(document.openapi).toBe('3.1.0')
  expect(document.components.securitySchemes).toMatchObject({ token: { scheme: 'bearer' } })
  expect(document.components.schemas).toHaveProperty('Problem.properties.code')
  const echo = document.paths['/t/echo']?.['post']
  expect(echo?.security).toEqual([{ token: [] }])
  expect(Object.keys(echo?.responses ?? {})).toEqual(
    expect.arrayContaining(['200', '400', '401', '403', '413', '415', '429', '500', '503', '504']),
  )
  expect(document.paths['/livez']?.['get']?.security).toBeUndefined()
  expect(document.paths).toHaveProperty(['/v1/datasets/{dataset}/thing/{pi}'])
})

test('a route that names no right is not served', async () => {
  const nameless = startService({
    routes: [
      () => async (app) => {
        app.get('/open', { schema: { response: { 200: Type.Object({}) } } }, async () => ({}))
      },
    ],
  })
  await expect(nameless).rejects.toThrow(/names no right/)
})

test('ready as long as the store answers', async () => {
  const memory = openMemory()
  let status = 'good' as 'good' | 'bad' | 'hangs'
  const good = await memory.status()
  const backend = Object.assign(memory, {
    status: () =>
      status === 'good'
        ? Promise.resolve(good)
        : status === 'bad'
          ? Promise.reject(new Error('gone'))
          : new Promise(() => {}),
  })
  const { request } = await start({ backend, automation: false })
  const ready = await request('GET', '/readyz')
  expect([ready.status, ready.json]).toEqual([200, { status: 'ready' }])
  for (status of ['bad', 'hangs'] as const) {
    await new Promise((resolve) => setTimeout(resolve, 520))
    const not = await request('GET', '/readyz')
    expect([not.status, not.json]).toEqual([503, { status: 'store_unavailable' }])
    expect((await request('GET', '/livez')).status).toBe(200)
  }
})

test('/healthz says in one word how it is, and with verbose why', async () => {
  const { request } = await start({ init: { content: 'external' } })
  const short = await request('GET', '/healthz')
  expect(short.json).toEqual({ status: expect.stringMatching(/^(ok|warning|critical)$/) })
  const long = await request('GET', '/healthz?verbose')
  const { datasets } = long.json as { datasets: { dataset: string; checks: { check: string }[] }[] }
  expect(datasets.map(({ dataset }) => dataset)).toEqual(['main'])
  expect(datasets[0]?.checks.map(({ check }) => check)).toContain('chain')
  expect(short.status).toBe((long.json as { status: string }).status === 'critical' ? 503 : 200)
})

test('metrics count what was answered, by the pattern of the route', async () => {
  const { request } = await start()
  await request('GET', '/v1/datasets/main/thing/secret-id')
  await request('GET', '/nothing/here')
  const { status, text } = await request('GET', '/metrics')
  expect(status).toBe(200)
  expect(text).toMatch(
    /cairn_http_requests_total\{route="\/v1\/datasets\/:dataset\/thing\/:pi",method="GET",status="200"\} 1/,
  )
  expect(text).toMatch(/cairn_dataset_up\{dataset="main"\} 1/)
  expect(text).not.toContain('secret-id')
  expect(text).not.toContain('/nothing/here')
})
