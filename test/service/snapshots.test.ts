/** Datasets, snapshots, chunks, differences and rollbacks over HTTP. */
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { openBackend } from '../../src/compose.ts'
import { printCid } from '../../src/model/cid.ts'
import { blocksOf, damagedBackend } from '../helpers/damage.ts'
import { tempDir } from '../helpers/engine.ts'
import { tipOf } from '../helpers/entries.ts'
import { expectProblem } from '../helpers/problem.ts'
import { startService, type Answer, type TestService } from '../helpers/service.ts'

const MAIN = '/v1/datasets/main'
const cid = (text: string): string => printCid(tipOf(text))

const lines = ({ text }: Answer): Record<string, unknown>[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)

async function put(
  { request }: TestService,
  entries: Record<string, string | null>,
): Promise<void> {
  const all = Object.entries(entries).map(([pi, text]) => ({
    pi,
    tip: text === null ? null : cid(text),
  }))
  expect((await request('POST', `${MAIN}/entries`, { entries: all })).status).toBe(200)
}

const build = async ({ service }: TestService, tags: string[] = []): Promise<void> =>
  void (await (await service.dataset('main')).build({ tags }))

test('datasets are made, listed and described', async () => {
  const backend = await openBackend(`lmdb:${await tempDir()}/store`)
  const { request } = await startService({ backend, init: null, values: { chain_limit: 500 } })
  expect((await request('GET', '/v1/datasets')).json).toEqual({ datasets: [] })
  expectProblem(await request('GET', MAIN), 404, 'dataset_not_found')
  const made = await request('PUT', MAIN, { content: 'external', chunk_size: 256 })
  expect([made.status, made.json]).toEqual([201, { dataset: 'main', created: true }])
  const again = await request('PUT', MAIN, { chunk_size: 256 })
  expect([again.status, again.json]).toEqual([200, { dataset: 'main', created: false }])
  expectProblem(await request('PUT', MAIN, { chunk_size: 512 }), 409, 'conflict')
  expectProblem(await request('PUT', MAIN, { chunk_size: 63 }), 400, 'usage')
  expectProblem(await request('PUT', MAIN, { size: 1 }), 400, 'usage')
  expectProblem(await request('PUT', MAIN), 400, 'usage')
  expectProblem(await request('PUT', '/v1/datasets/A', {}), 400, 'usage')
  expect((await request('GET', '/v1/datasets')).json).toEqual({ datasets: ['main'] })
  const status = (await request('GET', MAIN)).json
  expect(status).toMatchObject({
    dataset: 'main',
    number: 0,
    total_count: 0,
    chunk_count: 1,
    recent_chain_head: null,
    settings: { content: 'external', chunk_size: 256, chain_limit: 500 },
    generation: { number: 1 },
    meta: {},
    store: { kind: 'lmdb', synced: true },
  })
  expect(JSON.stringify(status)).not.toContain('/store')
})

test('every field of the index pointer is told', async () => {
  const service = await startService()
  await put(service, { a: '1' })
  const { pointer } = await (await service.service.dataset('main')).status()
  const { json } = await service.request('GET', MAIN)
  expect(json).toMatchObject(pointer)
})

test('snapshots by selector, with tags and chunks', async () => {
  const service = await startService()
  const { request } = service
  await put(service, { a: '1', b: '1' })
  await build(service, ['first'])
  await put(service, { a: '2', c: null })
  await build(service)
  const list = (await request('GET', `${MAIN}/snapshots`)).json as {
    items: { cid: string; seq: number; current: boolean }[]
    has_more: boolean
  }
  expect(list.items.map(({ seq, current }) => [seq, current])).toEqual([
    [2, true],
    [1, false],
    [0, false],
  ])
  const limited = (await request('GET', `${MAIN}/snapshots?limit=2`)).json as typeof list
  expect([limited.items.length, limited.has_more]).toEqual([2, true])
  const [newest, older] = list.items
  for (const selector of ['latest', 'seq:2', newest?.cid ?? '', newest?.cid.slice(0, 40) ?? '']) {
    const found = await request('GET', `${MAIN}/snapshots/${selector}`)
    expect(found.json, selector).toEqual(newest)
    expect(found.headers.get('etag')).toBe(`"${newest?.cid}-current"`)
  }
  const first = await request('GET', `${MAIN}/snapshots/first`)
  expect(first.json).toMatchObject({ cid: older?.cid, tags: ['first'], live: 2, current: false })
  const known = { 'if-none-match': `"${older?.cid}"` }
  for (const path of ['latest~1', 'latest~1/chunks']) {
    const again = await request('GET', `${MAIN}/snapshots/${path}`, undefined, known)
    expect([again.status, again.text]).toEqual([304, ''])
  }
  for (const bad of ['nothing', 'latest~9', 'seq:77', 'bafyreiaa']) {
    expectProblem(await request('GET', `${MAIN}/snapshots/${bad}`), 404, 'not_found')
    expectProblem(await request('GET', `${MAIN}/snapshots/${bad}/chunks`), 404, 'not_found')
  }
  const chunks = await request('GET', `${MAIN}/snapshots/latest/chunks`)
  expect(chunks.headers.get('content-type')).toBe('application/x-ndjson')
  expect(lines(chunks)).toMatchObject([{ last: 'c', entries: 3, live: 2 }])
  expectProblem(await request('GET', `${MAIN}/snapshots?limit=0`), 400, 'usage')
})

