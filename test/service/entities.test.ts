/** Entities over HTTP: reading, paging, writing, deleting, conditions, and ids of every shape. */
import { request as httpRequest } from 'node:http'
import { expect, test } from 'vitest'
import { expectProblem } from '../helpers/problem.ts'
import { startService, type Answer, type TestService } from '../helpers/service.ts'
import { tempDir } from '../helpers/engine.ts'
import { openBackend } from '../../src/compose.ts'
import { printCid } from '../../src/model/cid.ts'
import { tipOf } from '../helpers/entries.ts'

const cid = (text: string): string => printCid(tipOf(text))
const ENTITIES = '/v1/datasets/main/entities'
const entity = (pi: string): string => `${ENTITIES}/${encodeURIComponent(pi)}`
const ONE = cid('one')
const TWO = cid('two')

/** Addresses as they are: `fetch` takes "." and ".." for folders. */
function rawRequest(
  { url }: TestService,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; json: unknown }> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' }
    const call = httpRequest(`${url}/`, { method, path, headers }, (response) => {
      let text = ''
      response.on('data', (part: Buffer) => (text += part.toString('utf8')))
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, json: JSON.parse(text) as unknown }),
      )
    })
    call.on('error', reject)
    call.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

test.each(['memory:', 'lmdb'])('an entity is written, read, deleted: %s', async (store) => {
  const backend = await openBackend(store === 'lmdb' ? `lmdb:${await tempDir()}/store` : store)
  const { request } = await startService({ backend })
  const made = await request('PUT', entity('a'), { tip: ONE })
  expect(made.status).toBe(201)
  expect(made.json).toEqual({ pi: 'a', ver: 1, tip: ONE, position: 0, status: 'appended' })
  const again = await request('PUT', entity('a'), { tip: ONE, ver: 1 })
  expect(again.status).toBe(200)
  expect(again.json).toEqual({ pi: 'a', ver: 1, tip: ONE, position: 0, status: 'already' })
  const read = await request('GET', entity('a'))
  expect(read.status).toBe(200)
  expect(read.json).toEqual({
    pi: 'a',
    ver: 1,
    tip: ONE,
    exp: null,
    ts: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string,
  })
  expect(read.headers.get('etag')).toBe(`"1-${ONE}"`)
  const gone = await request('DELETE', entity('a'))
  expect(gone.json).toEqual({ pi: 'a', ver: 2, tip: null, position: 1, status: 'appended' })
  expectProblem(await request('GET', entity('a')), 404, 'not_found')
  const history = await request('GET', `${entity('a')}/history`)
  expect((history.json as { items: { ver: number; tip: string | null }[] }).items).toMatchObject([
    { ver: 2, tip: null, position: 1 },
    { ver: 1, tip: ONE, position: 0 },
  ])
  expect((await request('GET', `${entity('a')}/history?limit=1`)).json).toMatchObject({
    items: [{ ver: 2 }],
  })
})

test('a page', async () => {
  const { request } = await startService()
  for (const pi of ['b1', 'b2', 'a', 'c']) await request('PUT', entity(pi), { tip: cid(pi) })
  const page = await request('GET', `${ENTITIES}?limit=2&order=asc`)
  const first = page.json as { items: { pi: string }[]; next_cursor: string }
  expect(page.json).toMatchObject({ total_count: 4, has_more: true })
  expect(first.items.map(({ pi }) => pi)).toEqual(['a', 'b1'])
  const next = await request('GET', `${ENTITIES}?limit=2&order=asc&cursor=${first.next_cursor}`)
  expect(next.json).toMatchObject({
    items: [{ pi: 'b2' }, { pi: 'c' }],
    has_more: false,
    next_cursor: null,
  })
  const ids = async (query: string): Promise<string[]> => {
    const { json } = await request('GET', `${ENTITIES}?${query}`)
    return (json as typeof first).items.map(({ pi }) => pi)
  }
  expect(await ids('')).toEqual(['c', 'b2', 'b1', 'a'])
  expect(await ids('prefix=b')).toEqual(['b2', 'b1'])
  expect(await ids('from=b&to=b2&order=asc')).toEqual(['b1'])
  expect(await ids('offset=3')).toEqual(['a'])
})

