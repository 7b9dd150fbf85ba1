/** Links found without decoding are those that the decoder finds. */
import * as dagCbor from '@ipld/dag-cbor'
import * as dagPb from '@ipld/dag-pb'
import * as fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { linksOf } from '../../src/content/links.ts'
import { scanLinks } from '../../src/content/scan-links.ts'
import { cborLinks, pbLinks } from '../../src/content/written-links.ts'
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
      expect(cborLinks(bytes)).toEqual(found)
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

test('what the scanner leaves to the decoder has its links all the same', () => {
  const old = CID.decode(rawCidOf(Buffer.from('old')).slice(2))
  const inline = CID.decode(Uint8Array.of(1, 0x55, 0, 3, 1, 2, 3))
  const deep = Array.from({ length: 70 }).reduce<unknown>((inner) => [inner], [old, inline])
  const bytes = dagCbor.encode({ deep, text: 'x'.repeat(300), big: 2n ** 63n, part: 0.5 })
  expect(scanLinks(bytes)).toBeUndefined()
  expect(texts(linksOf(cborCidOf(bytes), bytes))).toEqual([old, inline].map(String))
})

test('the links of a dag-pb node are those that the decoder finds, in its order', () => {
  const old = CID.decode(rawCidOf(Buffer.from('old')).slice(2))
  const links = fc.array(
    fc.record(
      { Hash: fc.oneof(link, fc.constant(old)), Name: fc.string(), Tsize: fc.nat() },
      { requiredKeys: ['Hash'] },
    ),
    { maxLength: 40 },
  )
  const data = fc.option(fc.uint8Array({ maxLength: 300 }), { nil: undefined })
  fc.assert(
    fc.property(links, data, (Links, Data) => {
      const bytes = dagPb.encode(dagPb.prepare({ Links, ...(Data && { Data }) }))
      const { Links: found } = dagPb.decode(bytes)
      expect(texts(pbLinks(bytes))).toEqual(found.map(({ Hash }) => Hash.toString()))
    }),
  )
})

const spelledOut = Uint8Array.of(0, 0, 0x12, 0x20, ...cborCidOf(Buffer.from('content')).subarray(4))
const length = spelledOut.length

for (const [codec, bytes, decode] of [
  [0x71, [0xd8, 0x2a, 0x58, length + 1, 0, ...spelledOut], dagCbor.decode],
  [0x70, [0x12, length + 2, 0x0a, length, ...spelledOut], dagPb.decode],
] as const)
  test(`a link with its version 0 spelled out is refused under codec ${codec}, though the decoder makes a usual one of it`, () => {
    const block = Uint8Array.from(bytes)
    expect(linksIn(decode(block))).toHaveLength(1)
    const cid = Uint8Array.from([1, codec, ...cborCidOf(block).subarray(2)])
    const links = (): unknown => linksOf(cid, block)
    expect(links).toThrow(expect.objectContaining({ code: 'invalid_entry' }))
  })
