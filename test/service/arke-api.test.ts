/** The calls of the replaced system, as its clients and test scripts make them: pointer, entities, appends. */
import { beforeEach, expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import {
  anyTime,
  ENGINE_CID,
  expectProblem,
  MICROSECONDS,
  tip,
  startArke,
  type ArkeClient,
  type Json,
} from '../helpers/arke-client.ts'
import { oldReader } from '../helpers/old-pointer.ts'
import { wrapBackend } from '../helpers/counting-backend.ts'

let served: ArkeClient

beforeEach(async () => {
  served = await startArke()
})

test('health', async () => {
  expect(await served.get('/health')).toEqual({ status: 'healthy' })
})

test('a service whose store is away is not healthy, one without its dataset is', async () => {
  const inner = openMemory()
  let away = false
  const backend = wrapBackend(inner, {
    newest: (...given) => (away ? Promise.reject(new Error('away')) : inner.newest(...given)),
  })
  served = await startArke({ backend, init: null })
  expect(await served.get('/health')).toEqual({ status: 'healthy' })
  await expectProblem(served.request('GET', '/index-pointer'), 404)
  await served.service.cairn.init('main', { content: 'external' })
  expect(await served.get('/health')).toEqual({ status: 'healthy' })
  away = true
  await expectProblem(served.request('GET', '/health'), 500)
})

test('the index pointer of a new dataset says that there is nothing', async () => {
  expect(await served.get('/index-pointer')).toEqual({
    schema: 'arke/index-pointer@v1',
    latest_snapshot_cid: null,
    snapshot_seq: 0,
    snapshot_count: 0,
    snapshot_ts: null,
    recent_chain_head: null,
    recent_count: 0,
    total_count: 0,
    last_updated: anyTime(),
  })
  served.set({ api_pointer: 'arke-v2' })
  expect(await served.get('/index-pointer')).toEqual({
    schema: 'arke/index-pointer@v2',
    event_head: null,
    event_count: 0,
    latest_snapshot_cid: null,
    snapshot_event_cid: null,
    snapshot_seq: 0,
    snapshot_count: 0,
    snapshot_ts: null,
    total_count: 0,
    last_snapshot_trigger: null,
    last_updated: anyTime(),
  })
})

test.each(['arke-v1', 'arke-v2'] as const)(
  'the index pointer follows what happens (%s)',
  async (shape) => {
    served.set({ api_pointer: shape })
    await served.append('a')
    const base = await served.append('b')
    await served.build()
    const head = await served.append('a', 2)
    const { text, json } = await served.request('GET', '/index-pointer')
    const pointer = json as Json
    expect(oldReader(shape, text)).toEqual(pointer)
    expect(Object.keys(oldReader(shape, text))).toEqual(Object.keys(pointer))
    const common = { snapshot_seq: 1, snapshot_count: 2, total_count: 2 }
    expect(pointer).toMatchObject(
      shape === 'arke-v1'
        ? { ...common, recent_chain_head: head, recent_count: 1 }
        : { ...common, event_head: head, event_count: 3, snapshot_event_cid: base },
    )
    expect(pointer['latest_snapshot_cid']).toMatch(ENGINE_CID)
    expect(pointer['snapshot_ts']).toMatch(MICROSECONDS)
  },
)

test('an append answers with the CID of its block, and the same again is no error', async () => {
  const cid = await served.append('a')
  expect(cid).toMatch(ENGINE_CID)
  expect(await served.append('a')).toBe(cid)
  await served.build()
  expect(await served.append('a')).toBe('null')
  expect(await served.get('/entities')).toMatchObject({
    total_count: 1,
    items: [{ pi: 'a', ver: 1 }],
  })
})

test('entities: newest ids first, every page full, whatever is folded', async () => {
  const ids = Array.from({ length: 23 }, (_, n) => `01K${String(n).padStart(3, '0')}`)
  for (const [n, pi] of ids.entries()) {
    await served.append(pi)
    if (n === 11) await served.build()
  }
  await served.append(ids[3] ?? '', 2)
  const expected = ids.toReversed()
  const first = await served.get('/entities')
  expect(first).toMatchObject({ total_count: 23, has_more: true })
  const [item] = first['items'] as Json[]
  expect(item).toEqual({
    pi: '01K022',
    ver: 1,
    tip: tip('01K0221'),
    ts: anyTime(),
  })
  for (const limit of [1, 2, 5, 10, 23, 24]) {
    const byOffset: string[] = []
    const byCursor: string[] = []
    for (let offset = 0; offset < 23; offset += limit) {
      const page = await served.get(`/entities?limit=${limit}&offset=${offset}`)
      const items = page['items'] as Json[]
      expect(items).toHaveLength(Math.min(limit, 23 - offset))
      expect(page['has_more']).toBe(offset + limit < 23)
      byOffset.push(...items.map(({ pi }) => String(pi)))
    }
    let cursor = ''
    do {
      // As there, the cursor counts and not the offset.
      const page = await served.get(
        `/entities?limit=${limit}&cursor=${cursor}${cursor && '&offset=3'}`,
      )
      byCursor.push(...(page['items'] as Json[]).map(({ pi }) => String(pi)))
      cursor = (page['next_cursor'] as string | null) ?? ''
    } while (cursor !== '')
    expect(byOffset).toEqual(expected)
    expect(byCursor).toEqual(expected)
  }
  expect(await served.get('/entities?offset=500')).toMatchObject({ items: [], has_more: false })
})

test('what the replaced system let through is refused', async () => {
  for (const path of ['/entities', '/events']) {
    for (const limit of ['0', '-1', '10001', 'x', '1.5'])
      await expectProblem(served.request('GET', `${path}?limit=${limit}`), 400)
    await expectProblem(served.request('GET', `${path}?cursor=${tip('nothing')}`), 400)
    await expectProblem(served.request('GET', `${path}?page=1`), 400)
  }
  await expectProblem(served.request('GET', '/entities?offset=-1'), 400)
  await expectProblem(served.request('GET', '/events?cursor=zzz'), 400)
  const entry = { pi: 'a', tip_cid: tip('a'), ver: 1 }
  for (const wrong of [
    {},
    { ...entry, pi: '' },
    { ...entry, ver: 0 },
    { ...entry, ver: '1' },
    { ...entry, tip_cid: 'bafy' },
    { ...entry, more: 1 },
    [entry],
  ]) {
    await expectProblem(served.post('/chain/append', wrong), 400)
    await expectProblem(served.post('/events/append', { type: 'create', ...wrong }), 400)
  }
  await expectProblem(served.post('/events/append', { ...entry, type: 'delete' }), 400)
  const json = { 'content-type': 'application/json' }
  await expectProblem(served.request('POST', '/chain/append', '{', json), 400)
  await served.append('a', 3)
  await expectProblem(served.post('/chain/append', { ...entry, ver: 2 }), 409)
  await expectProblem(served.post('/chain/append', { ...entry, ver: 3 }), 409)
  await expectProblem(served.request('PUT', '/entities'), 405)
  expect(await served.get('/index-pointer')).toMatchObject({ recent_count: 1 })
})

test('a tip that the store has not is refused where tips are links', async () => {
  served = await startArke({ init: { content: 'linked' } })
  await expectProblem(served.post('/chain/append', { pi: 'a', tip_cid: tip('a'), ver: 1 }), 422)
  await expectProblem(
    served.post('/events/append', { type: 'create', pi: 'a', tip_cid: tip('a'), ver: 1 }),
    422,
  )
  expect(await served.get('/events')).toMatchObject({ items: [], total_events: 0 })
})
