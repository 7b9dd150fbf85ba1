/**
 * What a client may send: forms of requests, and what JSON may hold. Where one subject has a test file of its
 * own (limits, access, changes, car, backups), what is attacked there is attacked there.
 */
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import type { Job } from '../../src/jobs/job.ts'
import { expectProblem } from '../helpers/problem.ts'
import { head, rawRequest } from '../helpers/raw-http.ts'
import { startService } from '../helpers/service.ts'
import {
  entity,
  expectRefused,
  JOBS,
  JSON_TYPE,
  LINKED,
  MAIN,
  runJob,
  TIP,
} from '../helpers/hostile.ts'

// --- The form of requests ----------------------------------------------------------------------------

test('a body for an address that nobody serves is not waited for', async () => {
  const { url } = await startService({ automation: false })
  const announced = ['Host: localhost', 'Content-Type: application/json', 'Content-Length: 1000000']
  const began = performance.now()
  const unknown = await rawRequest(url, head('POST', '/nothing', ...announced))
  expect([unknown.status, JSON.parse(unknown.body)]).toMatchObject([404, { code: 'not_found' }])
  const other = await rawRequest(url, head('POST', '/livez', ...announced))
  expect([other.status, other.text]).toEqual([405, expect.stringMatching(/^allow: GET, HEAD\r$/m)])
  // Whatever the method and the type of the body are.
  const query = await rawRequest(url, head('QUERY', '/livez', 'Host: localhost'))
  expect(query.status).toBe(405)
  const text = head('POST', '/livez', 'Host: localhost', 'Content-Type: a/b', 'Content-Length: 9')
  expect((await rawRequest(url, text)).status).toBe(405)
  expect(performance.now() - began).toBeLessThan(3000)
})

test('addresses and headers of forms that only proxies know lead nowhere else', async () => {
  const { url } = await startService({ automation: false })
  const ask = async (text: string): Promise<number> => (await rawRequest(url, text)).status
  const host = 'Host: localhost'
  expect(await ask(head('GET', 'http://evil.example/livez', host))).toBe(200)
  expect(await ask(head('GET', 'http://localhost/livez', 'Host: evil.example'))).toBe(403)
  expect(await ask(head('OPTIONS', '*', host))).toBe(404)
  expect(await ask(head('CONNECT', 'evil.example:80', host))).toBeLessThan(500)
  expect(await ask(head('TRACE', '/livez', host))).toBe(405)
  const upgrade = ['Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: AAAA']
  expect(await ask(head('GET', '/livez', host, ...upgrade))).toBe(200)
  const two = ['Content-Type: application/json', 'Content-Type: text/plain', 'Content-Length: 2']
  expect(await ask(`${head('PUT', '/v1/datasets/x', host, ...two)}{}`)).toBe(400)
  for (const name of ['X-Original-URL', 'X-Rewrite-URL', 'X-HTTP-Method-Override'])
    expect(await ask(head('GET', '/livez', host, `${name}: /metrics`))).toBe(200)
})

test('no body is unpacked, and none of a type that is not taken is read', async () => {
  const { request } = await startService({ automation: false, ...LINKED })
  const bomb = gzipSync(Buffer.alloc(1 << 20, 0x20))
  const places: [string, string][] = [
    ['PUT', entity('a')],
    ['PUT', `${entity('a')}/content`],
    ['POST', `${MAIN}/entries`],
    ['POST', `${MAIN}/car`],
    ['POST', JOBS],
    ['POST', '/chain/append'],
  ]
  for (const [method, path] of places)
    for (const encoding of ['gzip', 'x-gzip', 'deflate', 'br', 'identity, gzip', 'zstd']) {
      const headers = { ...JSON_TYPE, 'content-encoding': encoding }
      expectProblem(await request(method, path, bomb, headers), 415, 'unsupported_media')
    }
})

// --- What JSON may hold ------------------------------------------------------------------------------

const deep = (levels: number): string => `${'['.repeat(levels)}${']'.repeat(levels)}`