test('what a page refuses', async () => {
  const { request } = await startService()
  const refused = [
    'limit=0',
    'limit=-1',
    'limit=10001',
    'limit=x',
    'offset=-1',
    'order=up',
    'page=2',
  ]
  for (const query of [
    ...refused,
    'prefix=',
    'at_commit=-1',
    'at_time=yesterday',
    'limit=1&limit=2',
  ]) {
    const answer = await request('GET', `${ENTITIES}?${query}`)
    expectProblem(answer, 400, 'usage')
    expect(answer.headers.get('content-type')).toContain('application/problem+json')
  }
  expectProblem(await request('GET', `${ENTITIES}?cursor=AAAA`), 400, 'invalid_cursor')
  expectProblem(await request('GET', `${ENTITIES}?at_commit=0&at_snapshot=latest`), 400, 'usage')
  expectProblem(await request('GET', '/v1/datasets/none/entities'), 404, 'dataset_not_found')
  expectProblem(await request('GET', '/v1/datasets/No/entities'), 400, 'usage')
})

test('what was at another moment', async () => {
  const clock = { now: 1_700_000_000_000 }
  const { request, service } = await startService({ now: () => clock.now })
  await request('PUT', entity('a'), { tip: ONE })
  await (await service.dataset('main')).build({})
  clock.now += 60_000
  await request('PUT', entity('a'), { tip: TWO })
  const at = async (query: string): Promise<unknown> =>
    ((await request('GET', `${entity('a')}?${query}`)).json as { tip?: unknown }).tip
  expect(await at('at_snapshot=latest')).toBe(ONE)
  expect(await at('at_snapshot=seq:1')).toBe(ONE)
  expect(await at('at_commit=1')).toBe(ONE)
  expect(await at('at_commit=3')).toBe(TWO)
  expect(await at('at_time=1700000000001')).toBe(ONE)
  expect(await at('at_time=2023-11-14T22:13:20Z')).toBe(ONE)
  expect(await at('at_time=2023-11-14T23:14:20%2B01:00')).toBe(TWO)
  expectProblem(await request('GET', `${entity('a')}?at_commit=99`), 404, 'not_found')
  expectProblem(await request('GET', `${entity('a')}?at_snapshot=seq:9`), 404, 'not_found')
  const page = await request('GET', `${ENTITIES}?at_snapshot=seq:0`)
  expect(page.json).toMatchObject({ items: [], total_count: 0 })
})

test('conditions of a write, in fields and in headers', async () => {
  const { request } = await startService()
  const put = (body: unknown, headers = {}): Promise<Answer> =>
    request('PUT', entity('a'), body, headers)
  expect((await put({ tip: ONE }, { 'if-none-match': '*' })).status).toBe(201)
  const conflict = await put({ tip: TWO }, { 'if-none-match': '*' })
  expectProblem(conflict, 409, 'conflict')
  expect(conflict.json).toMatchObject({ current_ver: 1, current_tip: ONE, pi: 'a' })
  expectProblem(await put({ tip: TWO, expect_ver: 0 }), 409, 'conflict')
  expectProblem(await put({ tip: TWO, expect_tip: null }), 409, 'conflict')
  expectProblem(await put({ tip: TWO }, { 'if-match': `"7-${ONE}"` }), 409, 'conflict')
  expectProblem(await put({ tip: TWO }, { 'if-match': `"${TWO}"` }), 409, 'conflict')
  const { headers } = await request('GET', entity('a'))
  const tag = headers.get('etag') ?? ''
  expect((await put({ tip: TWO }, { 'if-match': `W/${tag}` })).status).toBe(201)
  expectProblem(await put({ tip: cid('three') }, { 'if-match': tag }), 409, 'conflict')
  expect((await put({ tip: ONE, expect_ver: 2, expect_tip: TWO })).status).toBe(201)
  expect((await put({ tip: TWO }, { 'if-match': '*' })).status).toBe(201)
  expectProblem(
    await request('PUT', entity('b'), { tip: ONE }, { 'if-match': '*' }),
    409,
    'conflict',
  )
  for (const bad of ['x', '"x"x', `"${ONE}", "${TWO}"`, '']) {
    expectProblem(await put({ tip: ONE }, { 'if-match': bad }), 400, 'usage')
  }
  expectProblem(await put({ tip: ONE }, { 'if-none-match': '"1"' }), 400, 'usage')
  expectProblem(await put({ tip: ONE, expect_ver: 4 }, { 'if-match': '*' }), 400, 'usage')
  expectProblem(await request('DELETE', `${entity('a')}?expect_ver=1`), 409, 'conflict')
  const deleted = await request('DELETE', entity('a'), undefined, { 'if-match': `"4-${TWO}"` })
  expect(deleted.status).toBe(200)
  // A deleted entity may be made anew.
  expect((await put({ tip: ONE }, { 'if-none-match': '*' })).status).toBe(201)
})

