/** The hand-written codec against `@ipld/dag-cbor`, byte for byte and in both directions. */
import * as dagCbor from '@ipld/dag-cbor'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Scanner } from '../../src/model/cbor.ts'
import { decodeChainBlock, encodeChainBlock } from '../../src/model/chain-block.ts'
import {
  readEntry,
  readExp,
  scanEntry,
  writeEntry,
  ENTRY_OVERHEAD,
  type ContentMode,
  type Entry,
} from '../../src/model/entry.ts'
import { keyOf } from '../../src/model/entity-id.ts'
import {
  CHILD_OVERHEAD,
  decodeNode,
  encodeNode,
  isLeaf,
  summarize,
  writeChild,
  type Child,
} from '../../src/model/node.ts'
import { keyAt, RunBuilder } from '../../src/model/run.ts'
import { arbitraryEntry, entry, tipOf } from '../helpers/entries.ts'
import {
  arbitraryChainBlock,
  arbitraryChildren,
  arbitraryContent,
  arbitraryLeaf,
  branchValue,
  chainValue,
  childValue,
  cidOfText,
  entryValue,
  leafValue,
  libraryBytes,
} from '../helpers/library.ts'

function ourEntry(one: Entry, content: ContentMode): Buffer {
  const to = Buffer.alloc(ENTRY_OVERHEAD + keyOf(one.pi).length)
  return to.subarray(0, writeEntry(to, 0, one, content))
}

function ourLeaf(entries: readonly Entry[], content: ContentMode): Buffer {
  const builder = new RunBuilder()
  for (const one of entries) builder.push(one, content)
  const run = builder.take()
  return encodeNode(0, run.count, run.bytes)
}

function ourChild(child: Child): Buffer {
  const to = Buffer.alloc(CHILD_OVERHEAD + child.last.length)
  return to.subarray(0, writeChild(to, 0, child))
}

const widths = [0, 1, 23, 24, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1]
const lengths = [1, 23, 24, 255, 256, 511, 512]

/** Every kind of tip that an entry may have. */
const tips: readonly (Uint8Array | null)[] = [
  null,
  tipOf('raw'),
  tipOf('version 0').slice(2),
  Uint8Array.from([1, 0x71, ...tipOf('dag-cbor').slice(2)]),
  Uint8Array.from([1, 0xa9, 0x02, ...tipOf('dag-json').slice(2)]),
  Uint8Array.from([1, 0x55, 0, 0]),
  Uint8Array.from([1, 0x55, 0, 36, ...new Uint8Array(36).fill(7)]),
  Uint8Array.from([1, 0x55, 0, 32, ...new Uint8Array(32).fill(7)]),
]

test('an entry is what the library makes of it, in every width of every number', () => {
  for (const content of ['linked', 'external'] as const) {
    for (const tip of tips) {
      for (const n of widths) {
        const one = entry('an id', { ver: Math.max(1, n), ts: n, exp: n, tip })
        const bytes = libraryBytes(entryValue(one, content))
        expect(ourEntry(one, content)).toEqual(bytes)
        expect(readEntry(bytes, 0)).toEqual(one)
        expect(readExp(bytes, 0)).toBe(n)
      }
    }
  }
})

test('an entry is what the library makes of it, for ids of every length and script', () => {
  const ids = [
    ...lengths.map((n) => 'x'.repeat(n)),
    ...lengths
      .filter((n) => n > 1)
      .map((n) => 'é'.repeat(Math.floor(n / 2)).padEnd(n - Math.floor(n / 2), '!')),
    '日本語',
    '\u{1f600}',
    '\u{feff}with a byte order mark',
    '\u0000',
    'a\u0000b',
    'é',
    'é',
    '\u{10ffff}',
    '__proto__',
    '/',
  ]
  for (const pi of ids) {
    const one = entry(pi)
    const bytes = libraryBytes(entryValue(one, 'linked'))
    expect(ourEntry(one, 'linked')).toEqual(bytes)
    expect(readEntry(bytes, 0)).toEqual(one)
  }
})

