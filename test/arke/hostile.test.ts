/** Old data that is broken, or made to break its reader: told, never believed, nothing committed around it. */
import { CID } from 'multiformats/cid'
import { create as digestOf } from 'multiformats/hashes/digest'
import { expect, test } from 'vitest'
import { parsePointer } from '../../src/arke/pointer.ts'
import type { ErrorCode } from '../../src/errors.ts'
import { expectRefused } from '../helpers/engine.ts'
import { Blocks, countsOf, importInto, openStore, stateOf } from './helpers.ts'

const TS = '2025-10-11T12:00:00Z'
const HEAD = { schema: 'arke/snapshot@v1', seq: 1, ts: TS, prev_snapshot: null }

function snapshotOf(blocks: Blocks, entries: unknown): CID {
  return blocks.json({ ...HEAD, total_count: 1, event_cid: null, entries })
}

async function stops(blocks: Blocks, root: CID, code: ErrorCode, words: string): Promise<void> {
  const store = openStore()
  const error = await expectRefused(importInto(store, blocks.source(root)), code)
  expect(error.message).toContain(words)
  expect(await store.cairn.datasets()).toEqual([])
}

test('a snapshot that names a missing chunk stops the import, or is read around when asked', async () => {
  const blocks = new Blocks()
  const tip = blocks.cbor({ a: 1 })
  const chunk = (pi: string): CID =>
    blocks.json({ schema: 'arke/snapshot-chunk@v1', entries: [{ pi, ver: 1, tip, ts: TS }] })
  const chunks = [chunk('a'), chunk('b'), chunk('c')]
  const root = blocks.json({ ...HEAD, schema: 'arke/snapshot@v2', total_count: 3, chunks })
  if (chunks[1] !== undefined) blocks.remove(chunks[1])
  await stops(blocks, root, 'block_missing', '1 x missing_chunk')
  const store = openStore()
  const report = await importInto(store, blocks.source(root), { skipMissing: true })
  expect(Object.keys(await stateOf(store))).toEqual(['a', 'c'])
  expect(countsOf(report)).toEqual({ missing_chunk: 1, count_differs: 1 })
})

test('a list of chunks that breaks off says so', async () => {
  const blocks = new Blocks()
  const tip = blocks.cbor({ a: 1 })
  const chunk = (pi: string, prev: CID | null): CID =>
    blocks.json({ schema: 'arke/snapshot-chunk@v2', entries: [{ pi, ver: 1, tip, ts: TS }], prev })
  const oldest = chunk('a', null)
  const entries_head = chunk('b', oldest)
  const root = blocks.json({ ...HEAD, schema: 'arke/snapshot@v3', total_count: 2, entries_head })
  blocks.damage(oldest)
  await stops(blocks, root, 'block_missing', 'damaged; older chunks are named by it alone')
})

test.each<[string, unknown, string]>([
  ['text for an entry', 'entry', 'bad_entry'],
  ['a list for an entry', [1], 'bad_entry'],
  ['a number for an id', { pi: 7, ver: 1, tip: null }, 'bad_entry'],
  ['an empty id', { pi: '', ver: 1, tip: null }, 'bad_entry'],
  ['an id that is too long', { pi: 'x'.repeat(513), ver: 1, tip: null }, 'bad_entry'],
  ['text for a version', { pi: 'b', ver: '2', tip: null }, 'bad_entry'],
  ['version 0', { pi: 'b', ver: 0, tip: null }, 'bad_entry'],
  ['a fraction', { pi: 'b', ver: 1.5, tip: null }, 'bad_entry'],
  ['no tip', { pi: 'b', ver: 1, tip: null }, 'no_tip'],
  ['text for a tip', { pi: 'b', ver: 1, tip: 'bafynothing' }, 'unusable_cid'],
  ['a list for a tip', { pi: 'b', ver: 1, tip: ['/'] }, 'unusable_cid'],
  [
    'a CID with another hash',
    { pi: 'b', ver: 1, tip: CID.createV1(0x71, digestOf(0x13, new Uint8Array(64))) },
    'unusable_cid',
  ],
])('an entry with %s is listed, and the others are read', async (_, entry, kind) => {
  const blocks = new Blocks()
  const root = snapshotOf(blocks, [{ pi: 'a', ver: 1, tip: blocks.cbor({ a: 1 }), ts: TS }, entry])
  await stops(blocks, root, 'block_missing', `1 x ${kind}`)
  const store = openStore()
  const report = await importInto(store, blocks.source(root), { skipMissing: true })
  expect(Object.keys(await stateOf(store))).toEqual(['a'])
  expect(countsOf(report)).toMatchObject({ [kind]: 1 })
})

