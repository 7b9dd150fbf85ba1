/** Snapshot headers and kept lists. */
import * as dagCbor from '@ipld/dag-cbor'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { cborCidOf } from '../../src/model/cid.ts'
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
import { cidOfText } from '../helpers/library.ts'

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
