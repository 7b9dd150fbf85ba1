/** Snapshot headers, kept lists, checkpoints and chain lists. */
import * as dagCbor from '@ipld/dag-cbor'
import fc from 'fast-check'
import * as Multiblock from 'multiformats/block'
import { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import {
  decodeChainList,
  decodeCheckpoint,
  encodeChainList,
  encodeCheckpoint,
  type Checkpoint,
} from '../../src/model/checkpoint.ts'
import { cborCidOf, printCid, type Block } from '../../src/model/cid.ts'
import {
  decodeKeptPage,
  encodeKeptPage,
  keep,
  KEPT_PAGE,
  type KeptPage,
  type KeptSnapshot,
} from '../../src/model/kept.ts'
import { isPlain } from '../../src/model/ipld.ts'
import { MAX_BLOCK_BYTES } from '../../src/model/node.ts'
import { decodeSnapshot, encodeSnapshot, type SnapshotHeader } from '../../src/model/snapshot.ts'
import { cidOfText, libraryBytes } from '../helpers/library.ts'

const header: SnapshotHeader = {
  dataset: 'bidentity',
  seq: 1,
  ts: 1_700_000_000_000,
  root: cidOfText('root'),
  entries: 10,
  live: 9,
  chunkCount: 1,
  upto: 12,
  chunkSize: 10_000,
  content: 'linked',
  reason: 'build',
  tags: [],
  meta: {},
  prev: null,
  head: null,
}

const cid = fc.string().map(cidOfText)
const plain = fc.jsonValue().filter((value) => isPlain(value))

test('any snapshot header comes back as it was, and is what the library makes of its fields', () => {
  const arbitrary = fc.record({
    seq: fc.maxSafeNat(),
    root: cid,
    prev: fc.option(cid),
    head: fc.option(cid),
    upto: fc.maxSafeNat(),
    reason: fc.string({ unit: 'grapheme' }),
    tags: fc.array(fc.string({ unit: 'grapheme' }), { maxLength: 64 }),
    meta: fc.dictionary(fc.string({ unit: 'grapheme' }), plain),
  })
  fc.assert(
    fc.property(arbitrary, (fields) => {
      const one = { ...header, ...fields }
      const block = encodeSnapshot(one)
      expect(block.cid).toEqual(cborCidOf(block.bytes))
      const decoded = decodeSnapshot(block.bytes)
      const meta: unknown = JSON.parse(JSON.stringify(fields.meta))
      expect({ ...decoded, meta: JSON.parse(JSON.stringify(decoded.meta)) }).toEqual({
        ...one,
        meta,
      })
      const value = dagCbor.decode<Record<string, unknown>>(block.bytes)
      expect(value['root']).toEqual(CID.decode(one.root))
      expect(value['prev']).toEqual(one.prev)
      expect(Buffer.from(dagCbor.encode(value))).toEqual(Buffer.from(block.bytes))
    }),
  )
})

test('a header links to its root and to nothing else', () => {
  const { bytes } = encodeSnapshot({ ...header, prev: cidOfText('prev'), head: cidOfText('head') })
  const links: string[] = []
  const walk = (value: unknown): void => {
    const link = CID.asCID(value)
    if (link !== null) links.push(link.toString())
    else if (typeof value === 'object' && value !== null && !(value instanceof Uint8Array))
      Object.values(value).forEach(walk)
  }
  walk(dagCbor.decode(bytes))
  expect(links).toEqual([CID.decode(header.root).toString()])
})

test('metadata that cannot be stored, or would be a Link, is refused before anything is written', () => {
  const cycle: Record<string, unknown> = {}
  cycle['self'] = cycle
  const wrongs: unknown[] = [
    undefined,
    NaN,
    Infinity,
    2 ** 53,
    1n,
    '\ud800',
    new Date(),
    new Map(),
    Buffer.from('x'),
  ]
  for (const wrong of [...wrongs, CID.decode(cidOfText('x')), () => 1, cycle, Symbol('x')]) {
    for (const meta of [{ wrong }, { list: [wrong] }, { ['deep']: { wrong } }]) {
      expect(() => encodeSnapshot({ ...header, meta })).toThrow(
        expect.objectContaining({ code: 'usage' }),
      )
    }
  }
  expect(() => encodeSnapshot({ ...header, meta: { ['\ud800']: 1 } })).toThrow('metadata')
  expect(() => encodeSnapshot({ ...header, reason: '\ud800' })).toThrow('metadata')
  expect(() => encodeSnapshot({ ...header, tags: ['\ud800'] })).toThrow('metadata')
})

test('too many tags and too much metadata are refused', () => {
  const tags = Array.from({ length: 65 }, (_, n) => `t${n}`)
  const code = (fields: Partial<SnapshotHeader>): unknown => {
    try {
      encodeSnapshot({ ...header, ...fields })
      return undefined
    } catch (error) {
      return (error as { code?: unknown }).code
    }
  }
  expect(code({ tags })).toBe('too_large')
  expect(code({ tags: tags.slice(1) })).toBeUndefined()
  expect(code({ meta: { text: 'x'.repeat(300_000) } })).toBe('too_large')
  expect(code({ reason: 'x'.repeat(200_000) })).toBeUndefined()
})

const snapshot = (seq: number, fields: Partial<KeptSnapshot> = {}): KeptSnapshot => ({
  cid: cidOfText(`snapshot ${seq}`),
  seq,
  ts: 1_700_000_000_000 + seq,
  entries: seq,
  live: seq,
  reason: 'build',
  tags: [],
  ...fields,
})

/** All pages, newest first, of a list to which `count` snapshots were added one by one. */
function keepAll(count: number, fields: (seq: number) => Partial<KeptSnapshot>): KeptPage[] {
  const older: KeptPage[] = []
  let newest: { page: KeptPage; cid: Uint8Array } | undefined
  for (let seq = 0; seq < count; seq++) {
    const page = keep(newest, snapshot(seq, fields(seq)))
    const block = encodeKeptPage(page)
    expect(block.bytes.length).toBeLessThanOrEqual(MAX_BLOCK_BYTES)
    if (seq % 20 === 0) expect(decodeKeptPage(block.bytes)).toEqual(page)
    if (page.snapshots.length === 1 && newest !== undefined) {
      expect(page.older).toEqual(newest.cid)
      older.unshift(newest.page)
    }
    newest = { page, cid: block.cid }
  }
  return newest === undefined ? older : [newest.page, ...older]
}

test('a page of the kept list is full at 256, and a full page is not written again', () => {
  const pages = keepAll(600, () => ({}))
  expect(pages.map(({ snapshots }) => snapshots.length)).toEqual([
    600 - 2 * KEPT_PAGE,
    KEPT_PAGE,
    KEPT_PAGE,
  ])
  const seqs = pages.flatMap(({ snapshots }) => snapshots.toReversed().map(({ seq }) => seq))
  expect(seqs).toEqual(Array.from({ length: 600 }, (_, n) => 599 - n))
  expect(pages.at(-1)?.older).toBeNull()
})

test('long reasons and tags fill a page of the kept list before it grows too large for a block', () => {
  const pages = keepAll(30, (seq) => ({ reason: 'long '.repeat(40_000), tags: [`t${seq}`] }))
  expect(pages.length).toBeGreaterThan(3)
  expect(pages.flatMap(({ snapshots }) => snapshots).length).toBe(30)
})

const counted = fc.nat({ max: 2 ** 31 })
const identity = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 })