test.each<[string, (blocks: Blocks) => CID, ErrorCode]>([
  ['text', (blocks) => blocks.json('snapshot'), 'invalid_block'],
  ['a list', (blocks) => blocks.json([1, 2]), 'invalid_block'],
  ['another schema', (blocks) => blocks.json({ schema: 'arke/snapshot@v9', entries: [] }), 'usage'],
  ['no shape', (blocks) => blocks.json({ schema: 'arke/snapshot@v2' }), 'usage'],
  ['entries that are a map', (blocks) => snapshotOf(blocks, { a: 1 }), 'usage'],
  ['bytes', (blocks) => blocks.put(0x55, Buffer.from('raw')), 'invalid_block'],
  ['broken JSON', (blocks) => blocks.put(0x0129, Buffer.from('{"a":')), 'invalid_block'],
  ['deep nesting', (b) => b.put(0x0129, Buffer.from('['.repeat(2_000_000))), 'invalid_block'],
  ['9 MiB', (blocks) => blocks.put(0x0129, Buffer.alloc(9 << 20, 0x20)), 'too_large'],
])('a root of %s is refused', async (_, make, code) => {
  const blocks = new Blocks()
  const root = make(blocks)
  await expectRefused(importInto(openStore(), blocks.source(root)), code)
  await expectRefused(
    importInto(openStore(), blocks.source(undefined), { snapshot: root.bytes }),
    code === 'usage' ? 'invalid_block' : code,
  )
})

test('several snapshots as roots need a choice', async () => {
  const blocks = new Blocks()
  const roots = [1, 2].map((seq) => blocks.json({ ...HEAD, seq, entries: [] }))
  const source = { ...blocks.source(undefined), roots: roots.map(({ bytes }) => bytes) }
  await expectRefused(importInto(openStore(), source), 'usage')
  const snapshot = roots[1]?.bytes
  const report = await importInto(openStore(), source, { snapshot })
  expect(report.snapshot?.seq).toBe(2)
})

test('a hundred thousand entries in one block, over and over the same chunk', async () => {
  const blocks = new Blocks()
  const tip = blocks.cbor({ a: 1 })
  const entries = Array.from({ length: 50_000 }, (_, i) => ({ pi: `p${i % 100}`, ver: 1, tip }))
  const chunk = blocks.json({ schema: 'arke/snapshot-chunk@v1', entries })
  const chunks = Array.from({ length: 50_000 }, () => chunk)
  const root = blocks.json({ ...HEAD, schema: 'arke/snapshot@v2', chunks })
  const store = openStore()
  await importInto(store, blocks.source(root))
  expect(Object.keys(await stateOf(store))).toHaveLength(100)
})

test('content that is missing, damaged, unreadable or too large is told by what it is', async () => {
  const blocks = new Blocks()
  const manifest = (pi: string, more: Record<string, unknown>): CID =>
    blocks.cbor({ schema: 'arke/manifest/v1', pi, ver: 2, ...more })
  const gone = blocks.cbor({ gone: 1 })
  const hurt = blocks.cbor({ hurt: 1 })
  const big = blocks.put(0x55, new Uint8Array(3 << 20))
  const garbled = blocks.put(0x71, Buffer.from([0xff]))
  const bigJson = blocks.cbor({ text: 'x'.repeat(3 << 20) })
  const tips = {
    a: manifest('a', { prev: gone }),
    b: manifest('b', { components: { image: gone } }),
    c: manifest('c', { components: { image: hurt } }),
    d: manifest('d', { components: { image: big } }),
    e: manifest('e', { components: { image: garbled } }),
    f: manifest('f', { other: [{ deep: gone }] }),
    g: bigJson,
    h: gone,
    i: manifest('i', { components: { image: { '/': gone.toString() } } }),
  }
  blocks.remove(gone)
  blocks.damage(hurt)
  const entries = Object.entries(tips).map(([pi, tip]) => ({ pi, ver: 2, tip, ts: TS }))
  const root = blocks.json({ ...HEAD, entries })
  await stops(blocks, root, 'content_missing', 'missing_')
  const store = openStore()
  const found: string[] = []
  const report = await importInto(store, blocks.source(root), {
    skipMissing: true,
    onFinding: async ({ kind, pi }) => void found.push(`${kind} ${pi}`),
  })
  expect(found.sort()).toEqual(
    [
      'missing_version a',
      'missing_component b',
      'bad_content c',
      'bad_content d',
      'bad_content e',
      'missing_block f',
      'bad_content g',
      'missing_manifest h',
      'not_linked_missing i',
    ].sort(),
  )
  expect(report.datasets).toMatchObject([{ appended: 1, leftOut: 8 }])
  expect(Object.keys(await stateOf(store))).toEqual(['i'])
})

