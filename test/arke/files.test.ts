/** What lies in the MFS of an old node, from files made by hand. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { parsePointer } from '../../src/arke/pointer.ts'
import { printCid } from '../../src/model/cid.ts'
import { expectRefused } from '../helpers/engine.ts'
import { Blocks, countsOf, FIXTURES, importInto, openStore, stateOf } from './helpers.ts'

const TIME = (n: number): string => `2025-10-1${n}T12:00:00.000000Z`
const INDEX = '/arke/index'

async function fixture(name: string): Promise<Buffer> {
  return readFile(join(FIXTURES, 'made', name))
}

test('pointers of all programs are read', async () => {
  const { files } = JSON.parse((await fixture('expected.json')).toString()) as {
    files: { cid: string }
  }
  const read = async (name: string): Promise<(string | number | undefined)[]> => {
    const pointer = parsePointer(name, await fixture(name))
    const { snapshot, head, foldedHead } = pointer
    const cids = [snapshot, head, foldedHead].map((cid) => cid && printCid(cid))
    return [...cids, pointer.totalCount]
  }
  const { cid } = files
  expect(await read('pointer-v1.json')).toEqual([undefined, cid, undefined, 4])
  expect(await read('pointer-v1-trigger.json')).toEqual([undefined, cid, undefined, 4])
  expect(await read('pointer-v2.json')).toEqual([cid, cid, cid, 3])
  expect(await read('pointer-v2-restored.json')).toEqual([cid, cid, undefined, 3])
})

interface OldEvent {
  readonly pi: string
  readonly ver: number
  readonly tip: CID
  readonly at: number
}

/** As the event writer stored them: with maps for links. */
function eventsOf(blocks: Blocks, events: readonly OldEvent[]): CID[] {
  let prev: CID | undefined
  return events.map(({ pi, ver, tip, at }) => {
    prev = blocks.cbor({
      schema: 'arke/event@v1',
      type: ver === 1 ? 'create' : 'update',
      pi,
      ver,
      tip_cid: { '/': tip.toString() },
      ts: TIME(at),
      prev: prev === undefined ? null : { '/': prev.toString() },
    })
    return prev
  })
}

function pointerText(fields: Record<string, unknown>): string {
  return `${JSON.stringify({ schema: 'arke/index-pointer@v2', total_count: 0, ...fields })}\n`
}

function manifest(blocks: Blocks, pi: string, ver: number): CID {
  return blocks.cbor({ schema: 'arke/manifest/v1', pi, ver, ts: TIME(ver), prev: null })
}

const PI = ['01AA0', '01AB0', '01BA0', 'IITEST0'] as const

test('events since the snapshot and .tip files make the state, test entities a dataset of their own', async () => {
  const blocks = new Blocks()
  const tips = PI.map((pi) => manifest(blocks, pi, 1))
  const [a, b, c, t] = tips as [CID, CID, CID, CID]
  const newer = manifest(blocks, PI[0], 2)
  const newest = manifest(blocks, PI[1], 3)
  const events = eventsOf(blocks, [
    { pi: PI[0], ver: 1, tip: a, at: 1 },
    { pi: PI[1], ver: 1, tip: b, at: 2 },
    { pi: PI[0], ver: 2, tip: newer, at: 3 },
    { pi: PI[3], ver: 1, tip: t, at: 4 },
  ]).map(String)
  const snapshot = blocks.json({
    schema: 'arke/snapshot@v2',
    seq: 1,
    ts: TIME(2),
    event_cid: events[1],
    total_count: 2,
    entries: [
      { pi: PI[0], ver: 1, tip_cid: a, ts: TIME(1), chain_cid: null },
      { pi: PI[1], ver: 1, tip_cid: b, ts: TIME(2), chain_cid: null },
    ],
    prev_snapshot: null,
  })
  const files = {
    '/arke/index_pointer': pointerText({
      event_head: events[3],
      latest_snapshot_cid: snapshot.toString(),
      snapshot_event_cid: events[1],
      last_updated: TIME(5),
    }),
    '/arke/index-pointer': pointerText({ event_head: null, last_updated: TIME(1) }),
    [`${INDEX}/01/AA/${PI[0]}.tip`]: `${String(newer)}\n`,
    // Updated, and its event was lost with the queue.
    [`${INDEX}/01/AB/${PI[1]}.tip`]: String(newest),
    [`${INDEX}/01/BA/${PI[2]}.tip`]: `${String(c)}\n`,
    [`${INDEX}/01/BA/broken.tip`]: 'nothing',
    [`${INDEX}/01/BA/readme`]: 'no tip',
    [`/arke/test/index/II/TE/${PI[3]}.tip`]: `${String(t)}\n`,
    '/arke/test/index/01/ZZ/01ZZ0.tip': String(manifest(blocks, '01ZZ0', 1)),
  }
  const store = openStore()
  const report = await importInto(store, blocks.source(undefined, files))
  const at = (n: number): number => Date.parse(TIME(n))
  expect(await stateOf(store)).toEqual({
    [PI[0]]: { ver: 2, tip: String(newer), ts: at(3) },
    [PI[1]]: { ver: 3, tip: String(newest), ts: at(3) },
    [PI[2]]: { ver: 1, tip: String(c), ts: at(1) },
  })
  expect(Object.keys(await stateOf(store, 'main-test'))).toEqual(['01ZZ0', PI[3]])
  expect(countsOf(report)).toEqual({ two_pointers: 1, bad_file: 1 })
  expect(report.start.pointer?.path).toBe('/arke/index_pointer')
})