test('an entity that the client has is not sent again', async () => {
  const { request } = await startService()
  await request('PUT', entity('a'), { tip: ONE })
  const ask = (tag: string): Promise<Answer> =>
    request('GET', entity('a'), undefined, { 'if-none-match': tag })
  for (const tag of [`"1-${ONE}"`, `W/"1-${ONE}"`, `"x", "1-${ONE}"`, '*']) {
    const answer = await ask(tag)
    expect([answer.status, answer.text]).toEqual([304, ''])
    expect(answer.headers.get('etag')).toBe(`"1-${ONE}"`)
  }
  expect((await ask(`"2-${ONE}"`)).status).toBe(200)
  expectProblem(
    await request('GET', entity('none'), undefined, { 'if-none-match': '*' }),
    404,
    'not_found',
  )
})

const IDS = [
  'a/b',
  'a?b',
  'a#b',
  'a b',
  '%',
  '%2F',
  'a+b',
  '..a',
  'ä',
  '😀',
  '\u0000',
  '\n',
  '"',
  '\\',
  'x'.repeat(512),
  'ä'.repeat(256),
  '😀'.repeat(128),
  'history',
  'content',
  '__proto__',
  ';',
]

test('an id is any text of 1 to 512 bytes', async () => {
  const { request } = await startService()
  for (const pi of IDS) {
    const made = await request('PUT', entity(pi), { tip: ONE })
    expect(made.json, pi).toMatchObject({ pi, status: 'appended' })
    expect((await request('GET', entity(pi))).json, pi).toMatchObject({ pi, tip: ONE })
    expect((await request('GET', `${entity(pi)}/history`)).json).toMatchObject({ items: [{ pi }] })
  }
  const all = (await request('GET', `${ENTITIES}?limit=1000`)).json as { items: { pi: string }[] }
  expect(new Set(all.items.map(({ pi }) => pi))).toEqual(new Set(IDS))
})

test('ids of dots are taken as they are', async () => {
  const service = await startService()
  for (const pi of ['.', '..', '...']) {
    for (const path of [`${ENTITIES}/${pi}`, `${ENTITIES}/${pi.replaceAll('.', '%2E')}`]) {
      const made = await rawRequest(service, 'PUT', path, { tip: ONE })
      expect(made.json).toMatchObject({ pi })
      expect((await rawRequest(service, 'GET', path)).json).toMatchObject({ pi, tip: ONE })
    }
  }
})

test('what is no id', async () => {
  const service = await startService()
  const put = (pi: string): Promise<Answer> => service.request('PUT', entity(pi), { tip: ONE })
  expectProblem(await put('x'.repeat(513)), 400, 'usage')
  // Within the schema's 512 characters, beyond the engine's 512 bytes.
  expectProblem(await put('ä'.repeat(257)), 422, 'invalid_entry')
  for (const broken of ['%', '%zz', '%c3', '%ff', '%ed%a0%80']) {
    const answer = await rawRequest(service, 'PUT', `${ENTITIES}/${broken}`, { tip: ONE })
    expect(answer.status, broken).toBe(400)
  }
})

