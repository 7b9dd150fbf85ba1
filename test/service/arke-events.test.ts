/** The log of the replaced system: appending events, and reading them newest first. */
import fc from 'fast-check'
import { setTimeout as delay } from 'node:timers/promises'
import { beforeEach, expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { parseCid, printCid } from '../../src/model/cid.ts'
import {
  anyTime,
  ENGINE_CID,
  expectProblem,
  tip,
  startArke,
  type ArkeClient,
  type Json,
} from '../helpers/arke-client.ts'
import { wrapBackend } from '../helpers/counting-backend.ts'
import { tipOf } from '../helpers/entries.ts'

let served: ArkeClient

beforeEach(async () => {
  served = await startArke()
})

test('events: a create must be new, an update must be there, and each is durable when it is answered', async () => {
  const created = await served.event('create', 'a', 1)
  expect(created).toMatchObject({ status: 200, json: { queued: true, success: true } })
  expect((created.json as Json)['event_cid']).toMatch(ENGINE_CID)
  expect(Object.keys(created.json as Json)).toEqual(['event_cid', 'queued', 'success'])
  expect(await served.get('/index-pointer')).toMatchObject({ recent_count: 1, total_count: 1 })
  expect((await served.event('create', 'a', 1)).json).toEqual(created.json)
  await expectProblem(served.event('create', 'a', 2), 409)
  await expectProblem(served.event('update', 'b', 1), 404)
  expect(await served.event('update', 'a', 2)).toMatchObject({ status: 200 })
  expect(await served.event('update', 'a', 2)).toMatchObject({ status: 200 })
  expect(await served.event('update', 'a', 5)).toMatchObject({ status: 200 })
  await expectProblem(served.event('update', 'a', 4), 409)
  const dataset = await served.service.dataset('main')
  await dataset.append({ pi: 'a', tip: null })
  await expectProblem(served.event('update', 'a', 7), 404)
  expect(await served.event('create', 'a', 7)).toMatchObject({ status: 200 })
  expect(await served.get('/events/queue-stats')).toEqual({
    queue_size: 0,
    batch_size: 10_000,
    batch_timeout_ms: 0,
  })
})

test('updates that overtake each other all get through, or say that they are older', async () => {
  const inner = openMemory()
  const backend = wrapBackend(inner, {
    commit: async (...given) => {
      await delay(40)
      return inner.commit(...given)
    },
  })
  served = await startArke({ backend })
  await served.event('create', 'a', 1)
  const versions = [3, 2, 5, 4, 6, 10, 8, 7, 9]
  const answers = await Promise.all(versions.map((ver) => served.event('update', 'a', ver)))
  expect(answers.map(({ status }) => status).filter((one) => one !== 200 && one !== 409)).toEqual(
    [],
  )
  expect(answers[versions.indexOf(10)]?.status).toBe(200)
  expect(await served.get('/entities')).toMatchObject({ items: [{ pi: 'a', ver: 10 }] })
})

test('events are read newest first, each with the CID of its block', async () => {
  const cids = [
    ((await served.event('create', 'a', 1)).json as Json)['event_cid'],
    ((await served.event('create', 'b', 1)).json as Json)['event_cid'],
    ((await served.event('update', 'a', 2)).json as Json)['event_cid'],
  ]
  await served.build()
  const dataset = await served.service.dataset('main')
  const { block } = await dataset.append({ pi: 'b', tip: null })
  const page = await served.get('/events')
  const ts = anyTime()
  expect(page).toEqual({
    items: [
      {
        event_cid: printCid(block ?? parseCid('')),
        type: 'delete',
        pi: 'b',
        ver: 2,
        tip_cid: null,
        ts,
      },
      { event_cid: cids[2], type: 'update', pi: 'a', ver: 2, tip_cid: tip('a2'), ts },
      { event_cid: cids[1], type: 'create', pi: 'b', ver: 1, tip_cid: tip('b1'), ts },
      { event_cid: cids[0], type: 'create', pi: 'a', ver: 1, tip_cid: tip('a1'), ts },
    ],
    total_events: 4,
    total_pis: 1,
    has_more: false,
    next_cursor: null,
  })
  // As there, a cursor is the CID of an event, which the page begins with.
  for (const [i, cid] of cids.entries()) {
    const { items } = await served.get(`/events?cursor=${String(cid)}`)
    expect((items as Json[]).map(({ event_cid }) => event_cid)).toEqual(
      cids.slice(0, i + 1).toReversed(),
    )
  }
})

test('events by pages of any size are all of them once, while others append and build', async () => {
  const dataset = await served.service.dataset('main')
  const ids: string[] = []
  for (let n = 0; n < 12; n++) {
    const batch = Array.from({ length: 1 + (n % 5) }, (_, i) => `${n}-${i}`)
    await dataset.appendBatch(batch.map((pi) => ({ pi, tip: tipOf(pi) })))
    ids.unshift(...batch.toReversed())
    if (n % 4 === 3) await served.build()
  }
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 40 }), fc.boolean(), async (limit, busy) => {
      const read: string[] = []
      const before = (await dataset.head()).next
      let cursor: string | null = ''
      while (cursor !== null) {
        const page: Json = await served.get(`/events?limit=${limit}&cursor=${cursor}`)
        const items = page['items'] as Json[]
        cursor = page['next_cursor'] as string | null
        expect(page['has_more']).toBe(cursor !== null)
        if (cursor !== null) expect(items).toHaveLength(limit)
        read.push(...items.map(({ pi }) => String(pi)))
        if (!busy) continue
        const pi = `n${(await dataset.head()).next}`
        await dataset.append({ pi, tip: tipOf(pi) })
        ids.unshift(pi)
        if (read.length % 3 === 0) await served.build()
      }
      const newer = ids.length - before
      expect(read).toEqual(ids.slice(newer))
    }),
    { numRuns: 15 },
  )
})

test('a cursor from before a rollback, and one of what was pruned, are refused', async () => {
  for (const pi of ['a', 'b', 'c']) await served.append(pi)
  const { next_cursor: old } = await served.get('/events?limit=1')
  const dataset = await served.service.dataset('main')
  const { number } = await dataset.head()
  const oldest = ((await served.get('/events'))['items'] as Json[])[2]?.['event_cid']
  await dataset.rollback({ commit: number })
  await expectProblem(served.request('GET', `/events?cursor=${String(old)}`), 400)
  await served.build()
  await served.append('d')
  const { next_cursor: pruned } = await served.get('/events?limit=1')
  await served.build()
  await dataset.prune({ policy: { last: 1 } })
  await expectProblem(served.request('GET', `/events?cursor=${String(pruned)}`), 410)
  await expectProblem(served.request('GET', `/events?cursor=${String(oldest)}`), 400)
  expect(await served.get('/events')).toMatchObject({ items: [], has_more: false, total_events: 4 })
})
