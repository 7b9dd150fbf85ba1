/** Live maps over HTTP: values, expiry, records, pages, writes of several keys, and what is refused. */
import { request as httpRequest } from 'node:http'
import { expect, test } from 'vitest'
import { openBackend } from '../../src/compose.ts'
import { createToken } from '../../src/service/access/token-file.ts'
import { tempDir } from '../helpers/engine.ts'
import { expectRefused, LINKED, MAIN } from '../helpers/hostile.ts'
import { expectProblem } from '../helpers/problem.ts'
import { startService, type Answer, type TestService } from '../helpers/service.ts'

const MAPS = `${MAIN}/maps`
const map = (name: string): string => `${MAPS}/${encodeURIComponent(name)}`
const keys = (name: string): string => `${map(name)}/keys`
const at = (name: string, key: string): string => `${keys(name)}/${encodeURIComponent(key)}`
const JSON_BODY = { 'content-type': 'application/json' }
const BYTES = { 'content-type': 'application/octet-stream' }

interface Item {
  readonly key: string
  readonly ver: number
  readonly exp: string | null
  readonly value?: unknown
  readonly bytes?: string
}
interface Page {
  readonly items: readonly Item[]
  readonly has_more: boolean
  readonly next_cursor: string | null
}
const pageOf = ({ json }: Answer): Page => json as Page
const keysOf = (answer: Answer): string[] => pageOf(answer).items.map(({ key }) => key)

function put(
  { request }: TestService,
  path: string,
  value: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return request('PUT', path, JSON.stringify(value), { ...JSON_BODY, ...headers })
}

test.each(['memory:', 'lmdb'])('a key is set, read, replaced, deleted: %s', async (store) => {
  const backend = await openBackend(store === 'lmdb' ? `lmdb:${await tempDir()}/store` : store)
  const service = await startService({ backend, ...LINKED })
  const { request } = service
  const made = await put(service, at('users', 'alice'), { name: 'Alice', n: [1, null] })
  expect(made.status).toBe(201)
  expect(made.json).toMatchObject({ key: 'alice', ver: 1, status: 'appended', position: 0 })
  const read = await request('GET', at('users', 'alice'))
  expect(read.json).toEqual({ name: 'Alice', n: [1, null] })
  expect(read.headers.get('content-type')).toContain('application/json')
  const { tip } = made.json as { tip: string }
  expect(read.headers.get('etag')).toBe(`"1-${tip}"`)
  const known = { 'if-none-match': `"1-${tip}"` }
  expect((await request('GET', at('users', 'alice'), undefined, known)).status).toBe(304)
  const head = await request('HEAD', at('users', 'alice'))
  expect([head.status, head.text]).toEqual([200, ''])
  expect((await request('GET', map('users'))).json).toEqual({
    name: 'users',
    kind: 'named',
    ttl_ms: null,
    count: 1,
  })
  expect((await put(service, at('users', 'alice'), 2)).json).toMatchObject({ ver: 2 })
  expect((await request('DELETE', at('users', 'alice'))).json).toMatchObject({ ver: 3, tip: null })
  expectProblem(await request('GET', at('users', 'alice')), 404, 'not_found')
  expectProblem(await request('HEAD', at('users', 'alice')).then(noBody), 404, 'not_found')
  expectProblem(await request('DELETE', at('users', 'alice')), 404, 'not_found')
  expect((await request('GET', map('users'))).json).toMatchObject({ count: 0 })
})

const noBody = (answer: Answer): Answer => {
  expect(answer.text).toBe('')
  return { ...answer, json: { code: 'not_found' } }
}

test('the first key and the record of its map are one commit; the key was in no commit without it', async () => {
  const service = await startService(LINKED)
  const number = async (): Promise<number> =>
    (await service.service.cairn.dataset('main').then((one) => one.head())).number
  const before = await number()
  await put(service, at('a', 'k'), 1)
  expect(await number()).toBe(before + 1)
  expect((await service.request('GET', MAPS)).json).toMatchObject({ items: [{ name: 'a' }] })
})

