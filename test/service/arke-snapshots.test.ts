/** The calls of the replaced system about snapshots, and what a mirror does with them. */
import * as dagJson from '@ipld/dag-json'
import { join } from 'node:path'
import { writeFile } from 'node:fs/promises'
import { beforeEach, expect, test } from 'vitest'
import type { OldMap } from '../../src/arke/source.ts'
import { describeSnapshot } from '../../src/arke/snapshot.ts'
import { idOfKey } from '../../src/model/entity-id.ts'
import { openMemory } from '../../src/backend/memory.ts'
import { printCid } from '../../src/model/cid.ts'
import { readOldEntry } from '../../src/arke/entry.ts'
import { runJob } from '../../src/service/dataset-tasks.ts'
import { anyTime, tip, startArke, type ArkeClient, type Json } from '../helpers/arke-client.ts'
import type { Answer } from '../helpers/service.ts'
import { tempDir } from '../helpers/engine.ts'
import { tipOf } from '../helpers/entries.ts'
import { wrapBackend } from '../helpers/counting-backend.ts'

let served: ArkeClient

beforeEach(async () => {
  served = await startArke()
})

test('there is no snapshot before the first build', async () => {
  await served.append('a')
  const answer = await served.request('GET', '/snapshot/latest')
  expect(answer).toMatchObject({
    status: 404,
    json: {
      detail: 'No snapshot available yet. Create entities and trigger a snapshot first.',
    },
  })
})

test.each([
  ['arke-v1', 'arke/snapshot@v0'],
  ['arke-v2', 'arke/snapshot@v1'],
] as const)(
  'the latest snapshot is streamed as a reader of %s expects it',
  async (shape, schema) => {
    served.set({ api_pointer: shape })
    const dataset = await served.service.dataset('main')
    const ids = Array.from({ length: 1500 }, (_, n) => `e${String(n).padStart(5, '0')}`)
    await dataset.appendBatch(ids.map((pi) => ({ pi, tip: tipOf(pi) })))
    await served.build()
    await dataset.append({ pi: 'e00007', tip: null })
    const base = await served.append('e00008', 2)
    const snapshot = await served.build()
    await served.append('later')
    const answer = await served.request('GET', '/snapshot/latest')
    expect(answer.status).toBe(200)
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'x-snapshot-cid': printCid(snapshot),
      'x-snapshot-seq': '2',
      'x-snapshot-count': '1499',
      'content-type': expect.stringContaining('application/json') as string,
    })
    const map = dagJson.decode<OldMap>(Buffer.from(answer.text))
    const described = describeSnapshot(snapshot, map)
    expect(described).toMatchObject({ schema, shape: 'entries', seq: 2, totalCount: 1499 })
    expect(described?.prev).toHaveLength(36)
    const event = shape === 'arke-v1' ? undefined : base
    expect((answer.json as Json)['event_cid']).toBe(event)
    const entries = (map['entries'] as unknown[]).map((one) => readOldEntry(one))
    expect(entries.map((one) => 'entry' in one && idOfKey(one.entry.key))).toEqual(
      ids.filter((pi) => pi !== 'e00007'),
    )
    expect((answer.json as { entries: Json[] }).entries[7]).toEqual({
      pi: 'e00008',
      ver: 2,
      tip_cid: { '/': tip('e000082') },
      ts: anyTime(),
      chain_cid: null,
    })
  },
)

test('a snapshot that cannot be read to its end is cut, never short', async () => {
  const inner = openMemory()
  let reads = Number.POSITIVE_INFINITY
  const backend = wrapBackend(inner, {
    getBlocks: async (cids, options) => {
      const blocks = await inner.getBlocks(cids, options)
      return reads-- > 0 ? blocks : blocks.map(() => undefined)
    },
  })
  served = await startArke({ backend, init: { chunkSize: 64 } })
  const dataset = await served.service.dataset('main')
  const ids = Array.from({ length: 3000 }, (_, n) => `${'x'.repeat(100)}${n}`)
  await dataset.appendBatch(ids.map((pi) => ({ pi, tip: tipOf(pi) })))
  await served.build()
  served = await startArke({ backend, init: null })
  await served.get('/index-pointer')
  reads = 40
  await expect(served.request('GET', '/snapshot/latest')).rejects.toThrow()
})

