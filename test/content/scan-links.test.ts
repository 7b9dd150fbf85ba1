/** `scanLinks` is a shortcut: whatever it answers, the decoder must answer, too. */
import * as dagCbor from '@ipld/dag-cbor'
import * as fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { scanLinks } from '../../src/content/scan-links.ts'
import { cborCidOf, rawCidOf } from '../../src/model/cid.ts'

const link = fc
  .tuple(fc.string(), fc.boolean())
  .map(([text, raw]) => CID.decode((raw ? rawCidOf : cborCidOf)(Buffer.from(text))))

const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.string(),
    fc.maxSafeInteger(),
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.boolean(),
    fc.constant(null),
    fc.uint8Array({ maxLength: 300 }),
    link,
    fc.array(tie('value')),
    fc.dictionary(fc.string({ maxLength: 40 }), tie('value')),
  ),
}))

function linksIn(decoded: unknown): string[] {
  if (typeof decoded !== 'object' || decoded === null || decoded instanceof Uint8Array) return []
  const cid = CID.asCID(decoded)
  return cid === null ? Object.values(decoded).flatMap(linksIn) : [cid.toString()]
}

/** A map's order is the encoding's, which an object with keys like numbers does not keep. */
const sorted = (links: readonly string[]): string[] => links.toSorted()
const texts = (links: readonly Uint8Array[]): string[] =>
  links.map((cid) => CID.decode(cid).toString())

test('it finds the links that the decoder finds, in all that the encoder writes', () => {
  fc.assert(
    fc.property(value, (one) => {
      const bytes = dagCbor.encode(one)
      const found = scanLinks(bytes)
      expect(found).toBeDefined()
      expect(sorted(texts(found ?? []))).toEqual(sorted(linksIn(dagCbor.decode(bytes))))
    }),
    { numRuns: 500 },
  )
})

test('it answers nothing for what the decoder refuses', () => {
  const mutation = fc.record({ at: fc.nat(), to: fc.nat(255), cut: fc.option(fc.nat(8)) })
  fc.assert(
    fc.property(value, fc.array(mutation, { minLength: 1, maxLength: 3 }), (one, mutations) => {
      let bytes = dagCbor.encode(one).slice()
      for (const { at, to, cut } of mutations) {
        if (bytes.length > 0) bytes[at % bytes.length] = to
        if (cut !== null) bytes = bytes.slice(0, Math.max(0, bytes.length - cut))
      }
      const found = scanLinks(bytes)
      if (found === undefined) return
      expect(sorted(texts(found))).toEqual(sorted(linksIn(dagCbor.decode(bytes))))
    }),
    { numRuns: 3000 },
  )
})

test('links come in the order of the encoding', () => {
  const [a, b, c] = ['a', 'b', 'c'].map((text) => CID.decode(cborCidOf(Buffer.from(text))))
  const bytes = dagCbor.encode({ zz: [b, { q: c }], y: a })
  expect(texts(scanLinks(bytes) ?? [])).toEqual([a, b, c].map(String))
})