test('any entry, either way', () => {
  fc.assert(
    fc.property(arbitraryEntry, arbitraryContent, fc.nat(20), (one, content, offset) => {
      const bytes = libraryBytes(entryValue(one, content))
      expect(ourEntry(one, content)).toEqual(bytes)
      const framed = Buffer.concat([Buffer.alloc(offset, 0xff), bytes, Buffer.alloc(5, 0xff)])
      expect(readEntry(framed, offset)).toEqual(one)
      expect(readExp(framed, offset)).toBe(one.exp)
      const scanner = new Scanner(framed, offset, 'entry')
      const scanned = { keyStart: 0, keyEnd: 0, live: false, exp: null }
      scanEntry(scanner, scanned)
      expect(scanner.at).toBe(offset + bytes.length)
      expect(scanned).toMatchObject({ live: one.tip !== null, exp: one.exp })
    }),
    { numRuns: 1000 },
  )
})

test('any leaf, either way', () => {
  fc.assert(
    fc.property(arbitraryLeaf, arbitraryContent, (entries, content) => {
      const bytes = libraryBytes(leafValue(entries, content))
      expect(ourLeaf(entries, content)).toEqual(bytes)
      const leaf = decodeNode(bytes)
      if (!isLeaf(leaf)) throw new Error('a leaf is a leaf')
      expect(leaf.count).toBe(entries.length)
      expect(entries.map((_, i) => readEntry(leaf.bytes, leaf.starts[i] ?? 0))).toEqual(entries)
      expect(entries.map((_, i) => keyAt(leaf, i))).toEqual(entries.map(({ pi }) => keyOf(pi)))
      const exps = entries.flatMap(({ exp }) => exp ?? [])
      expect(leaf.exp).toBe(exps.length === 0 ? null : Math.min(...exps))
      expect(leaf.dead).toEqual(entries.flatMap(({ tip }, i) => (tip === null ? [i] : [])))
    }),
    { numRuns: 200 },
  )
})

test('any branch, either way, on every level that there is', () => {
  fc.assert(
    fc.property(arbitraryChildren, fc.integer({ min: 1, max: 23 }), (children, level) => {
      const bytes = libraryBytes(branchValue(children, level))
      const records = children.map(ourChild)
      expect(records).toEqual(children.map((child) => libraryBytes(childValue(child))))
      expect(encodeNode(level, children.length, Buffer.concat(records))).toEqual(bytes)
      const branch = decodeNode(bytes)
      if (isLeaf(branch)) throw new Error('a branch is a branch')
      expect(branch.level).toBe(level)
      expect(branch.children).toEqual(children)
      const summary = summarize(branch, cidOfText('itself'))
      expect(summary.last).toBe(children.at(-1)?.last)
      expect(summary.live).toBe(children.reduce((sum, { live }) => sum + live, 0))
    }),
    { numRuns: 200 },
  )
})

test('any chain block, either way', () => {
  fc.assert(
    fc.property(arbitraryChainBlock, arbitraryContent, (block, content) => {
      const bytes = libraryBytes(chainValue(block, content))
      expect(encodeChainBlock(block, content)).toEqual(bytes)
      expect(decodeChainBlock(bytes)).toEqual(block)
    }),
    { numRuns: 200 },
  )
})

test('what is decoded keeps nothing of the block alive but its own bytes', () => {
  const one = entry('kept')
  const bytes = libraryBytes(entryValue(one, 'linked'))
  const { tip } = readEntry(bytes, 0)
  bytes.fill(0)
  expect(tip).toEqual(one.tip)
  const chain = libraryBytes(
    chainValue(
      { dataset: 'd', ordinal: 0, first: 0, prev: cidOfText('p'), back: [], ts: 0, entries: [one] },
      'linked',
    ),
  )
  const decoded = decodeChainBlock(chain)
  chain.fill(0)
  expect(decoded.prev).toEqual(cidOfText('p'))
  expect(decoded.entries).toEqual([one])
})

test('a decoder takes bytes that are no Buffer and lie anywhere in theirs', () => {
  const bytes = libraryBytes(leafValue([entry('a'), entry('b')], 'linked'))
  const wide = new Uint8Array(bytes.length + 10).fill(0xff)
  wide.set(bytes, 7)
  const node = decodeNode(wide.subarray(7, 7 + bytes.length))
  expect([keyAt(node, 0), keyAt(node, 1)]).toEqual(['a', 'b'])
  expect(dagCbor.decode(node.bytes)).toEqual(dagCbor.decode(bytes))
})