test('who mirrors by snapshot and events has what the entities are', async () => {
  served.set({ api_pointer: 'arke-v2' })
  for (let n = 0; n < 30; n++) {
    await served.append(`e${n % 11}`, 1 + Math.floor(n / 11))
    if (n % 12 === 11) await served.build()
  }
  const mirror = new Map<string, unknown>()
  const { entries } = (await served.get('/snapshot/latest')) as unknown as { entries: Json[] }
  for (const { pi, tip_cid } of entries) mirror.set(String(pi), (tip_cid as Json)['/'])
  const { snapshot_event_cid: known } = await served.get('/index-pointer')
  const newer: Json[] = []
  for (let cursor: string | null = '', found = false; !found && cursor !== null;) {
    const page: Json = await served.get(`/events?limit=4&cursor=${cursor}`)
    cursor = page['next_cursor'] as string | null
    for (const one of page['items'] as Json[]) {
      found ||= one['event_cid'] === known
      if (!found) newer.push(one)
    }
  }
  for (const one of newer.toReversed()) mirror.set(String(one['pi']), one['tip_cid'])
  const { items } = (await served.get('/entities?limit=100')) as { items: Json[] }
  expect(newer).toHaveLength(6)
  expect(Object.fromEntries(mirror)).toEqual(
    Object.fromEntries(items.map((one) => [String(one['pi']), one['tip']])),
  )
})

test.each([
  ['/snapshot/build', { status: 'snapshot build triggered' }],
  ['/snapshot/rebuild', { message: 'Snapshot rebuild triggered' }],
])('%s starts a job that builds', async (path, expected) => {
  await served.append('a')
  const answer = await served.post(path)
  expect(answer).toMatchObject({ status: 200, json: expected })
  const id = String((answer.json as Json)['job_id'])
  expect(await served.service.jobs.wait(id)).toMatchObject({
    kind: 'build',
    reason: 'manual',
    state: 'succeeded',
    result: { status: 'built', seq: 1 },
  })
  expect(await served.get('/index-pointer')).toMatchObject({ snapshot_seq: 1, snapshot_count: 1 })
})

test('a build that is asked for while one runs has what was appended before the call', async () => {
  const inner = openMemory()
  let open = (): void => {}
  const gate = new Promise<void>((resolve) => (open = resolve))
  const backend = wrapBackend(inner, {
    stage: async (...given) => {
      await gate
      return inner.stage(...given)
    },
  })
  served = await startArke({ backend })
  await served.append('a')
  const jobOf = ({ json }: Answer): string => String((json as Json)['job_id'])
  const { jobs } = served.service
  const first = jobOf(await served.post('/snapshot/build'))
  await expect.poll(() => jobs.get(first)?.state, { timeout: 5000 }).toBe('running')
  expect(await served.get('/admin/dr/status')).toMatchObject({ lock_file_exists: true })
  await served.append('b')
  const second = jobOf(await served.post('/snapshot/build'))
  open()
  await jobs.wait(first)
  expect(await jobs.wait(second)).toMatchObject({ state: 'succeeded' })
  expect(await served.get('/index-pointer')).toMatchObject({ recent_count: 0, snapshot_count: 2 })
})

test('the state of the recovery', async () => {
  const dir = await tempDir()
  served.set({ backups_dir: dir })
  expect(await served.get('/admin/dr/status')).toEqual({
    snapshot: { exists: false, last_modified: null },
    backups: { count: 0, latest: null, total_size_mb: 0 },
    lock_file_exists: false,
  })
  await served.append('a')
  await served.build()
  const { job } = runJob(served.service, 'main', 'export', { content: 'index' }, 'manual')
  const { state, result } = await served.service.jobs.wait(job.id)
  expect(state).toBe('succeeded')
  await writeFile(join(dir, 'unfinished.car'), 'x')
  expect(await served.get('/admin/dr/status')).toEqual({
    snapshot: { exists: true, last_modified: anyTime() },
    backups: {
      count: 1,
      latest: result?.['filename'],
      total_size_mb: expect.any(Number) as number,
    },
    lock_file_exists: false,
  })
})
