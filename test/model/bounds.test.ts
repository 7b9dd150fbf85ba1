/** The largest records that there can be stay within a block, and within what the weights count on. */
import { expect, test } from 'vitest'
import { encodeChainBlock, entriesThatFit, BACK_EVERY } from '../../src/model/chain-block.ts'
import { encodeChainList } from '../../src/model/checkpoint.ts'
import { cidKey, MAX_CID_BYTES } from '../../src/model/cid.ts'
import { writeEntry, ENTRY_OVERHEAD, type Entry } from '../../src/model/entry.ts'
import { keyOf } from '../../src/model/entity-id.ts'
import {
  CHILD_OVERHEAD,
  MAX_BLOCK_BYTES,
  MAX_CHUNK_SIZE,
  writeChild,
  type Child,
} from '../../src/model/node.ts'
import { RunBuilder } from '../../src/model/run.ts'
import { hashKey, belowThreshold, MAX_WEIGHT } from '../../src/tree/boundary.ts'
import { childRun } from '../../src/tree/child-run.ts'
import { Chunker } from '../../src/tree/chunker.ts'
import { cidOfText } from '../helpers/library.ts'

const largestTip = Uint8Array.from([
  1,
  0x55,
  0,
  MAX_CID_BYTES - 4,
  ...new Uint8Array(MAX_CID_BYTES - 4),
])
const most = Number.MAX_SAFE_INTEGER

const largest = (pi: string): Entry => ({ pi, ver: most, tip: largestTip, ts: most, exp: most })

const largestChild = (last: string): Child => {
  const cid = cidOfText('child')
  return { last, count: most, live: most, bytes: most, exp: most, cid, cidKey: cidKey(cid) }
}

/** `count` ids of `bytes` bytes in order, none of which ends a node. */
function ids(count: number, bytes: number, level: number): string[] {
  return Array.from({ length: count }, (_, n) => {
    for (let i = 0; ; i++) {
      const id = `${String(n).padStart(5, '0')}${i.toString(36)}`.padEnd(bytes, '.')
      if (!belowThreshold(hashKey(id, level), MAX_CHUNK_SIZE)) return id
    }
  })
}

test('an entry without its id takes at most 76 bytes, and a child record at most 100', () => {
  const to = Buffer.alloc(2000)
  for (const length of [1, 23, 24, 255, 256, 512]) {
    for (const pi of ['x'.repeat(length), 'é'.repeat(Math.max(1, length >> 1))]) {
      const key = keyOf(pi)
      for (const content of ['linked', 'external'] as const) {
        expect(writeEntry(to, 0, largest(pi), content) - key.length).toBeLessThanOrEqual(
          ENTRY_OVERHEAD,
        )
      }
      expect(writeChild(to, 0, largestChild(key)) - key.length).toBeLessThanOrEqual(CHILD_OVERHEAD)
    }
  }
  expect(writeEntry(to, 0, largest('x'.repeat(512)), 'linked')).toBe(ENTRY_OVERHEAD + 512)
})

/** The bytes of the largest of the nodes that a chunker makes. */
function largestNode(chunker: Chunker): { bytes: number; count: number } {
  chunker.finish()
  return chunker.cut
    .map(({ block, count }) => ({ bytes: block.length, count }))
    .reduce((a, b) => (a.bytes > b.bytes ? a : b))
}

test('the largest leaf fits a block, for ids of any length', () => {
  for (const bytes of [6, 24, 28, 29, 100, 255, 256, 512]) {
    const fit = Math.min(MAX_CHUNK_SIZE, Math.floor(MAX_WEIGHT / (ENTRY_OVERHEAD + bytes)))
    const builder = new RunBuilder()
    for (const pi of ids(fit, bytes, 0)) builder.push(largest(pi), 'linked')
    const run = builder.take()
    const chunker = new Chunker(0, MAX_CHUNK_SIZE)
    chunker.add(run, 0, run.count)
    const leaf = largestNode(chunker)
    expect(leaf.count).toBe(fit)
    expect(leaf.bytes).toBeLessThanOrEqual(MAX_BLOCK_BYTES)
    expect(leaf.bytes).toBeGreaterThan(790_000)
  }
})

test('the largest branch fits a block, for ids of any length', () => {
  for (const bytes of [6, 24, 255, 512]) {
    const fit = Math.min(MAX_CHUNK_SIZE, Math.floor(MAX_WEIGHT / (CHILD_OVERHEAD + bytes)))
    // Sums of counts must stay what a number can hold.
    const children = ids(fit, bytes, 1).map((last) => ({
      ...largestChild(last),
      count: 2 ** 33,
      live: 2 ** 33,
      bytes: 2 ** 33,
    }))
    const chunker = new Chunker(1, MAX_CHUNK_SIZE)
    chunker.add(childRun(children), 0, children.length)
    const node = largestNode(chunker)
    expect(node.count).toBe(fit)
    expect(node.bytes).toBeLessThanOrEqual(MAX_BLOCK_BYTES)
    expect(node.bytes).toBeGreaterThan(700_000)
  }
})

test('the largest chain block fits a block, with a full list of weak links and the longest identity', () => {
  for (const bytes of [1, 24, 256, 512]) {
    const entries = Array.from({ length: 20_000 }, (_, n) =>
      largest(String(n).padStart(bytes, '0').slice(-bytes)),
    )
    const count = entriesThatFit(entries, 0)
    expect(count).toBeGreaterThan(1000)
    const weak = cidOfText('weak')
    const block = encodeChainBlock(
      {
        dataset: 'b'.repeat(512),
        ordinal: most,
        first: most,
        prev: weak,
        back: Array.from({ length: BACK_EVERY }, () => weak),
        ts: most,
        entries: entries.slice(0, count),
      },
      'linked',
    )
    expect(block.length).toBeLessThanOrEqual(MAX_BLOCK_BYTES)
    expect(block.length).toBeGreaterThan(1_000_000)
    expect(entriesThatFit(entries, entries.length - 3)).toBe(3)
    expect(entriesThatFit(entries, entries.length)).toBe(0)
  }
})

test('the largest chain list fits a block', () => {
  const [list] = encodeChainList(Array.from({ length: 10_000 }, (_, n) => cidOfText(String(n))))
  expect(list?.bytes.length).toBeLessThan(MAX_BLOCK_BYTES / 2)
  expect(list?.bytes.length).toBeGreaterThan(400_000)
})
