/** A copy has the same bytes, shares none with another, and small ones share a buffer. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { pooledCopy } from '../../src/util/pooled-copy.ts'

const same = (a: Uint8Array, b: Uint8Array | undefined): boolean =>
  b !== undefined && Buffer.compare(a, b) === 0

test('copies of all sizes keep their bytes, whatever is written to others', () => {
  const size = fc.oneof(fc.nat({ max: 40 }), fc.integer({ min: 4_000, max: 4_200 }))
  fc.assert(
    fc.property(fc.array(size, { maxLength: 12 }), (sizes) => {
      const copies = sizes.map((length, i) => {
        const bytes = Buffer.alloc(length, i + 1)
        const copy = pooledCopy(bytes)
        bytes.fill(0)
        return copy
      })
      const expected = sizes.map((length, i) => new Uint8Array(length).fill(i + 1))
      expect(copies.every((copy, i) => same(copy, expected[i]))).toBe(true)
      for (const [i, copy] of copies.entries()) {
        copy.fill(255)
        expect(copies.every((other, j) => j <= i || same(other, expected[j]))).toBe(true)
      }
    }),
  )
})

test('a thousand small ones share a few buffers, and large ones have their own', () => {
  const small = Array.from({ length: 1_000 }, () => pooledCopy(new Uint8Array(200)).buffer)
  expect(new Set(small).size).toBeLessThanOrEqual(14)
  const large = pooledCopy(Buffer.alloc(5_000, 7))
  expect(large.buffer.byteLength).toBe(5_000)
})
