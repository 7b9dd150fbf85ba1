/** Content over HTTP: values and bytes of any size, by entity and by CID, exactly as they were written. */
import { randomBytes } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { expect, test } from 'vitest'
import { cidMatches, parseCid } from '../../src/model/cid.ts'
import { damagedBackend } from '../helpers/damage.ts'
import { openMemory } from '../../src/backend/memory.ts'
import { expectProblem } from '../helpers/problem.ts'
import { startService, type Answer, type TestService } from '../helpers/service.ts'

const LINKED = { init: { content: 'linked' } } as const
const entity = (pi: string): string => `/v1/datasets/main/entities/${encodeURIComponent(pi)}`
const content = (pi: string): string => `${entity(pi)}/content`
const byCid = (cid: string): string => `/v1/datasets/main/content/${cid}`
const BYTES = { 'content-type': 'application/octet-stream' }
const JSON_TYPE = { 'content-type': 'application/json' }

const tipOf = ({ json }: Answer): string => (json as { tip: string }).tip

async function bytesOf({ url }: TestService, path: string): Promise<Uint8Array> {
  const response = await fetch(`${url}${path}`)
  expect(response.status).toBe(200)
  return new Uint8Array(await response.arrayBuffer())
}

test('values are told as they were written, links, bytes and large numbers too', async () => {
  const { request } = await startService(LINKED)
  const raw = await request('PUT', content('raw'), randomBytes(10), BYTES)
  const link = JSON.stringify({ '/': tipOf(raw) })
  const values = ['null', '0', '-1.5', '"x"', '[]', '{}', '{"a":[1,{"b":null}]}', 'true']
  const exact = [link, `[${link}]`, '12345678901234567', '{"/":{"x":1}}', '[{"/":{"bytes":"AQI"}}]']
  for (const value of [...values, ...exact]) {
    const body = `{"value": ${value}}`
    const byField = await request('PUT', entity('a'), body, JSON_TYPE)
    expect(byField.status, value).toBe(201)
    expect((await request('GET', content('a'))).text).toBe(value)
    const byBody = await request('PUT', content('b'), value, JSON_TYPE)
    expect(tipOf(byBody), value).toBe(tipOf(byField))
    const inBatch = await request(
      'POST',
      '/v1/datasets/main/entries',
      `{"entries":[{"pi":"x","value":1},{"pi":"c","value":${value}}]}`,
      JSON_TYPE,
    )
    const { entries } = inBatch.json as { entries: { tip: string }[] }
    expect(entries[1]?.tip, value).toBe(tipOf(byField))
    const found = await request('GET', byCid(tipOf(byField)))
    expect([found.text, found.headers.get('content-type')]).toEqual([
      value,
      'application/json; charset=utf-8',
    ])
  }
})

test('values that cannot be stored are refused, not changed', async () => {
  const { request } = await startService(LINKED)
  const refused = [
    '"\\ud800"',
    '{"\\udc00":1}',
    '123456789012345678901234567890',
    '1e400',
    '{"/":"abc"}',
  ]
  for (const value of refused) {
    const answer = await request('PUT', entity('a'), `{"value":${value}}`, JSON_TYPE)
    expect(answer.status, `${value}: ${answer.text}`).toBeGreaterThanOrEqual(400)
    expect(answer.status, value).toBeLessThan(500)
    expectProblem(await request('PUT', content('a'), value, JSON_TYPE), 422, 'invalid_content')
  }
  for (const text of ['', '{', 'x', '['.repeat(100_000)]) {
    expectProblem(await request('PUT', content('a'), text, JSON_TYPE), 422, 'invalid_content')
  }
  const utf8 = Buffer.from([34, 0xc3, 34])
  expectProblem(await request('PUT', content('a'), utf8, JSON_TYPE), 400, 'usage')
  const large = JSON.stringify('x'.repeat(1 << 20))
  expectProblem(await request('PUT', content('a'), large, JSON_TYPE), 413, 'too_large')
  expectProblem(await request('GET', entity('a')), 404, 'not_found')
  // A replacement character that was meant is one.
  expect((await request('PUT', entity('a'), { value: '\ufffd' })).status).toBe(201)
})