test('what changed between snapshots', async () => {
  const service = await startService()
  const { request } = service
  await put(service, { a: '1', b: '1', d: '1' })
  await build(service)
  await put(service, { a: '2', b: null, c: '1' })
  await build(service)
  const diff = await request('GET', `${MAIN}/diff?from=latest~1`)
  expect(diff.headers.get('content-type')).toBe('application/x-ndjson')
  expect(lines(diff)).toMatchObject([
    { change: 'changed', pi: 'a', before: { tip: cid('1') }, after: { tip: cid('2'), ver: 2 } },
    { change: 'removed', pi: 'b', before: { tip: cid('1') } },
    { change: 'added', pi: 'c', before: null, after: { tip: cid('1') } },
  ])
  const back = await request('GET', `${MAIN}/diff?from=latest&to=seq:1`)
  expect(lines(back).map(({ change }) => change)).toEqual(['changed', 'added', 'removed'])
  expect((await request('GET', `${MAIN}/diff?from=latest`)).text).toBe('')
  const tag = { 'if-none-match': diff.headers.get('etag') ?? '' }
  expect((await request('GET', `${MAIN}/diff?from=seq:1&to=seq:2`, undefined, tag)).status).toBe(
    304,
  )
  expectProblem(await request('GET', `${MAIN}/diff`), 400, 'usage')
  expectProblem(await request('GET', `${MAIN}/diff?from=seq:9`), 404, 'not_found')
  expect((await request('HEAD', `${MAIN}/diff?from=seq:1`)).headers.get('etag')).toBeTruthy()
})

test('a stream that fails midway resets the connection', async () => {
  const backend = damagedBackend(openMemory())
  const service = await startService({ backend, init: { chunkSize: 64 } })
  const many = Array.from({ length: 4000 }, (_, i) => [`id${String(i).padStart(6, '0')}`, 'x'])
  await put(service, Object.fromEntries(many) as Record<string, string>)
  await build(service)
  const { leaves } = await blocksOf(backend)
  // Another process, which has nothing in its cache yet.
  const other = await startService({ backend, init: null })
  backend.lose(leaves.at(-2))
  const { url } = other
  const response = await fetch(`${url}${MAIN}/diff?from=seq:0`)
  expect(response.status).toBe(200)
  await expect(response.text()).rejects.toThrow()
  backend.lose(leaves[0])
  const early = await startService({ backend, init: null })
  expectProblem(await early.request('GET', `${MAIN}/diff?from=seq:0`), 500, 'block_missing')
})

test('going back to a snapshot or a commit, and undoing it', async () => {
  const service = await startService()
  const { request } = service
  const tip = async (): Promise<unknown> =>
    ((await request('GET', `${MAIN}/entities/a`)).json as { tip?: unknown }).tip
  await put(service, { a: '1' })
  await build(service)
  await put(service, { a: '2', b: '2' })
  const body = { to: 'latest', reason: 'a bad import' }
  const done = await request('POST', `${MAIN}/rollback`, body)
  expect(done.json).toMatchObject({ status: 'rolled_back', seq: 1, generation: 2, total_count: 1 })
  expect(await tip()).toBe(cid('1'))
  expect((await request('GET', MAIN)).json).toMatchObject({ reason: 'rollback: a bad import' })
  const { undo } = done.json as { undo: number }
  expect((await request('POST', `${MAIN}/rollback`, { to: undo })).status).toBe(200)
  expect(await tip()).toBe(cid('2'))
  const kept = await request('POST', `${MAIN}/rollback`, { to: 'seq:0', keep_chain: true })
  expect(kept.json).toMatchObject({ recent_count: 2, total_count: 2 })
  expectProblem(await request('POST', `${MAIN}/rollback`, { to: 'seq:9' }), 404, 'not_found')
  expectProblem(await request('POST', `${MAIN}/rollback`, { to: 99 }), 404, 'not_found')
  for (const bad of [{}, { to: null }, { to: -1 }, { to: '' }, { to: 'latest', x: 1 }]) {
    expectProblem(await request('POST', `${MAIN}/rollback`, bad), 400, 'usage')
  }
})