test('whatever is nested, however deep and wherever, is refused before anything goes down in it', async () => {
  const service = await startService({ automation: false, ...LINKED })
  const { request } = service
  for (const levels of [201, 3000, 100_000]) {
    const bodies: [string, string, string][] = [
      ['POST', JOBS, `{"kind":"build","meta":{"a":${deep(levels)}}}`],
      ['POST', JOBS, deep(levels)],
      ['PUT', entity('a'), `{"value":${deep(levels)}}`],
      ['PUT', '/v1/datasets/x', `{"content":${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}}`],
      ['POST', `${MAIN}/entries`, `{"entries":[{"pi":"a","value":${deep(levels)}}]}`],
      ['POST', '/events/append', deep(levels)],
    ]
    for (const [method, path, text] of bodies)
      expectProblem(await request(method, path, text, JSON_TYPE), 400, 'usage')
    if (levels < 501) continue
    const content = await request('PUT', `${entity('a')}/content`, deep(levels), JSON_TYPE)
    expectProblem(content, 422, 'invalid_content')
  }
  expectProblem(await request('GET', entity('a')), 404, 'not_found')
  // What is let in comes back out, and is sound.
  const most = deep(500)
  expect((await request('PUT', `${entity('a')}/content`, most, JSON_TYPE)).status).toBe(201)
  expect((await request('GET', `${entity('a')}/content`)).text).toBe(most)
  expect(await runJob(service, { kind: 'build' })).toMatchObject({ state: 'succeeded' })
  expect(await runJob(service, { kind: 'verify' })).toMatchObject({ state: 'succeeded' })
})

test('names that mean something to JavaScript are names', async () => {
  const service = await startService({ ...LINKED })
  const { request } = service
  const names = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'valueOf']
  for (const name of names) {
    const path = `/v1/datasets/main/entities/${name}`
    expectProblem(await request('GET', path), 404, 'not_found')
    expect((await request('PUT', path, { value: name })).status).toBe(201)
    expect((await request('GET', `${path}/content`)).json).toBe(name)
    expect((await request('GET', `${MAIN}/entities?${name}=1`)).status).toBe(400)
    // As fields of what is not theirs.
    for (const [method, to] of [
      ['POST', JOBS],
      ['PUT', '/v1/datasets/main'],
      ['POST', '/chain/append'],
    ] as const)
      expectRefused(await request(method, to, `{"${name}":{"a":1}}`, JSON_TYPE), `${to} ${name}`)
    // As content they come back.
    const text = `{"${name}":{"a":1}}`
    expect((await request('PUT', `${path}/content`, text, JSON_TYPE)).status).toBe(201)
    expect((await request('GET', `${path}/content`)).text).toBe(text)
  }
  expect(({} as Record<string, unknown>)['a']).toBeUndefined()
  for (const name of ['__proto__', 'constructor']) {
    const of = `/v1/datasets/${name}`
    expectProblem(await request('GET', of), 404, 'dataset_not_found')
    expectProblem(await request('GET', `${of}/automation`), 404, 'dataset_not_found')
    expect((await request('PUT', of, {})).status).toBe(201)
    expect((await request('PUT', `${of}/entities/a`, { value: 1 })).status).toBe(201)
    for (const one of [
      '',
      '/automation',
      '/health',
      '/coverage',
      '/jobs',
      '/snapshots',
      '/backups',
    ])
      expect([one, (await request('GET', `${of}${one}`)).status]).toEqual([one, 200])
  }
  expect((await request('GET', '/metrics')).text).toContain(
    'cairn_dataset_up{dataset="__proto__"} 1',
  )
})

test('text that is no Unicode is refused wherever it stands; NUL and the like are text', async () => {
  const { request } = await startService({ automation: false, ...LINKED })
  const half = '\\ud800'
  const bodies: [string, string, string][] = [
    ['PUT', entity('a'), `{"value":"${half}"}`],
    ['PUT', entity('a'), `{"value":{"${half}":1}}`],
    ['POST', `${MAIN}/entries`, `{"entries":[{"pi":"${half}","value":1}]}`],
    ['POST', '/chain/append', `{"pi":"${half}","tip_cid":"${TIP}","ver":1}`],
    ['POST', JOBS, `{"kind":"build","reason":"${half}"}`],
    ['POST', JOBS, `{"kind":"build","tags":["${half}"]}`],
    ['POST', `${MAIN}/disconnect`, `{"user":"${half}"}`],
    ['POST', `${MAIN}/disconnect`, `{"user":"a\\u0000b"}`],
    ['POST', `${MAIN}/rollback`, `{"to":"${half}"}`],
  ]
  for (const [method, path, text] of bodies)
    expectRefused(await request(method, path, text, JSON_TYPE), text)
  const odd = 'a\u0000\u0007\u001b[31m\u2028\ufeff\u202e'
  expect((await request('PUT', entity(odd), { value: odd })).status).toBe(201)
  expect((await request('GET', entity(odd))).json).toMatchObject({ pi: odd })
  expect((await request('GET', `${entity(odd)}/content`)).json).toBe(odd)
})