test('bytes of every size, and values that plain JSON has no words for', async () => {
  const service = await startService(LINKED)
  const { request, url } = service
  for (const size of [0, 1, 1 << 20, (1 << 20) + 1, 3_000_000]) {
    const bytes = new Uint8Array(size).fill(7)
    expect((await request('PUT', at('m', 'b'), bytes, BYTES)).status).toBe(201)
    const response = await fetch(`${url}${at('m', 'b')}`)
    expect(response.headers.get('content-type')).toBe('application/octet-stream')
    expect(Buffer.from(await response.arrayBuffer()).equals(Buffer.from(bytes))).toBe(true)
  }
  const exact = '{"big":12345678901234567890,"bytes":{"/":{"bytes":"AQI"}}}'
  expect((await request('PUT', at('m', 'v'), exact, JSON_BODY)).status).toBe(201)
  expect((await request('GET', at('m', 'v'))).text).toBe(exact)
  const page = await request('GET', `${keys('m')}?values=true`)
  // Large bytes are read by their key.
  expect(pageOf(page).items.map(({ key, bytes }) => [key, bytes])).toEqual([
    ['b', undefined],
    ['v', undefined],
  ])
  expect(page.text).toContain(`"value":${exact}`)
})

test('an expired key is gone; of several times the one that was given counts', async () => {
  let now = Date.parse('2026-05-01T00:00:00Z')
  const service = await startService({ ...LINKED, now: () => now, automation: false })
  const { request } = service
  expect((await request('PUT', map('cache'), { ttl_ms: 1000 })).status).toBe(201)
  await put(service, at('cache', 'own'), 1)
  await put(service, `${at('cache', 'long')}?ttl_ms=60000`, 1)
  await put(service, `${at('cache', 'at')}?expires=2026-05-01T00:00:30Z`, 1)
  await put(service, `${at('cache', 'ms')}?expires=${now + 5000}`, 1)
  await put(service, `${at('cache', 'never')}?expires=never`, 1)
  await put(service, `${at('cache', 'huge')}?ttl_ms=${Number.MAX_SAFE_INTEGER}`, 1)
  const seen = async (): Promise<string[]> => keysOf(await request('GET', keys('cache')))
  expect(await seen()).toEqual(['at', 'huge', 'long', 'ms', 'never', 'own'])
  now += 1000
  expectProblem(await request('GET', at('cache', 'own')), 404, 'not_found')
  expect(await seen()).toEqual(['at', 'huge', 'long', 'ms', 'never'])
  now += 5000
  expect(await seen()).toEqual(['at', 'huge', 'long', 'never'])
  now += 24_000
  expect(await seen()).toEqual(['huge', 'long', 'never'])
  now += 3_600_000
  expect(await seen()).toEqual(['huge', 'never'])
  expect((await request('GET', map('cache'))).json).toMatchObject({ kind: 'expiring', count: 2 })
  // What ends in the past is set and gone, and what it replaced with it.
  await put(service, `${at('cache', 'never')}?expires=${now - 1}`, 2)
  expect(await seen()).toEqual(['huge'])
  await put(service, at('cache', 'never'), 3)
  expect((await request('GET', at('cache', 'never'))).text).toBe('3')
})

test('expiry is kept by a build and by a restart', async () => {
  let now = Date.parse('2026-05-01T00:00:00Z')
  const dir = await tempDir()
  const open = async (): Promise<TestService> =>
    startService({
      backend: await openBackend(`lmdb:${dir}/store`),
      ...LINKED,
      now: () => now,
      automation: false,
    })
  const first = await open()
  await put(first, `${at('c', 'a')}?ttl_ms=5000`, 'a')
  await put(first, `${at('c', 'b')}?ttl_ms=50000`, 'b')
  await (await first.service.dataset('main')).build()
  await first.close()
  now += 5000
  const second = await open()
  expect(keysOf(await second.request('GET', keys('c')))).toEqual(['b'])
  expectProblem(await second.request('GET', at('c', 'a')), 404, 'not_found')
})