const BAD_BODIES: readonly (readonly [string, unknown])[] = [
  ['nothing', {}],
  ['two contents', { tip: ONE, value: 1 }],
  ['a null tip', { tip: null }],
  ['an unknown field', { tip: ONE, x: 1 }],
  ['a number as text', { tip: ONE, ver: '1' }],
  ['version 0', { tip: ONE, ver: 0 }],
  ['a fraction', { tip: ONE, ver: 1.5 }],
  ['a version beyond all', { tip: ONE, ver: 2 ** 53 }],
  ['no CID', { tip: 'bafy' }],
  ['a CID that does not end right', { tip: `${ONE.slice(0, -1)}b` }],
  ['a time without a zone', { tip: ONE, ts: '2026-05-01T12:00:00' }],
  ['a day that is not', { tip: ONE, ts: '2026-02-29T12:00:00Z' }],
  ['a time before 1970', { tip: ONE, ts: -1 }],
  ['no base64', { bytes: 'AAA' }],
  ['base64 with spare bits', { bytes: 'AB==' }],
  ['a list', [1]],
  ['a text', 'x'],
]

const JSON_TYPE = { 'content-type': 'application/json' }
const NO_JSON = ['', '{', 'x', '{"tip":', '\u0000', '[[[', '{"__proto__":1}']

test('bodies that are refused', async () => {
  const { request } = await startService()
  const put = (body: string): Promise<Answer> => request('PUT', entity('a'), body, JSON_TYPE)
  for (const [, body] of BAD_BODIES) expectProblem(await put(JSON.stringify(body)), 400, 'usage')
  for (const body of NO_JSON) expectProblem(await put(body), 400, 'usage')
  expectProblem(await request('GET', entity('a')), 404, 'not_found')
})

test('bodies of other types and too large ones are refused', async () => {
  const { request } = await startService({ values: { body_limit: 1000 } })
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  expectProblem(await request('PUT', entity('a'), 'tip=x', form), 415, 'unsupported_media')
  const large = { value: 'x'.repeat(2000) }
  expectProblem(await request('PUT', entity('a'), large), 413, 'too_large')
})

const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)])

test('hostile nesting is refused, and the service lives on', async () => {
  const { request } = await startService({ init: { content: 'linked' } })
  for (const depth of [201, 100_000, 2_000_000]) {
    const deep = `{"value":${'['.repeat(depth)}${']'.repeat(depth)}}`
    expectProblem(await request('PUT', entity('a'), deep, JSON_TYPE), 400, 'usage')
  }
  // As deep as it may be; and brackets in a text are none.
  for (const value of [nested(199), `"${'[{'.repeat(5000)}\\`]) {
    const answer = await request('PUT', entity('a'), { value })
    expect(answer.status, answer.text).toBe(201)
  }
})

test('times are given as text or milliseconds and told as text', async () => {
  const { request } = await startService()
  const times: readonly (readonly [unknown, unknown])[] = [
    [0, '1970-01-01T00:00:00.000Z'],
    ['2024-02-29T12:00:00+02:00', '2024-02-29T10:00:00.000Z'],
    ['2026-05-01T12:00:00.123456Z', '2026-05-01T12:00:00.123Z'],
    [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  ]
  for (const [ts, told] of times) {
    await request('PUT', entity('a'), { tip: ONE, ts, exp: Number.MAX_SAFE_INTEGER })
    expect((await request('GET', entity('a'))).json).toMatchObject({
      ts: told,
      exp: Number.MAX_SAFE_INTEGER,
    })
  }
})

test('an unknown method of a known address is told', async () => {
  const { request } = await startService()
  const answer = await request('PATCH', entity('a'), {})
  expectProblem(answer, 405, 'method_not_allowed')
  expect(answer.headers.get('allow')).toContain('PUT')
})