const arbitraryCheckpoint: fc.Arbitrary<Checkpoint> = fc
  .record({
    dataset: fc.stringMatching(/^[a-z0-9_-]{1,64}$/),
    identity,
    origins: fc.array(identity, { maxLength: 5 }),
    generation: fc.record({ number: fc.integer({ min: 1, max: 2 ** 52 }), tag: fc.string() }),
    settings: fc.record({
      content: fc.constantFrom('linked' as const, 'external' as const),
      chunkSize: fc.integer({ min: 64, max: 10_000 }),
      chainLimit: fc.integer({ min: 1, max: 10_000_000 }),
      deletedMs: fc.maxSafeNat(),
    }),
    content: fc.constantFrom('index' as const, 'tips' as const, 'full' as const),
    snapshot: cid,
    since: fc.option(cid),
    chain: fc.option(cid),
    base: fc.option(cid),
    recentCount: fc.integer({ min: 1, max: 2 ** 31 }),
    chainFirst: counted,
    next: counted,
    nextOrdinal: fc.integer({ min: 0, max: 2 ** 52 }),
    nextSeq: fc.integer({ min: 0, max: 2 ** 52 }),
    totalCount: fc.maxSafeNat(),
  })
  .map((one) => {
    const recentCount = one.chain === null ? 0 : one.recentCount
    return { ...one, recentCount, next: one.chainFirst + recentCount + one.next }
  })

