/** The engine's records as `@ipld/dag-cbor` sees them: plain values, Links as CID objects. */
import * as dagCbor from '@ipld/dag-cbor'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { cborCidOf, cidKey } from '../../src/model/cid.ts'
import { BACK_EVERY, type ChainBlock } from '../../src/model/chain-block.ts'
import { idOfKey, keyOf } from '../../src/model/entity-id.ts'
import type { ContentMode, Entry } from '../../src/model/entry.ts'
import type { Child } from '../../src/model/node.ts'
import { arbitraryEntry, arbitraryId, arbitraryUint } from './entries.ts'

export function entryValue(entry: Entry, content: ContentMode): unknown[] {
  const { pi, ver, tip, ts, exp } = entry
  return [pi, ver, tip === null || content === 'external' ? tip : CID.decode(tip), ts, exp]
}

export function leafValue(
  entries: readonly Entry[],
  content: ContentMode,
): Record<string, unknown> {
  const rows = entries.map((entry) => entryValue(entry, content))
  return { schema: 'cairn/node@v1', level: 0, entries: rows }
}

export function childValue(child: Child): unknown[] {
  const { last, count, live, bytes, exp, cid } = child
  return [idOfKey(last), count, live, bytes, exp, CID.decode(cid)]
}

export function branchValue(children: readonly Child[], level: number): Record<string, unknown> {
  return { schema: 'cairn/node@v1', level, children: children.map(childValue) }
}

export function chainValue(block: ChainBlock, content: ContentMode): Record<string, unknown> {
  const entries = block.entries.map((entry) => entryValue(entry, content))
  return { schema: 'cairn/chain@v1', ...block, entries }
}

export const libraryBytes = (value: unknown): Buffer => Buffer.from(dagCbor.encode(value))

export const cidOfText = (text: string): Uint8Array => cborCidOf(Buffer.from(text))

const arbitraryCid = fc.string().map(cidOfText)

export const arbitraryContent: fc.Arbitrary<ContentMode> = fc.constantFrom('linked', 'external')

const compareKeys = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** Entries as a leaf holds them: sorted, each id once. */
export const arbitraryLeaf: fc.Arbitrary<Entry[]> = fc
  .uniqueArray(arbitraryEntry, { selector: ({ pi }) => pi, maxLength: 30 })
  .map((entries) => entries.toSorted((a, b) => compareKeys(keyOf(a.pi), keyOf(b.pi))))

const arbitraryChild: fc.Arbitrary<Child> = fc
  .record({
    last: arbitraryId.map(keyOf),
    count: arbitraryUint.map((n) => Math.max(1, n)),
    live: arbitraryUint,
    bytes: arbitraryUint,
    exp: fc.oneof(fc.constant(null), arbitraryUint),
    cid: arbitraryCid,
  })
  .map((child) => ({
    ...child,
    live: Math.min(child.live, child.count),
    cidKey: cidKey(child.cid),
  }))

/** The children of a branch: sorted by their last ids, at least one. */
export const arbitraryChildren: fc.Arbitrary<Child[]> = fc
  .uniqueArray(arbitraryChild, { selector: ({ last }) => last, minLength: 1, maxLength: 30 })
  .map((children) => children.toSorted((a, b) => compareKeys(a.last, b.last)))

export const arbitraryChainBlock: fc.Arbitrary<ChainBlock> = fc.record({
  dataset: fc.oneof(
    fc.stringMatching(/^b[a-z2-7]{26}$/),
    fc.string({ unit: 'grapheme', maxLength: 40 }),
  ),
  ordinal: arbitraryUint,
  first: arbitraryUint,
  prev: fc.option(arbitraryCid),
  back: fc.array(arbitraryCid, { maxLength: BACK_EVERY }),
  ts: arbitraryUint,
  entries: fc.array(arbitraryEntry, { minLength: 1, maxLength: 20 }),
})