test('the record of a map: kinds, changes, two maps of Cairn', async () => {
  const service = await startService(LINKED)
  const { request } = service
  expect((await request('PUT', map('m'), { ttl_ms: null })).status).toBe(201)
  expect((await request('PUT', map('m'), { ttl_ms: null })).status).toBe(200)
  expect((await request('GET', `${MAIN}/entities/maps%2Fm/history`)).json).toMatchObject({
    items: [{ ver: 1 }],
  })
  const changed = await request('PUT', map('m'), { ttl_ms: 5 })
  expect([changed.status, changed.json]).toEqual([
    200,
    { name: 'm', kind: 'expiring', ttl_ms: 5, count: 0 },
  ])
  expect((await request('PUT', map('~default'), { ttl_ms: null })).json).toMatchObject({
    kind: 'default',
  })
  expect((await put(service, at('~expiring', 'k'), 1)).status).toBe(201)
  expect((await request('GET', map('~expiring'))).json).toMatchObject({ kind: 'expiring' })
  for (const bad of [{}, { ttl_ms: 0 }, { ttl_ms: -5 }, { ttl_ms: 1.5 }, { ttl_ms: '5' }, [], null])
    expectRefused(await request('PUT', map('m'), bad), JSON.stringify(bad))
  expectProblem(await request('GET', map('none')), 404, 'not_found')
  expectProblem(await request('GET', keys('none')), 404, 'not_found')
  expectProblem(await request('DELETE', map('none')), 404, 'not_found')
  expectProblem(await request('GET', '/v1/datasets/none/maps'), 404, 'dataset_not_found')
})

test('maps are paged by name; entities of others with such ids are none', async () => {
  const service = await startService(LINKED)
  const { request } = service
  const names = ['a', 'a/b', 'a%2Fb', 'ü', '日本', 'x y', '~default']
  for (const name of names)
    await request('POST', keys(name), { set: { [`of ${name}`]: name, second: 1 } })
  await request('PUT', `${MAIN}/entities/maps%2Falien`, { value: { level: 3 } })
  await request('PUT', `${MAIN}/entities/maps%2Fbytes`, { bytes: 'AAAA' })
  const found: { name: string; count: number }[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const query: string = cursor === '' ? '' : `&cursor=${cursor}`
    const { json } = await request('GET', `${MAPS}?limit=3${query}`)
    found.push(...(json as { items: typeof found }).items)
    cursor = (json as Page).next_cursor
  }
  expect(found.map(({ name }) => name).toSorted()).toEqual(names.toSorted())
  expect(found.every(({ count }) => count === 2)).toBe(true)
  for (const name of names)
    expect((await request('GET', at(name, `of ${name}`))).json, name).toBe(name)
  expectProblem(await request('GET', map('alien')), 422, 'invalid_content')
})

test('keys of every text, each by its own address', async () => {
  const service = await startService(LINKED)
  const odd = ['a/b', 'a%2Fb', '%', '?x=1', '#', ' ', '+', '\n', '\u0000', 'ü€𝄞', 'read', '.a', '/']
  for (const key of odd) {
    expect((await put(service, at('m', key), { key })).status, key).toBe(201)
    expect((await service.request('GET', at('m', key))).json, key).toEqual({ key })
  }
  expect(keysOf(await service.request('GET', `${keys('m')}?limit=1000`)).toSorted()).toEqual(
    odd.toSorted(),
  )
  for (const key of ['.', '..']) {
    expect((await rawRequest(service, 'PUT', `${keys('m')}/${key}`, '1')).status, key).toBe(201)
    expect((await rawRequest(service, 'GET', `${keys('m')}/${key}`)).text).toBe('1')
  }
})

/** Addresses as they are: `fetch` takes "." and ".." for folders. */
function rawRequest(
  { url }: TestService,
  method: string,
  path: string,
  body?: string,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : JSON_BODY
    const call = httpRequest(`${url}/`, { method, path, headers }, (response) => {
      let text = ''
      response.on('data', (part: Buffer) => (text += part.toString('utf8')))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
    })
    call.on('error', reject)
    call.end(body)
  })
}