test('any checkpoint comes back as it was, and is what the library makes of its fields', () => {
  fc.assert(
    fc.property(arbitraryCheckpoint, (one) => {
      const block = encodeCheckpoint(one)
      expect(block.cid).toEqual(cborCidOf(block.bytes))
      expect(decodeCheckpoint(block.bytes)).toEqual(one)
      const { settings, chain, recentCount, chainFirst, nextOrdinal, nextSeq, totalCount } = one
      const { snapshot: link, since, base, next, generation, origins } = one
      const value = {
        schema: 'cairn/checkpoint@v1',
        dataset: one.dataset,
        identity: one.identity,
        content: one.content,
        origins,
        generation,
        since,
        base,
        next,
        settings: {
          content: settings.content,
          chunk_size: settings.chunkSize,
          chain_limit: settings.chainLimit,
          deleted_ms: settings.deletedMs,
        },
        snapshot: CID.decode(link),
        recent_chain: chain === null ? null : CID.decode(chain),
        recent_count: recentCount,
        chain_first: chainFirst,
        next_ordinal: nextOrdinal,
        next_seq: nextSeq,
        total_count: totalCount,
      }
      expect(libraryBytes(value)).toEqual(Buffer.from(block.bytes))
    }),
  )
})

test('a checkpoint links to its snapshot and then to its chain, and to nothing else', () => {
  fc.assert(
    fc.property(arbitraryCheckpoint, (one) => {
      const { bytes, cid: of } = encodeCheckpoint(one)
      const block = Multiblock.createUnsafe({ bytes, cid: CID.decode(of), codec: dagCbor })
      const links = [...block.links()].map(([, link]) => link.toString())
      const expected = one.chain === null ? [one.snapshot] : [one.snapshot, one.chain]
      expect(links).toEqual(expected.map(printCid))
    }),
  )
})

/** The chain blocks that lists name, found from the root as a reader finds them. */
function namedBy(blocks: readonly Block[]): string[] {
  const bytes = new Map(blocks.map((block) => [printCid(block.cid), block.bytes]))
  const under = (text: string, level?: number): string[] => {
    const list = decodeChainList(bytes.get(text) ?? new Uint8Array())
    if (level !== undefined) expect(list.level).toBe(level)
    const links = list.links.map(printCid)
    return list.level === 0 ? links : links.flatMap((one) => under(one, list.level - 1))
  }
  return under(printCid(blocks.at(-1)?.cid ?? new Uint8Array()))
}

test('a chain list names every block once and in order, in blocks that are as full as can be', () => {
  const cids = Array.from({ length: 20_001 }, (_, n) => cidOfText(`block ${n}`))
  for (const [count, sizes] of [
    [1, [1]],
    [10_000, [10_000]],
    [10_001, [10_000, 1, 2]],
    [20_001, [10_000, 10_000, 1, 3]],
  ] as const) {
    const blocks = encodeChainList(cids.slice(0, count))
    for (const { cid: of, bytes } of blocks) {
      expect(of).toEqual(cborCidOf(bytes))
      expect(bytes.length).toBeLessThanOrEqual(MAX_BLOCK_BYTES)
    }
    expect(blocks.map(({ bytes }) => decodeChainList(bytes).links.length)).toEqual(sizes)
    expect(namedBy(blocks)).toEqual(cids.slice(0, count).map(printCid))
  }
})

test('a chain list is what the library makes of its links', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.string(), { minLength: 1, maxLength: 40 }), (texts) => {
      const links = texts.map(cidOfText)
      const [block] = encodeChainList(links)
      const value = {
        schema: 'cairn/chain-list@v1',
        level: 0,
        links: links.map((one) => CID.decode(one)),
      }
      expect(Buffer.from(block?.bytes ?? [])).toEqual(libraryBytes(value))
      expect(decodeChainList(block?.bytes ?? new Uint8Array())).toEqual({ level: 0, links })
    }),
  )
})