test('a tip of bytes over 2 MiB becomes a file when it is linked, and stays a CID when not', async () => {
  const blocks = new Blocks()
  const bytes = new Uint8Array(5 << 20).map((_, i) => i % 251)
  const tip = blocks.put(0x55, bytes)
  const root = snapshotOf(blocks, [{ pi: 'big', ver: 3, tip, ts: TS }])
  const store = openStore()
  for (const [appended, already] of [
    [1, 0],
    [0, 1],
  ]) {
    const report = await importInto(store, blocks.source(root))
    expect(report.datasets).toMatchObject([{ appended, already }])
    expect(countsOf(report)).toEqual({ rewritten: 1 })
  }
  const dataset = await store.cairn.dataset('main')
  const entry = await dataset.get('big')
  const content = await dataset.content(entry?.tip ?? '')
  const read: Uint8Array[] = []
  if (content.kind === 'bytes') for await (const part of content.bytes) read.push(part)
  expect(Buffer.concat(read).equals(bytes)).toBe(true)

  const external = openStore()
  await importInto(external, blocks.source(root), { content: 'external' })
  expect((await stateOf(external))['big']?.tip).toBe(tip.toString())
})

test('a dataset that has something newer, other or deleted keeps it', async () => {
  const blocks = new Blocks()
  const tip = blocks.cbor({ old: 1 })
  const root = snapshotOf(
    blocks,
    ['a', 'b', 'c', 'd'].map((pi) => ({ pi, ver: 2, tip, ts: TS })),
  )
  const store = openStore()
  const { dataset } = await store.cairn.init('main')
  await dataset.put('a', { newer: 1 }, { ver: 3 })
  await dataset.put('b', { other: 1 }, { ver: 2 })
  await dataset.put('c', { older: 1 }, { ver: 1 })
  await dataset.append({ pi: 'd', tip: null, ver: 5 })
  const report = await importInto(store, blocks.source(root))
  expect(report.datasets).toMatchObject([{ appended: 1, already: 0, newerThere: 3 }])
  expect(countsOf(report)).toMatchObject({ newer_there: 1 })
  const state = await stateOf(store)
  expect(Object.entries(state).map(([pi, { ver }]) => [pi, ver])).toEqual([
    ['a', 3],
    ['b', 2],
    ['c', 2],
  ])
})

test('a dataset of another content mode is not changed', async () => {
  const blocks = new Blocks()
  const root = snapshotOf(blocks, [{ pi: 'a', ver: 1, tip: blocks.cbor({ a: 1 }), ts: TS }])
  const store = openStore()
  await store.cairn.init('main', { content: 'external' })
  await expectRefused(importInto(store, blocks.source(root), { content: 'linked' }), 'conflict')
  const report = await importInto(store, blocks.source(root))
  expect(report.datasets).toMatchObject([{ content: 'external', appended: 1 }])
})

test.each([
  ['not JSON', 'not JSON'],
  ['no object', '[1]'],
  ['another schema', '{"schema":"arke/index-pointer@v9"}'],
  ['a number for a CID', '{"schema":"arke/index-pointer@v1","latest_snapshot_cid":7}'],
  ['megabytes', ' '.repeat(2 << 20)],
])('a pointer of %s is refused', async (_, text) => {
  const read = async (): Promise<unknown> => parsePointer('/arke/p', Buffer.from(text))
  await expectRefused(read(), 'pointer_damaged')
})