test('bytes of every size come back', async () => {
  const service = await startService(LINKED)
  const { request } = service
  for (const size of [0, 1, 1 << 20, (1 << 20) + 1, 5 << 20]) {
    const bytes = randomBytes(size)
    const put = await request('PUT', content('a'), bytes, BYTES)
    expect(put.status).toBe(201)
    for (const path of [content('a'), byCid(tipOf(put))]) {
      const back = await bytesOf(service, path)
      expect(Buffer.compare(back, bytes), String(size)).toBe(0)
    }
    if (size > 1 << 20) continue
    const field = await request('PUT', entity('b'), { bytes: bytes.toString('base64') })
    expect(tipOf(field)).toBe(tipOf(put))
  }
})

test('a body without a type, or of any other, is bytes', async () => {
  const { request, url } = await startService(LINKED)
  const put = (headers: Record<string, string>): Promise<Response> =>
    fetch(`${url}${content('a')}`, { method: 'PUT', headers, body: Buffer.from('{"a":1}') })
  const tips = new Set<string>()
  for (const type of ['', 'text/html', 'application/x-www-form-urlencoded', 'application/jsonx']) {
    const response = await put(type === '' ? {} : { 'content-type': type })
    tips.add(((await response.json()) as { tip: string }).tip)
  }
  expect(tips.size).toBe(1)
  const value = (await (
    await put({ 'content-type': 'application/json; charset=utf-8' })
  ).json()) as {
    tip: string
  }
  expect(tips.has(value.tip)).toBe(false)
  expect((await request('GET', content('a'))).json).toEqual({ a: 1 })
})

test('a page of a site does not become one of ours', async () => {
  const { request } = await startService(LINKED)
  await request('PUT', content('a'), '<script>alert(1)</script>', { 'content-type': 'text/html' })
  await request('PUT', content('b'), JSON.stringify('<script>'), JSON_TYPE)
  const page = await request('GET', content('a'))
  expect(page.headers.get('content-type')).toBe('application/octet-stream')
  expect(page.headers.get('content-disposition')).toBe('attachment')
  for (const { headers } of [page, await request('GET', content('b'))]) {
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('content-security-policy')).toContain('sandbox')
  }
})

