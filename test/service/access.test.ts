import { readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { limiter } from '../../src/service/access/limiter.ts'
import {
  base32,
  createToken,
  readTokens,
  revokeToken,
} from '../../src/service/access/token-file.ts'
import { openTokens } from '../../src/service/access/tokens.ts'
import type { Right } from '../../src/service/access/rights.ts'
import { checkListening } from '../../src/service/run/listening.ts'
import { probeRoutes } from '../../src/service/routes/probes.ts'
import { expectRefused, tempDir } from '../helpers/engine.ts'
import { head, rawRequest } from '../helpers/raw-http.ts'
import { testRoutes } from '../helpers/service-routes.ts'
import { startService, type ServiceTestOptions, type TestService } from '../helpers/service.ts'

const ROUTES = [probeRoutes, testRoutes({ aborts: [], waiting: 0 })]

interface Guarded extends TestService {
  readonly path: string
  readonly token: (name: string, right: Right, datasets?: string[]) => Promise<string>
}

async function guarded(options: ServiceTestOptions = {}): Promise<Guarded> {
  const path = join(await tempDir(), 'tokens.json')
  await createToken(path, { name: 'first', right: 'read' })
  const values = { tokens_file: path, ...options.values }
  const service = await startService({ routes: ROUTES, automation: false, ...options, values })
  const token: Guarded['token'] = async (name, right, datasets) => {
    const made = await createToken(path, { name, right, datasets })
    service.service.tokens.reload()
    return made.token
  }
  return { ...service, path, token }
}

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` })

test('the file has no token but its hash, belongs to its owner alone, and nothing is left beside it', async () => {
  const dir = await tempDir()
  const path = join(dir, 'deep', 'tokens.json')
  const { token, record } = await createToken(path, { name: 'app', right: 'append' })
  expect(token).toMatch(/^cairn_[a-z2-7]{52}$/)
  const text = await readFile(path, 'utf8')
  expect(text).toContain(record.sha256)
  expect(text).not.toContain(token.slice(6, 20))
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  expect(await readdir(join(dir, 'deep'))).toEqual(['tokens.json'])
})

test('base32 is that of RFC 4648 without padding', () => {
  const vectors = {
    '': '',
    f: 'my',
    fo: 'mzxq',
    foo: 'mzxw6',
    foob: 'mzxw6yq',
    foobar: 'mzxw6ytboi',
  }
  for (const [text, expected] of Object.entries(vectors))
    expect(base32(Buffer.from(text))).toBe(expected)
})

test('changes that meet lose neither a new token nor a revocation', async () => {
  const path = join(await tempDir(), 'tokens.json')
  const names = Array.from({ length: 12 }, (_, i) => `t${i}`)
  await Promise.all(names.map((name) => createToken(path, { name, right: 'read' })))
  expect((await readTokens(path)).map(({ name }) => name).toSorted()).toEqual(names.toSorted())
  const going = names.slice(0, 6)
  await Promise.all([
    ...going.map((name) => revokeToken(path, name)),
    createToken(path, { name: 'new', right: 'admin' }),
  ])
  const left = (await readTokens(path)).map(({ name }) => name).toSorted()
  expect(left).toEqual([...names.slice(6), 'new'].toSorted())
  await expectRefused(createToken(path, { name: 'new', right: 'read' }), 'conflict')
  await expectRefused(revokeToken(path, 't0'), 'not_found')
})

test('each right contains those before it, and no other', async () => {
  const { request, token } = await guarded()
  const routes = [
    ['GET', '/v1/datasets/main/thing/a', undefined],
    ['POST', '/t/echo', { n: 1 }],
    ['PUT', '/v1/datasets/main/thing/a', {}],
  ] as const
  const statuses = async (text: string): Promise<number[]> => {
    const all: number[] = []
    for (const [method, path, body] of routes)
      all.push((await request(method, path, body, bearer(text))).status)
    return all
  }
  expect(await statuses(await token('r', 'read'))).toEqual([200, 403, 403])
  expect(await statuses(await token('a', 'append'))).toEqual([200, 200, 403])
  expect(await statuses(await token('x', 'admin'))).toEqual([200, 200, 200])
})

test('without a token, or with a wrong one, nothing but what is for everybody is answered', async () => {
  const { request, token } = await guarded()
  const good = await token('app', 'admin')
  for (const headers of [
    {},
    { authorization: '' },
    { authorization: good },
    { authorization: `Basic ${good}` },
    { authorization: `Bearer ${good}x` },
    { authorization: `Bearer  ${good}` },
    { authorization: `Bearer ${good},Bearer ${good}` },
    { authorization: `Bearer ${good.toUpperCase()}` },
    { cookie: `token=${good}` },
  ]) {
    const answer = await request('GET', '/v1/datasets/main/thing/a', undefined, headers)
    expect([headers, answer.status]).toEqual([headers, 401])
    expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer/)
    expect(answer.json).toMatchObject({ code: 'unauthenticated' })
  }
  expect((await request('GET', `/t/all?token=${good}`)).status).toBe(401)
  for (const path of ['/livez', '/readyz', '/openapi.json'])
    expect((await request('GET', path)).status).toBe(200)
  expect((await request('GET', '/healthz?verbose')).status).toBe(401)
  expect((await request('GET', '/healthz?verbose', undefined, bearer(good))).json).toHaveProperty(
    'datasets',
  )
  expect((await request('GET', '/metrics')).status).toBe(401)
  // Who may not ask is not told whether the question made sense.
  expect((await request('POST', '/t/echo', { wrong: 1 })).status).toBe(401)
})

test('two Authorization headers are refused, whichever comes first', async () => {
  const { url, token } = await guarded()
  const good = `Authorization: Bearer ${await token('app', 'admin')}`
  const bad = 'Authorization: Bearer cairn_wrong'
  for (const pair of [
    [good, bad],
    [bad, good],
    [good, good],
    [good, bad.toLowerCase()],
  ]) {
    const { status, body } = await rawRequest(
      url,
      head('GET', '/t/all', 'Host: localhost', ...pair),
    )
    expect([status, JSON.parse(body)]).toMatchObject([400, { code: 'usage' }])
  }
  expect((await rawRequest(url, head('GET', '/t/all', 'Host: localhost', good))).status).toBe(200)
})

test('a token for one dataset opens no other, nor what tells of all', async () => {
  const { request, token } = await guarded()
  const only = bearer(await token('only', 'admin', ['main']))
  const other = bearer(await token('other', 'admin', ['scenes']))
  const status = async (path: string, headers: Record<string, string>): Promise<number> =>
    (await request('GET', path, undefined, headers)).status
  expect(await status('/v1/datasets/main/thing/a', only)).toBe(200)
  expect(await status('/v1/datasets/main/thing/a', other)).toBe(403)
  expect(await status('/v1/datasets/mai%6E/thing/a', only)).toBe(200)
  expect(await status('/v1/datasets/scenes/thing/..%2F..%2Fmain', only)).toBe(403)
  expect(await status('/t/all', only)).toBe(403)
  expect(await status('/metrics', only)).toBe(403)
  // What clients of the older system call is about the configured dataset.
  expect(await status('/t/older', only)).toBe(200)
  expect(await status('/t/older', other)).toBe(403)
  expect(await status('/healthz?verbose', only)).toBe(401)
})

test('a revoked token is refused within a second, and the last one opens nothing', async () => {
  const path = join(await tempDir(), 'tokens.json')
  const { token } = await createToken(path, { name: 'app', right: 'read' })
  const { request } = await startService({ routes: ROUTES, values: { tokens_file: path } })
  const ask = async (headers: Record<string, string>): Promise<number> =>
    (await request('GET', '/t/all', undefined, headers)).status
  expect(await ask(bearer(token))).toBe(200)
  await revokeToken(path, 'app')
  await new Promise((resolve) => setTimeout(resolve, 1050))
  expect(await ask(bearer(token))).toBe(401)
  expect(await ask({})).toBe(401)
})

test('the first token closes a running service that was open', async () => {
  const path = join(await tempDir(), 'tokens.json')
  const { request } = await startService({ routes: ROUTES, values: { tokens_file: path } })
  expect((await request('GET', '/t/all')).status).toBe(200)
  const { token } = await createToken(path, { name: 'app', right: 'read' })
  await new Promise((resolve) => setTimeout(resolve, 1050))
  expect((await request('GET', '/t/all')).status).toBe(401)
  expect((await request('GET', '/t/all', undefined, bearer(token))).status).toBe(200)
})

test('a file that vanishes or is damaged changes nothing', async () => {
  const { request, token, path, service, lines } = await guarded()
  const good = bearer(await token('app', 'read'))
  for (const spoil of [
    () => rm(path),
    () => writeFile(path, '{"tokens":['),
    () => writeFile(path, '{}'),
  ]) {
    await spoil()
    service.tokens.reload()
    expect((await request('GET', '/t/all')).status).toBe(401)
    expect((await request('GET', '/t/all', undefined, good)).status).toBe(200)
  }
  expect(lines.filter(({ level }) => level === 'error').map(({ event }) => event)).toEqual(
    expect.arrayContaining(['tokens.gone', 'tokens.unreadable']),
  )
})

test('a damaged file keeps a service from starting', async () => {
  const path = join(await tempDir(), 'tokens.json')
  await writeFile(path, '{"schema":"cairn/tokens@v1","tokens":[{"id":"a"}]}')
  expect(() =>
    openTokens({ path: () => path, log: { info() {}, error() {}, debug() {} } }),
  ).toThrow(/cannot be used/)
})

test('an address that sends wrong tokens has to wait, and locks out nobody who has a right one', async () => {
  const { request, token } = await guarded()
  const good = bearer(await token('app', 'read'))
  for (let i = 0; i < 20; i++)
    expect((await request('GET', '/t/all', undefined, bearer('cairn_wrong'))).status).toBe(401)
  const slowed = await request('GET', '/t/all', undefined, bearer('cairn_wrong'))
  expect([slowed.status, slowed.json]).toMatchObject([429, { code: 'rate_limited' }])
  expect(Number(slowed.headers.get('retry-after'))).toBeGreaterThan(0)
  expect((await request('GET', '/t/all', undefined, good)).status).toBe(200)
  expect((await request('GET', '/livez')).status).toBe(200)
})

test('each token has its own rate', async () => {
  const { request, token } = await guarded({ values: { rate_limit: 1 } })
  const one = bearer(await token('one', 'read'))
  const two = bearer(await token('two', 'read'))
  const began = performance.now()
  const statuses = await Promise.all(
    Array.from({ length: 12 }, async () => (await request('GET', '/t/all', undefined, one)).status),
  )
  const passed = statuses.filter((status) => status === 200).length
  expect(passed).toBeGreaterThanOrEqual(1)
  expect(passed).toBeLessThanOrEqual(2 + (performance.now() - began) / 1000)
  expect(new Set(statuses)).toEqual(new Set([200, 429]))
  expect((await request('GET', '/t/all', undefined, two)).status).toBe(200)
})

test('the limiter fills steadily, saves up its burst and forgets the oldest key', () => {
  const clock = { now: 0 }
  const { take, wait } = limiter({
    perSecond: () => 2,
    burst: () => 3,
    now: () => clock.now,
    keys: 2,
  })
  expect([take('a'), take('a'), take('a'), take('a')]).toEqual([0, 0, 0, 500])
  clock.now = 250
  expect(take('a')).toBeGreaterThan(0)
  clock.now = 500
  expect([take('a'), take('a')]).toEqual([0, 500])
  // A clock that goes back gives and takes nothing.
  clock.now = 100
  expect(take('a')).toBeGreaterThan(0)
  clock.now = 1_000_000
  expect([take('a'), take('a'), take('a'), take('a')]).toEqual([0, 0, 0, 500])
  expect([take('b'), take('c'), wait('a')]).toEqual([0, 0, 0])
})

test('without a token only programs of this machine are answered, not pages of other sites', async () => {
  const { url, request } = await startService({ routes: ROUTES, automation: false })
  const host = async (name: string): Promise<number> =>
    (await rawRequest(url, head('GET', '/t/all', `Host: ${name}`))).status
  for (const name of ['localhost', 'localhost:3000', '127.0.0.1:1', '[::1]:80', 'LOCALHOST'])
    expect([name, await host(name)]).toEqual([name, 200])
  for (const name of [
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '10.0.0.1',
    '',
  ])
    expect([name, await host(name)]).toEqual([name, 403])
  expect((await rawRequest(url, 'GET /t/all HTTP/1.0\r\n\r\n')).status).toBe(403)
  const post = async (origin: string): Promise<number> =>
    (await request('POST', '/t/echo', { n: 1 }, { origin })).status
  expect(await post('https://evil.example')).toBe(403)
  expect(await post('null')).toBe(403)
  expect(await post('http://127.0.0.1:1')).toBe(403)
  expect(await post(url)).toBe(200)
})

test('where tokens are asked for, any name leads to the service', async () => {
  const { url, token } = await guarded()
  const auth = `Authorization: Bearer ${await token('app', 'read')}`
  expect((await rawRequest(url, head('GET', '/t/all', 'Host: cairn.example', auth))).status).toBe(
    200,
  )
})

test('beyond this machine it listens only with a token, and TLS or a proxy', () => {
  const base = { host: '0.0.0.0', tls_cert: null, tls_key: null, behind_proxy: 'no' as const }
  const tls = { tls_cert: 'c', tls_key: 'k' }
  for (const host of ['127.0.0.1', '::1', 'localhost', '127.8.8.8'])
    expect(() => checkListening({ ...base, host }, false)).not.toThrow()
  for (const host of ['0.0.0.0', '::', '192.168.1.5', 'example.org', '127.0.0.1.example.org', '']) {
    const at = { ...base, host }
    expect(() => checkListening(at, false)).toThrow(/needs a token/)
    expect(() => checkListening({ ...at, ...tls }, false)).toThrow(/needs a token/)
    expect(() => checkListening(at, true)).toThrow(/needs TLS/)
    expect(() => checkListening({ ...at, ...tls }, true)).not.toThrow()
    expect(() => checkListening({ ...at, behind_proxy: 'yes' }, true)).not.toThrow()
  }
  expect(() => checkListening({ ...base, tls_cert: 'c' }, true)).toThrow(/only one/)
})

test('behind a proxy it is never open, wherever it listens', async () => {
  const at = { host: '127.0.0.1', tls_cert: null, tls_key: null, behind_proxy: 'yes' as const }
  expect(() => checkListening(at, false)).toThrow(/Behind a proxy the service needs a token/)
  expect(() => checkListening(at, true)).not.toThrow()
  const { request } = await startService({ values: { behind_proxy: 'yes' } })
  expect((await request('GET', '/v1/datasets')).status).toBe(401)
})

test('behind a proxy, who asks is who the proxy says', async () => {
  const { request } = await guarded({ values: { behind_proxy: 'yes' } })
  const from = async (ip: string): Promise<number> =>
    (await request('GET', '/t/all', undefined, { ...bearer('cairn_no'), 'x-forwarded-for': ip }))
      .status
  for (let i = 0; i < 20; i++) await from('203.0.113.7')
  expect(await from('203.0.113.7')).toBe(429)
  expect(await from('203.0.113.8')).toBe(401)
  // What a client wrote there itself stands before what the proxy adds.
  expect(await from('203.0.113.9, 203.0.113.7')).toBe(429)
})
