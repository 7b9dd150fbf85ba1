/** Attacks by holding up: readers that do not read or go away, and what a store may hold to make one wait. */
import { getEventListeners, once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { encode as encodePb, prepare } from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import { expect, onTestFinished, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import type { Job } from '../../src/jobs/job.ts'
import { CODEC_DAG_PB, printCid, rawCidOf, type Block } from '../../src/model/cid.ts'
import { LIMITS } from '../../src/service/http/pressure.ts'
import { started } from '../../src/service/http/stream.ts'
import { openEvents } from '../helpers/event-stream.ts'
import { expectProblem } from '../helpers/problem.ts'
import { head, openSocket, rawRequest } from '../helpers/raw-http.ts'
import { startService } from '../helpers/service.ts'
import { entity, JOBS, LINKED, MAIN, TIP, until } from '../helpers/hostile.ts'

function silentReader(url: string, path: string): Socket {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {})
  onTestFinished(() => void socket.destroy())
  socket.pause()
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  return socket
}

test('who reads nothing of an answer is cut off, and what it held is free', async () => {
  const backend = openMemory()
  const service = await startService({ ...LINKED, backend, automation: false, stallMs: 300 })
  const { url, request, app, lines } = service
  const content = { 'content-type': 'a/b' }
  for (let i = 0; i < 4; i++)
    await request('PUT', `${entity(`e${i}`)}/content`, Buffer.alloc(4 << 20, i), content)
  silentReader(url, `${MAIN}/car`)
  await until(async () => (await backend.leases()).length === 1)
  await until(async () => (await backend.leases()).length === 0)
  expect(lines.filter(({ event }) => event === 'request.stalled')).toHaveLength(1)
  await until(() => app.underWay().streams === 0)
  // Who waits for what is yet to come is no such reader.
  const events = await openEvents(`${url}${MAIN}/changes`)
  await delay(1000)
  await request('PUT', entity('later'), { value: 1 })
  expect(await events.take(1)).toHaveLength(1)
  events.close()
})

test('who leaves before the first byte leaves nothing behind', async () => {
  let ended = false
  async function* source(): AsyncGenerator<string> {
    try {
      yield 'a'
      yield 'b'
    } finally {
      ended = true
    }
  }
  const unread = await started(source())
  unread.destroy()
  await once(unread, 'close')
  expect(ended).toBe(true)

  const backend = openMemory()
  const { url, request, app } = await startService({ ...LINKED, backend, automation: false })
  for (let i = 0; i < 3; i++) {
    const put = await request('PUT', `${entity(`e${i}`)}/content`, Buffer.alloc(4 << 20, i))
    expect(put.status).toBe(201)
  }
  for (let i = 0; i < 30; i++) {
    const socket = await openSocket(url)
    socket.write(head('GET', `${MAIN}/car`, 'Host: localhost'))
    if (i % 3 > 0) await delay(i % 3)
    socket.destroy()
  }
  await until(async () => app.underWay().streams === 0 && (await backend.leases()).length === 0)
})

test('change streams are bounded, however many never read, and others are answered', async () => {
  const limits = { ...LIMITS, streams: 50 }
  const { url, request, app } = await startService({ automation: false, limits })
  for (let i = 0; i < 60; i++) silentReader(url, `${MAIN}/changes?since=0`)
  await until(() => app.underWay().streams === 50)
  const entries = Array.from({ length: 5000 }, (_, i) => ({ pi: `e${i}`, tip: TIP }))
  expect((await request('POST', `${MAIN}/entries`, { entries })).status).toBe(200)
  expectProblem(await request('GET', `${MAIN}/changes`), 503, 'overloaded')
  expect((await request('GET', `${MAIN}/entities?limit=1`)).status).toBe(200)
})

test('large answers that nobody takes are bounded together, and writers still hear', async () => {
  const limits = { ...LIMITS, answerBytes: 1 << 20 }
  const { url, request } = await startService({ automation: false, limits })
  const page = `${MAIN}/entities?limit=10000`
  const entries = Array.from({ length: 10_000 }, (_, i) => ({
    pi: `${'x'.repeat(500)}${i}`,
    tip: TIP,
  }))
  // It alone is above the limit, and is told.
  expect((await request('POST', `${MAIN}/entries`, { entries })).status).toBe(200)
  expect((await request('GET', page)).status).toBe(200)
  // The buffers of its connection take in one of these, but not two.
  const reader = silentReader(url, page)
  let full = await request('GET', page)
  await until(async () => {
    reader.write(`GET ${page} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    full = await request('GET', page)
    return full.status === 503
  })
  expectProblem(full, 503, 'overloaded')
  expect(full.headers.get('retry-after')).toBe('1')
  expect((await request('GET', `${MAIN}/entities?limit=1`)).status).toBe(200)
  expect((await request('POST', `${MAIN}/entries`, { entries })).status).toBe(200)
  reader.destroy()
  await until(async () => (await request('GET', page)).status === 200)
})

test('those who wait for jobs leave nothing at the end of the service', async () => {
  const { request, service } = await startService({ automation: false })
  const { id } = ((await request('POST', JOBS, { kind: 'build' })).json as { job: Job }).job
  const { draining } = service
  // Listeners, and the signals that Node makes follow another one.
  const followers = (): number => {
    let count = getEventListeners(draining, 'abort').length
    for (const symbol of Object.getOwnPropertySymbols(draining)) {
      const hidden = (draining as unknown as Record<symbol, unknown>)[symbol]
      if (String(symbol) === 'Symbol(kDependantSignals)')
        count += (hidden as Set<unknown>)?.size ?? 0
    }
    return count
  }
  const before = followers()
  for (let i = 0; i < 20; i++) await request('GET', `${JOBS}/${id}?wait_ms=5`)
  expect(followers()).toBe(before)
})

test('no client makes labels for metrics', async () => {
  const { url, request } = await startService({ automation: false })
  const series = async (): Promise<Set<string>> => {
    const { text } = await request('GET', '/metrics')
    const lines = text.split('\n').filter((line) => line.startsWith('cairn_http_'))
    return new Set(lines.map((line) => line.replace(/ \S+$/, '')))
  }
  for (const method of ['PROPFIND', 'QUERY', 'LINK', 'PURGE'])
    await rawRequest(url, head(method, '/livez', 'Host: localhost'))
  await request('GET', '/nothing')
  await request('GET', '/v1/datasets/none/jobs/1')
  await request('GET', `${MAIN}/entities/none`)
  await request('GET', '/metrics')
  const before = await series()
  for (const method of [
    'SEARCH',
    'M-SEARCH',
    'SUBSCRIBE',
    'REPORT',
    'MKCOL',
    'LOCK',
    'UNLINK',
    'COPY',
  ])
    await rawRequest(url, head(method, '/livez', 'Host: localhost'))
  for (let i = 0; i < 50; i++) {
    await request('GET', `/nothing/${i}`)
    await request('GET', `/v1/datasets/d${i}/jobs/${i}`)
    await request('GET', `${MAIN}/entities/${i}`)
  }
  // Of the methods that a parser knows, each once.
  const added = [...(await series())].filter((one) => !before.has(one))
  expect(added).toHaveLength(8)
})

// --- What a store may hold ---------------------------------------------------------------------------

/** A UnixFS file of these parts, which says that they have these sizes. */
function fileOf(parts: readonly { block: Block; says: number }[], total: bigint): Block {
  const varint = (value: bigint): number[] =>
    value < 128n ? [Number(value)] : [Number(value & 127n) | 128, ...varint(value >> 7n)]
  const sizes = parts.flatMap(({ says }) => [0x20, ...varint(BigInt(says))])
  const Data = Uint8Array.from([0x08, 2, 0x18, ...varint(total), ...sizes])
  const Links = parts.map(({ block, says }) => ({
    Hash: CID.decode(block.cid),
    Tsize: says,
    Name: '',
  }))
  const bytes = encodePb(prepare({ Data, Links }))
  const cid = rawCidOf(bytes)
  cid[1] = CODEC_DAG_PB
  return { cid, bytes }
}

test('files that are not what they say end with an error, or with their reader', async () => {
  const backend = openMemory()
  const { url, request } = await startService({ ...LINKED, backend, automation: false })
  const leafBytes = Buffer.alloc(1000, 7)
  const leaf: Block = { cid: rawCidOf(leafBytes), bytes: leafBytes }
  const lies = fileOf([{ block: leaf, says: 1000 }], 1n << 60n)
  const short = fileOf([{ block: leaf, says: 10 }], 10n)
  const empty = fileOf([{ block: leaf, says: 0 }], 1n << 50n)
  let bomb = leaf
  let size = 1000
  const bombs: Block[] = []
  for (let i = 0; i < 5; i++) {
    const part = { block: bomb, says: size }
    size *= 100
    bomb = fileOf(
      Array.from({ length: 100 }, () => part),
      BigInt(size),
    )
    bombs.push(bomb)
  }
  const put = async (blocks: readonly Block[]): Promise<void> => {
    const staging = await backend.stage('main', 'test')
    await staging.put(blocks.map((one) => ({ ...one, hold: 'staged' })))
    await staging.flush()
    await staging.end('dropped')
  }
  await put([leaf, lies, short, empty, ...bombs])
  const read = async ({ cid }: Block): Promise<string> => {
    const response = await fetch(`${url}${MAIN}/content/${printCid(cid)}`)
    if (!response.ok) return `refused ${response.status}`
    return response.arrayBuffer().then(
      ({ byteLength }) => `${byteLength} bytes`,
      () => 'cut',
    )
  }
  const long = fileOf([{ block: leaf, says: 5000 }], 5000n)
  await put([long])
  // A file is as long as its root says that its parts are; one that has less is never told as whole.
  expect(await read(lies)).toBe('1000 bytes')
  expect(await read(short)).toBe('10 bytes')
  expect(await read(empty)).toBe('0 bytes')
  expect(await read(long)).toBe('refused 422')
  // Ten terabytes that are a few blocks: as much is made of it as is read.
  const before = process.memoryUsage.rss()
  const socket = silentReader(url, `${MAIN}/content/${printCid(bomb.cid)}`)
  await delay(500)
  expect((await request('GET', '/livez')).status).toBe(200)
  expect(process.memoryUsage.rss() - before).toBeLessThan(300 << 20)
  socket.destroy()
})

test('a warning about a dataset takes nobody off the service', async () => {
  const { request, service } = await startService({ automation: false })
  const report = await service.health.check('main')
  const at = (level: 'ok' | 'warning' | 'critical'): void => {
    service.health.latest = () => ({ ...report, level, healthy: level === 'ok' })
  }
  for (const [level, status] of [
    ['ok', 200],
    ['warning', 200],
    ['critical', 503],
  ] as const) {
    at(level)
    const answer = await request('GET', '/healthz')
    expect([answer.status, answer.json]).toEqual([status, { status: level }])
  }
})
