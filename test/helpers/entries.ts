/** Entries for tests: makers, and generators that reach the corners of the format. */
import fc from 'fast-check'
import { rawCidOf } from '../../src/model/cid.ts'
import type { Entry } from '../../src/model/entry.ts'
import { belowThreshold, hashKey } from '../../src/tree/boundary.ts'

export function tipOf(text: string): Uint8Array {
  return rawCidOf(Buffer.from(text))
}

export function entry(pi: string, fields: Partial<Entry> = {}): Entry {
  return { pi, ver: 1, tip: tipOf(pi), ts: 1_700_000_000_000, exp: null, ...fields }
}

/** Ids `PREFIX000001...` for which the boundary hash never ends a leaf: runs without a threshold end. */
export function idsWithoutThreshold(count: number, chunkSize: number): string[] {
  const ids: string[] = []
  for (let n = 0; ids.length < count; n++) {
    const id = `N${String(n).padStart(8, '0')}`
    if (!belowThreshold(hashKey(id, 0), chunkSize)) ids.push(id)
  }
  return ids
}

export const arbitraryId: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: fc.stringMatching(/^[0-9A-Z]{1,26}$/) },
  { weight: 2, arbitrary: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 512 }).map((n) => 'x'.repeat(n)) },
)

const widths = [
  0,
  1,
  23,
  24,
  255,
  256,
  65_535,
  65_536,
  4_294_967_295,
  4_294_967_296,
  Number.MAX_SAFE_INTEGER,
]

export const arbitraryUint: fc.Arbitrary<number> = fc.oneof(
  fc.constantFrom(...widths),
  fc.maxSafeNat(),
)

const arbitraryTip: fc.Arbitrary<Uint8Array | null> = fc.oneof(
  fc.constant(null),
  fc.string().map((text) => tipOf(text)),
  fc
    .uint8Array({ maxLength: 36 })
    .map((bytes) => Uint8Array.from([1, 0x55, 0, bytes.length, ...bytes])),
  fc.string().map((text) => tipOf(text).slice(2)),
)

export const arbitraryEntry: fc.Arbitrary<Entry> = fc.record({
  pi: arbitraryId,
  ver: arbitraryUint.map((n) => Math.max(1, n)),
  tip: arbitraryTip,
  ts: arbitraryUint,
  exp: fc.oneof(fc.constant(null), arbitraryUint),
})