test('pages of keys: order, prefix, cursors, and values that end a page early', async () => {
  const service = await startService(LINKED)
  const { request } = service
  const set = Object.fromEntries(Array.from({ length: 25 }, (_, i) => [`k${i + 10}`, i]))
  await request('POST', keys('m'), { set: { ...set, other: 'x' } })
  await put(service, at('m2', 'k10'), 'of another map')
  const all = async (query: string): Promise<Item[]> => {
    const items: Item[] = []
    for (let cursor: string | null = ''; cursor !== null;) {
      const place: string = cursor === '' ? '' : `&cursor=${cursor}`
      const page = pageOf(await request('GET', `${keys('m')}?${query}${place}`))
      expect(page.has_more).toBe(page.next_cursor !== null)
      items.push(...page.items)
      cursor = page.next_cursor
    }
    return items
  }
  const names = Object.keys(set)
  expect((await all('limit=4&prefix=k')).map(({ key }) => key)).toEqual(names)
  expect((await all('limit=7&order=desc')).map(({ key }) => key)).toEqual([
    'other',
    ...names.toReversed(),
  ])
  const valued = await all('limit=10&values=true&prefix=k')
  expect(valued.map(({ value }) => value)).toEqual(Object.values(set))
  expect(await all('prefix=none')).toEqual([])
  const large = 'x'.repeat(900_000)
  for (let i = 0; i < 10; i++) await put(service, at('m', `large${i}`), large)
  const first = await request('GET', `${keys('m')}?prefix=large&values=true`)
  expect(first.text.length).toBeLessThan(5 << 20)
  expect(pageOf(first).has_more).toBe(true)
  expect((await all('prefix=large&values=true')).map(({ value }) => value)).toEqual(
    Array.from({ length: 10 }, () => large),
  )
  expect((await all('prefix=large&values=true&order=desc')).length).toBe(10)
  for (const query of ['limit=0', 'limit=10001', 'order=up', 'values=2', 'prefix=', 'from=a'])
    expectProblem(await request('GET', `${keys('m')}?${query}`), 400, 'usage')
  expectProblem(await request('GET', `${keys('m')}?cursor=AAAA`), 400, 'invalid_cursor')
})

test('several keys are read at once', async () => {
  const service = await startService(LINKED)
  const { request } = service
  await request('POST', keys('m'), { set: { a: 1, b: { '/': { bytes: 'AQI' } }, c: null } })
  const read = `${map('m')}/read`
  const some = await request('POST', read, { keys: ['c', 'none', 'a', 'c', 'b'] })
  expect(some.json).toMatchObject({
    items: [
      { key: 'c', value: null },
      { key: 'a', value: 1, ver: 1 },
      { key: 'b', bytes: 'AQI=' },
    ],
    left: [],
  })
  expect((await request('POST', read, { keys: ['a'], values: false })).text).not.toContain('value')
  const large = 'x'.repeat(900_000)
  const names = Array.from({ length: 7 }, (_, i) => `large${i}`)
  for (const name of names) await put(service, at('m', name), large)
  const first = (await request('POST', read, { keys: names })).json as Page & { left: string[] }
  expect(first.items.length).toBe(4)
  expect(first.left).toEqual(names.slice(4))
  for (const bad of [{}, { keys: [] }, { keys: [''] }, { keys: ['a'], more: 1 }, { keys: [1] }])
    expectProblem(await request('POST', read, bad), 400, 'usage')
})