test('chain entries without tips take them from the .tip files', async () => {
  const blocks = new Blocks()
  const tip = manifest(blocks, 'a', 4)
  const lost = blocks.cbor({ schema: 'arke/manifest/v1', pi: 'b', ver: 1 })
  blocks.remove(lost)
  const first = blocks.json({ schema: 'arke/chain-entry@v0', pi: 'a', ts: TIME(6), prev: null })
  const head = blocks.json({ schema: 'arke/chain-entry@v0', pi: 'b', ts: TIME(7), prev: first })
  const pointer = JSON.stringify({
    schema: 'arke/index-pointer@v1',
    latest_snapshot_cid: null,
    recent_chain_head: String(head),
    last_updated: TIME(8),
  })
  const files = {
    '/arke/index-pointer': pointer,
    [`${INDEX}/a/a/a.tip`]: String(tip),
    [`${INDEX}/b/b/b.tip`]: String(lost),
  }
  const store = openStore()
  const report = await importInto(store, blocks.source(undefined, files), { content: 'external' })
  expect(await stateOf(store)).toEqual({
    a: { ver: 4, tip: String(tip), ts: Date.parse(TIME(4)) },
    b: { ver: 1, tip: String(lost), ts: Date.parse(TIME(8)) },
  })
  expect(countsOf(report)).toEqual({ missing_manifest: 1, version_assumed: 1, time_assumed: 1 })
})

test('a gap in the recent events stops the import, unless the .tip files tell what is current', async () => {
  const blocks = new Blocks()
  const tip = manifest(blocks, 'a', 1)
  const newer = manifest(blocks, 'a', 3)
  const [lost, , head] = eventsOf(blocks, [
    { pi: 'a', ver: 2, tip, at: 2 },
    { pi: 'a', ver: 1, tip, at: 1 },
    { pi: 'a', ver: 3, tip: newer, at: 3 },
  ])
  if (lost !== undefined) blocks.remove(lost)
  const pointer = { '/p': pointerText({ event_head: String(head) }) }
  const options = { pointer: '/p' }
  await expectRefused(
    importInto(openStore(), blocks.source(undefined, pointer), options),
    'block_missing',
  )
  const files = { ...pointer, [`${INDEX}/a/a/a.tip`]: String(newer) }
  const report = await importInto(openStore(), blocks.source(undefined, files), options)
  expect(countsOf(report)).toEqual({ missing_event: 1 })
})

test('a .tip file whose manifest is not there loses to a stated version, and is told', async () => {
  const blocks = new Blocks()
  const tip = manifest(blocks, 'a', 1)
  const lost = manifest(blocks, 'a', 2)
  blocks.remove(lost)
  const [head] = eventsOf(blocks, [{ pi: 'a', ver: 1, tip, at: 1 }])
  const files = {
    '/arke/index-pointer': pointerText({ event_head: String(head) }),
    [`${INDEX}/a/a/a.tip`]: String(lost),
  }
  const store = openStore()
  const report = await importInto(store, blocks.source(undefined, files))
  expect((await stateOf(store))['a']).toMatchObject({ ver: 1, tip: String(tip) })
  expect(countsOf(report)).toEqual({ tip_file_differs: 1 })
})

test('of one version with two tips the newest time wins, and both are told', async () => {
  const blocks = new Blocks()
  const [one, two] = [manifest(blocks, 'a', 1), blocks.cbor({ other: 1 })]
  const events = eventsOf(blocks, [
    { pi: 'a', ver: 1, tip: two, at: 5 },
    { pi: 'a', ver: 1, tip: one, at: 3 },
  ])
  const head = events[1]
  const store = openStore()
  const report = await importInto(store, blocks.source(head))
  expect((await stateOf(store))['a']).toMatchObject({ ver: 1, tip: String(two) })
  expect(countsOf(report)).toEqual({ version_differs: 1 })
})

test('a node without any of it, or without the named pointer, is told so', async () => {
  const blocks = new Blocks()
  await expectRefused(importInto(openStore(), blocks.source(undefined, {})), 'not_found')
  await expectRefused(
    importInto(openStore(), blocks.source(undefined, {}), { pointer: '/else' }),
    'not_found',
  )
})