test('tags and caching', async () => {
  const { request } = await startService(LINKED)
  const tip = tipOf(await request('PUT', content('a'), { a: 1 }, JSON_TYPE))
  const first = await request('GET', content('a'))
  expect(first.headers.get('etag')).toBe(`"${tip}"`)
  expect(first.headers.get('cache-control')).toBe('no-cache')
  const known = { 'if-none-match': `"${tip}"` }
  for (const path of [content('a'), byCid(tip)]) {
    const again = await request('GET', path, undefined, known)
    expect([again.status, again.text, again.headers.get('etag')]).toEqual([304, '', `"${tip}"`])
  }
  const found = await request('GET', byCid(tip))
  expect(found.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
  const next = await request(
    'PUT',
    content('a'),
    { a: 2 },
    { ...JSON_TYPE, 'if-match': `"${tip}"` },
  )
  expect(next.status).toBe(201)
  const late = await request(
    'PUT',
    content('a'),
    { a: 3 },
    { ...JSON_TYPE, 'if-match': `"${tip}"` },
  )
  expectProblem(late, 409, 'conflict')
  expect(late.json).toMatchObject({ current_ver: 2, current_tip: tipOf(next) })
  expect((await request('GET', `${content('a')}?at_commit=1`)).json).toEqual({ a: 1 })
  const head = await request('HEAD', content('a'))
  expect([head.status, head.text, head.headers.get('etag')]).toEqual([200, '', `"${tipOf(next)}"`])
})

test('content that is not there, and content that is damaged', async () => {
  const backend = damagedBackend(openMemory())
  const { request } = await startService({ ...LINKED, backend })
  const tip = tipOf(await request('PUT', content('a'), { a: 1 }, JSON_TYPE))
  expectProblem(await request('GET', content('b')), 404, 'not_found')
  const other = `${tip.slice(0, 20)}aaaa${tip.slice(24)}`
  const missing = await request('GET', byCid(other), undefined, { 'if-none-match': `"${other}"` })
  expectProblem(missing, 404, 'not_found')
  expect(missing.headers.get('cache-control')).toBe('no-store')
  expectProblem(await request('GET', byCid('bafyx')), 400, 'usage')
  expectProblem(await request('GET', byCid(`${tip}a`)), 400, 'usage')
  backend.flip(parseCid(tip))
  expectProblem(await request('GET', content('a')), 500, 'block_mismatch')
  const linked = await request('PUT', entity('c'), { tip: other })
  expectProblem(linked, 422, 'content_missing')
})

test('a file of which a block is missing resets the connection', async () => {
  const backend = damagedBackend(openMemory())
  const { request, url } = await startService({ ...LINKED, backend })
  const tip = tipOf(await request('PUT', content('a'), randomBytes(15 << 20), BYTES))
  const [block] = await lastLeaf(backend, tip)
  backend.lose(block)
  const response = await fetch(`${url}${content('a')}`)
  expect(response.status).toBe(200)
  await expect(response.arrayBuffer()).rejects.toThrow()
  expect((await request('GET', '/livez')).status).toBe(200)
})

async function lastLeaf(
  backend: ReturnType<typeof openMemory>,
  tip: string,
): Promise<Uint8Array[]> {
  const { linksOf } = await import('../../src/content/links.ts')
  const root = parseCid(tip)
  const [bytes] = await backend.getBlocks([root])
  return linksOf(root, bytes ?? new Uint8Array()).slice(-1)
}

test('a body that is too large or cut off changes nothing', async () => {
  const { request, url } = await startService({ ...LINKED, values: { body_limit: 3 << 20 } })
  expectProblem(
    await request('PUT', content('a'), randomBytes((3 << 20) + 1), BYTES),
    413,
    'too_large',
  )
  // It does not say how large it is.
  const sent = await chunked(`${url}${content('a')}`, 4 << 20)
  expect(sent).toBe(413)
  await cutOff(`${url}${content('a')}`)
  expectProblem(await request('GET', entity('a')), 404, 'not_found')
  expect((await request('PUT', content('a'), randomBytes(2 << 20), BYTES)).status).toBe(201)
})

function chunked(url: string, size: number): Promise<number> {
  return new Promise((resolve) => {
    const call = httpRequest(url, { method: 'PUT' }, (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    call.on('error', () => {})
    for (let at = 0; at < size; at += 65_536) call.write(Buffer.alloc(65_536))
    call.end()
  })
}

function cutOff(url: string): Promise<void> {
  return new Promise((resolve) => {
    const call = httpRequest(url, { method: 'PUT', headers: { 'content-length': 2_000_000 } })
    call.on('error', () => resolve())
    call.write(Buffer.alloc(1_500_000), () => setTimeout(() => call.destroy(), 50))
    call.on('close', resolve)
  })
}

test('the block of a CID comes as it is stored, for whoever hashes it himself', async () => {
  const service = await startService(LINKED)
  const { request } = service
  const value = await request('PUT', content('a'), '{"b":1,"a":[null]}', JSON_TYPE)
  const large = randomBytes(1_100_000)
  const file = await request('PUT', content('b'), large, BYTES)
  for (const [pi, answer] of [
    ['a', value],
    ['b', file],
  ] as const) {
    const cid = tipOf(answer)
    const block = await bytesOf(service, `${byCid(cid)}?format=raw`)
    expect(cidMatches(parseCid(cid), block)).toBe(true)
    expect(await bytesOf(service, `${content(pi)}?format=raw`)).toEqual(block)
    const found = await request('GET', `${content(pi)}?format=raw`)
    expect(found.headers.get('content-type')).toBe('application/vnd.ipld.raw')
    expect(found.headers.get('etag')).toBe(`"${cid}"`)
    const again = { 'if-none-match': `"${cid}"` }
    expect((await request('GET', `${byCid(cid)}?format=raw`, undefined, again)).status).toBe(304)
  }
  expectProblem(await request('GET', `${content('a')}?format=car`), 400, 'usage')
  const nowhere = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
  expectProblem(await request('GET', `${byCid(nowhere)}?format=raw`), 404, 'not_found')
})