test('several keys are written in one commit, all or none', async () => {
  const service = await startService(LINKED)
  const { request } = service
  await request('POST', keys('m'), { set: { old: 1, kept: 1 } })
  const dataset = await service.service.dataset('main')
  const before = (await dataset.head()).number
  const body = {
    set: { a: { n: 1 }, b: { '/': { bytes: 'AQI' } } },
    delete: ['old', 'absent'],
    entries: [
      { key: '__proto__', value: 'p' },
      { key: '/', bytes: 'AAAA', ttl_ms: 60_000 },
      { key: 'kept', value: 2, expect_ver: 1 },
    ],
  }
  const written = await request('POST', keys('m'), body)
  expect((await dataset.head()).number).toBe(before + 1)
  const { entries } = written.json as { entries: { key: string; ver: number }[] }
  expect(entries.map(({ key, ver }) => [key, ver])).toEqual([
    ['a', 1],
    ['b', 1],
    ['old', 2],
    ['__proto__', 1],
    ['/', 1],
    ['kept', 2],
  ])
  expect(keysOf(await request('GET', keys('m')))).toEqual(['/', '__proto__', 'a', 'b', 'kept'])
  expect((await request('GET', at('m', '/'))).headers.get('content-type')).toContain('octet-stream')
  const refused = { set: { a: 5 }, entries: [{ key: 'kept', value: 3, expect_ver: 1 }] }
  expectProblem(await request('POST', keys('m'), refused), 409, 'conflict')
  expect((await request('GET', at('m', 'a'))).json).toEqual({ n: 1 })
  // Nothing of a map that is not there, and so no map.
  expect((await request('POST', keys('none'), { delete: ['x'] })).json).toEqual({ entries: [] })
  expectProblem(await request('GET', map('none')), 404, 'not_found')
})

test('what a write of several keys refuses', async () => {
  const { request } = await startService(LINKED)
  const many = Array.from({ length: 5000 }, (_, i) => `k${i}`)
  const refused: [unknown, number][] = [
    [{}, 400],
    [{ set: [] }, 400],
    [{ more: 1 }, 400],
    [{ set: { a: 1 }, delete: ['a'] }, 400],
    [{ delete: ['a', 'a'] }, 400],
    [{ delete: [''] }, 400],
    [{ set: { a: 1 }, ttl_ms: -1 }, 400],
    [{ set: { a: 1 }, ttl_ms: 2 ** 60 }, 400],
    [{ entries: [{ key: 'a' }] }, 400],
    [{ entries: [{ key: 'a', value: 1, bytes: 'AAAA' }] }, 400],
    [{ entries: [{ key: 'a', tip: 'x' }] }, 400],
    [{ entries: [{ key: 'a', value: 1, ttl_ms: 5, exp: 5 }] }, 400],
    [{ entries: [{ key: 'a\ud800', value: 1 }] }, 400],
    [{ set: { ['x'.repeat(513)]: 1 } }, 422],
    [{ set: { a: { '/': 'no CID' } } }, 422],
    [{ set: { a: 'x'.repeat(2 << 20) } }, 413],
    [{ delete: many, entries: many.map((key) => ({ key: `e${key}`, value: 1 })) }, 413],
  ]
  for (const [body, status] of refused) {
    const answer = await request('POST', keys('m'), body)
    expect(answer.status, `${JSON.stringify(body).slice(0, 80)} ${answer.text}`).toBe(status)
    expectRefused(answer, answer.text)
  }
  // As a key of an object it is no key.
  const proto = await request('POST', keys('m'), '{"set":{"__proto__":1}}', JSON_BODY)
  expectProblem(proto, 400, 'usage')
  expectProblem(await request('GET', map('m')), 404, 'not_found')
})

test('names and keys that are none are refused, and nothing is written', async () => {
  const service = await startService(LINKED)
  const { request } = service
  for (const name of ['~', '~other', 'x'.repeat(201), '%'.repeat(100), '€'.repeat(100)])
    expectProblem(await put(service, at(name, 'k'), 1), 400, 'usage')
  expectProblem(await put(service, at('m', 'k'.repeat(513)), 1), 400, 'usage')
  expectProblem(await put(service, at('m', '€'.repeat(200)), 1), 422, 'invalid_entry')
  expectProblem(await put(service, at('m', 'k'.repeat(507)), 1), 422, 'invalid_entry')
  expect((await put(service, at('m', 'k'.repeat(506)), 1)).status).toBe(201)
  expectRefused(await rawAnswer(service, 'PUT', `${keys('m')}/`), 'no key')
  expectRefused(await rawAnswer(service, 'PUT', `${MAPS}//keys/k`), 'no name')
  expectRefused(await rawAnswer(service, 'PUT', `${keys('m')}/%ff`), 'no UTF-8')
  expectRefused(await rawAnswer(service, 'PUT', `${keys('m')}/%`), 'no escape')
  for (const query of ['ttl_ms=-1', 'ttl_ms=0', 'ttl_ms=x', 'expires=soon', 'expires=-5', 'ver=0'])
    expectProblem(await put(service, `${at('m', 'k')}?${query}`, 1), 400, 'usage')
  expectProblem(await put(service, `${at('m', 'k')}?ttl_ms=5&expires=never`, 1), 400, 'usage')
  for (const body of ['', '{', 'nul', '"\\ud800"', '[1,]'])
    expectRefused(await request('PUT', at('m', 'k'), body, JSON_BODY), body)
  expectRefused(
    await request('PUT', at('m', 'k'), '['.repeat(600) + ']'.repeat(600), JSON_BODY),
    'deep',
  )
  expectProblem(await put(service, at('m', 'k'), 'x'.repeat(2 << 20)), 413, 'too_large')
  expect(keysOf(await request('GET', keys('m')))).toEqual(['k'.repeat(506)])
})