test('a note about a snapshot is kept as it was given, or its job says that it cannot be', async () => {
  const service = await startService({ automation: false, ...LINKED })
  const { request } = service
  await request('PUT', entity('a'), { value: 1 })
  const meta = { a: [1, -2.5, null, true, { b: '\u0000' }], ü: 'é' }
  expect(await runJob(service, { kind: 'build', meta })).toMatchObject({ state: 'succeeded' })
  expect((await request('GET', MAIN)).json).toMatchObject({ meta })
  const half = await request('POST', JOBS, '{"kind":"build","meta":{"a":"\\ud800"}}', JSON_TYPE)
  if (half.status === 202) {
    const { id } = (half.json as { job: Job }).job
    const ended = (await request('GET', `${JOBS}/${id}?wait_ms=30000`)).json as { job: Job }
    expect(ended.job).toMatchObject({ state: 'failed' })
    expect(ended.job.error?.code).not.toBe('internal')
  } else expectRefused(half, 'meta')
  expect((await request('GET', MAIN)).json).toMatchObject({ meta })
})

test('numbers at the end of what can be counted lead to answers, not to faults', async () => {
  const { request, lines } = await startService({ automation: false })
  const most = Number.MAX_SAFE_INTEGER
  expect((await request('PUT', entity('a'), { tip: TIP, ver: most })).status).toBe(201)
  expectRefused(await request('PUT', entity('a'), { tip: TIP.replace('gh2', 'gh3') }), 'next')
  expectRefused(await request('DELETE', entity('a')), 'delete')
  expect((await request('PUT', entity('b'), { tip: TIP, ts: most, exp: most })).status).toBe(201)
  expect((await request('GET', entity('b'))).json).toMatchObject({ ts: most, exp: most })
  const huge = [
    '9007199254740991',
    '9007199254740992',
    '1e999',
    '-1',
    'NaN',
    'Infinity',
    '0x10',
    '1.5',
  ]
  for (const one of huge)
    for (const path of [
      `${MAIN}/entities?offset=${one}`,
      `${MAIN}/entities?limit=${one}`,
      `${MAIN}/entities?at_commit=${one}`,
      `${MAIN}/entities?at_time=${one}`,
      `${MAIN}/entries?since=${one}`,
      `${MAIN}/snapshots/seq:${one}`,
      `${MAIN}/snapshots/latest~${one}`,
      `${MAIN}/coverage?since=${one}`,
      `/entities?offset=${one}`,
      `/events?limit=${one}`,
    ])
      expect([path, (await request('GET', path)).status < 500]).toEqual([path, true])
  for (const one of ['1e400', '-1', '1.5', '9007199254740993', '"1"', '[1]', 'true'])
    for (const field of ['ver', 'expect_ver', 'ts', 'exp']) {
      const text = `{"tip":"${TIP}","${field}":${one}}`
      expectRefused(await request('PUT', entity('c'), text, JSON_TYPE), text)
    }
  expect(lines.filter(({ event }) => event === 'request.failed')).toEqual([])
})

test('conditions that are no conditions change nothing', async () => {
  const { request } = await startService({ automation: false })
  await request('PUT', entity('a'), { tip: TIP })
  const odd = [
    '""',
    '"x"',
    `"${TIP}", "${TIP}"`,
    `"0-${TIP}"`,
    `"2-${TIP}"`,
    '"',
    ',',
    TIP,
    `*, "1"`,
  ]
  for (const tag of odd) {
    const headers = { 'if-match': tag }
    expectRefused(await request('PUT', entity('a'), { tip: TIP, ver: 2 }, headers), tag)
  }
  for (const tag of ['"x"', '**', ' ', `"1-${TIP}"`]) {
    const headers = { 'if-none-match': tag }
    expectRefused(await request('PUT', entity('a'), { tip: TIP, ver: 2 }, headers), tag)
  }
  expect((await request('GET', entity('a'))).json).toMatchObject({ ver: 1 })
  const many = Array.from({ length: 1500 }, (_, i) => `"${i}"`).join(',')
  for (const tag of [many, '"', ',,,', 'W/', `W/W/"1-${TIP}"`])
    expect((await request('GET', entity('a'), undefined, { 'if-none-match': tag })).status).toBe(
      200,
    )
})