async function rawAnswer(service: TestService, method: string, path: string): Promise<Answer> {
  const { status, text } = await rawRequest(service, method, path, '1')
  return { status, text, json: JSON.parse(text) as unknown, headers: new Headers() }
}

test('conditions: headers, versions, and both', async () => {
  const service = await startService(LINKED)
  const { request } = service
  const none = { 'if-none-match': '*' }
  expect((await put(service, at('m', 'k'), 1, none)).status).toBe(201)
  expectProblem(await put(service, at('m', 'k'), 2, none), 409, 'conflict')
  const etag = (await request('GET', at('m', 'k'))).headers.get('etag') ?? ''
  expect((await put(service, at('m', 'k'), 2, { 'if-match': etag })).status).toBe(201)
  expectProblem(await put(service, at('m', 'k'), 3, { 'if-match': etag }), 409, 'conflict')
  expectProblem(await put(service, `${at('m', 'k')}?expect_ver=1`, 3), 409, 'conflict')
  expect((await put(service, `${at('m', 'k')}?expect_ver=2`, 3)).json).toMatchObject({ ver: 3 })
  expect((await put(service, `${at('m', 'k')}?ver=3`, 3)).json).toMatchObject({ status: 'already' })
  expectProblem(await put(service, `${at('m', 'k')}?expect_ver=3`, 4, none), 400, 'usage')
  expectProblem(await request('DELETE', `${at('m', 'k')}?expect_ver=1`), 409, 'conflict')
  expect((await request('DELETE', `${at('m', 'k')}?ver=4`)).json).toMatchObject({ ver: 4 })
  expect((await request('DELETE', `${at('m', 'k')}?ver=4`)).json).toMatchObject({
    status: 'already',
  })
})

test.each([10_000, 64])('a map goes with all its keys: chain limit %d', async (chainLimit) => {
  const service = await startService({ init: { content: 'linked', chainLimit } })
  const { request } = service
  const many = Array.from({ length: 150 }, (_, i) => `k${i}`)
  for (let i = 0; i < many.length; i += 50)
    await request('POST', keys('m'), {
      set: Object.fromEntries(many.slice(i, i + 50).map((k) => [k, k])),
    })
  await put(service, at('m2', 'stays'), 1)
  await request('PUT', `${MAIN}/entities/other`, { value: 1 })
  const dataset = await service.service.dataset('main')
  const before = (await dataset.head()).number
  expect((await request('DELETE', map('m'))).json).toEqual({ name: 'm', deleted: 150 })
  if (chainLimit > 150) expect((await dataset.head()).number).toBe(before + 1)
  expectProblem(await request('GET', keys('m')), 404, 'not_found')
  expect((await request('GET', MAPS)).json).toMatchObject({ items: [{ name: 'm2', count: 1 }] })
  expect((await request('GET', `${MAIN}/entities/other`)).status).toBe(200)
  expectProblem(await request('DELETE', map('m')), 404, 'not_found')
  expect((await put(service, at('m', 'k0'), 'anew')).status).toBe(201)
  expect((await request('GET', map('m'))).json).toMatchObject({ count: 1 })
})

test('many clients make maps and write keys at once: nothing is lost, every map has its record', async () => {
  const service = await startService(LINKED)
  const { request } = service
  const answers = await Promise.all(
    Array.from({ length: 120 }, (_, i) =>
      i % 6 === 5
        ? request('PUT', map(`m${i % 4}`), { ttl_ms: 3_600_000 })
        : put(service, at(`m${i % 4}`, `k${i}`), i),
    ),
  )
  expect(answers.map(({ status }) => status).filter((one) => one > 201)).toEqual([])
  const { json } = await request('GET', MAPS)
  const { items } = json as { items: { count: number }[] }
  expect(items.length).toBe(4)
  expect(items.reduce((sum, { count }) => sum + count, 0)).toBe(100)
})

test('the record that comes with a first key takes no place of one that was made on purpose', async () => {
  const service = await startService(LINKED)
  const { request } = service
  for (let i = 0; i < 40; i++) {
    const name = `m${i}`
    const keysBefore = Array.from({ length: i % 4 }, (_, k) => put(service, at(name, `a${k}`), k))
    const made = request('PUT', map(name), { ttl_ms: 7 })
    const keysAfter = Array.from({ length: 4 }, (_, k) => put(service, at(name, `b${k}`), k))
    await Promise.all([...keysBefore, made, ...keysAfter])
    expect((await request('GET', map(name))).json).toMatchObject({ ttl_ms: 7, kind: 'expiring' })
  }
})

test('keys that are written while their map is deleted have a map, or are gone', async () => {
  const service = await startService(LINKED)
  const { request } = service
  for (let round = 0; round < 10; round++) {
    await put(service, at('m', 'first'), 1)
    await Promise.all([
      request('DELETE', map('m')),
      ...Array.from({ length: 8 }, (_, i) => put(service, at('m', `k${i}`), i)),
    ])
    const page = await request('GET', keys('m'))
    const there = page.status === 200 ? keysOf(page) : []
    const record = await request('GET', map('m'))
    if (there.length > 0) expect(record.json).toMatchObject({ count: there.length })
  }
})

test('a dataset without content of its own takes no values', async () => {
  const service = await startService({ init: { content: 'external' } })
  expectProblem(await put(service, at('m', 'k'), 1), 409, 'conflict')
  expectProblem(await service.request('POST', keys('m'), { set: { a: 1 } }), 409, 'conflict')
  expectProblem(await service.request('PUT', map('m'), { ttl_ms: 1 }), 409, 'conflict')
  expect((await service.request('GET', MAPS)).json).toMatchObject({ items: [] })
})

test('rights, and the rate of requests', async () => {
  const file = `${await tempDir()}/tokens.json`
  const token = async (name: string, right: 'read' | 'append', datasets?: string[]) => ({
    authorization: `Bearer ${(await createToken(file, { name, right, ...(datasets === undefined ? {} : { datasets }) })).token}`,
  })
  const [reader, writer] = [await token('reader', 'read'), await token('writer', 'append')]
  const other = await token('other', 'append', ['elsewhere'])
  const service = await startService({ ...LINKED, values: { tokens_file: file } })
  const { request, set } = service
  expect((await put(service, at('m', 'k'), 1, writer)).status).toBe(201)
  expect((await request('GET', at('m', 'k'), undefined, reader)).status).toBe(200)
  expect((await request('POST', `${map('m')}/read`, { keys: ['k'] }, reader)).status).toBe(200)
  for (const [method, path] of [
    ['PUT', at('m', 'k')],
    ['PUT', map('m')],
    ['POST', keys('m')],
    ['DELETE', map('m')],
    ['DELETE', at('m', 'k')],
  ] as const) {
    const body = method === 'DELETE' ? undefined : { ttl_ms: 1 }
    expectProblem(await request(method, path, body, reader), 403, 'access_denied')
    expectProblem(await request(method, path, body, other), 403, 'access_denied')
    expectProblem(await request(method, path, body), 401, 'unauthenticated')
  }
  expectProblem(await request('GET', at('m', 'k'), undefined, other), 403, 'access_denied')
  set({ rate_limit: 2 })
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => request('GET', at('m', 'k'), undefined, reader)),
  )
  expect(answers.some(({ status }) => status === 429)).toBe(true)
})
