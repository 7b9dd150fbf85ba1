/** The client's own readers: events, lines, CIDs, DAG-CBOR and files, against other readers and bad bytes. */
import * as dagCbor from '@ipld/dag-cbor'
import * as dagJson from '@ipld/dag-json'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { parseCid, printCid } from '../../src/client/cid.ts'
import { decodeDagCbor } from '../../src/client/dag-cbor.ts'
import { CairnClientError } from '../../src/client/error.ts'
import { eventParser } from '../../src/client/events.ts'
import { readLines } from '../../src/client/lines.ts'
import { backOff } from '../../src/client/retry.ts'
import { decodeFileNode } from '../../src/client/unixfs.ts'
import { printCid as printServiceCid, rawCidOf } from '../../src/model/cid.ts'
import { collect } from './setup.ts'

test('events are read alike however their text is cut, with every end of line', () => {
  const text =
    ': hello\n\nid: 1.0\n\nid: 1.1\nevent: entry\ndata: {"a":1}\n\nretry: 250\ndata: one\ndata:two\n\nevent: x\nid: 9\ndata: not whole\n'
  const expected = [
    { id: '', event: 'message', data: undefined },
    { id: '1.0', event: 'message', data: undefined },
    { id: '1.1', event: 'entry', data: '{"a":1}' },
    { id: '1.1', event: 'message', data: 'one\ntwo' },
  ]
  fc.assert(
    fc.property(
      fc.constantFrom('\n', '\r\n', '\r'),
      fc.array(fc.integer({ min: 1, max: 9 })),
      (end, cuts) => {
        let rest = text.replaceAll('\n', end)
        const parse = eventParser()
        const found: unknown[] = []
        for (const cut of cuts) {
          found.push(...parse(rest.slice(0, cut)))
          rest = rest.slice(cut)
        }
        // With CR alone it takes one more character to know that a line has ended.
        found.push(...parse(rest))
        expect(found.map((one) => ({ ...(one as object), retryMs: undefined }))).toEqual(
          expected.map((one) => ({ ...one, retryMs: undefined })),
        )
      },
    ),
  )
})

test('an event without an end does not fill the memory', () => {
  const parse = eventParser()
  expect(() => {
    for (let i = 0; i < 100; i++) parse('x'.repeat(100_000))
  }).toThrow(CairnClientError)
})

async function* partsOf(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield new TextEncoder().encode(text)
}

test('lines that are not whole are refused', async () => {
  expect(await collect(readLines(partsOf('{"a":', '1}\n2\n', '"x"\n')))).toEqual([{ a: 1 }, 2, 'x'])
  expect(await collect(readLines(partsOf()))).toEqual([])
  for (const text of ['1\n2', '{"a":1', '1\n\n', 'x\n'])
    await expect(collect(readLines(partsOf(text)))).rejects.toMatchObject({ code: 'answer_cut' })
})

test('CIDs are those of the reference', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const cid = rawCidOf(bytes)
      const text = printServiceCid(cid)
      expect(printCid(cid)).toBe(text)
      expect(parseCid(text)).toMatchObject({ codec: 0x55, hash: 'sha2-256' })
      expect(Buffer.from(parseCid(text).digest)).toEqual(Buffer.from(cid.subarray(4)))
    }),
  )
  const zero = 'QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG'
  expect(parseCid(zero).codec).toBe(0x70)
  expect(printCid(CID.parse(zero).bytes)).toBe(zero)
  for (const bad of [
    '',
    'b',
    'bafy',
    'Qm',
    'x'.repeat(200),
    zero.slice(1),
    `${zero}1`,
    'bafkqaaaa1',
  ])
    expect(() => parseCid(bad), bad).toThrow(CairnClientError)
})

const leaf = fc.oneof(
  fc.string(),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.boolean(),
  fc.constant(null),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
  fc.uint8Array({ maxLength: 70_000 }),
  fc.constant(CID.parse('bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy')),
)
const { value: anyValue } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    leaf,
    fc.array(tie('value'), { maxLength: 30 }),
    fc.dictionary(fc.string(), tie('value'), { maxKeys: 30, noNullPrototype: true }),
  ),
}))

test('DAG-CBOR is read as the reference writes it', () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      const bytes = dagCbor.encode(value)
      const mine = JSON.stringify(decodeDagCbor(bytes), plain)
      const text = new TextDecoder().decode(dagJson.encode(dagCbor.decode(bytes)))
      expect(mine).toBe(JSON.stringify(JSON.parse(text), plain))
    }),
  )
})

/** Integers that JSON cannot hold, as JSON reads them; keys in one order. */
function plain(_: string, value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
}

test('a key that objects have of themselves is a key', () => {
  const map = Uint8Array.from([0xa1, 0x69, ...Buffer.from('__proto__'), 0xa1, 0x61, 0x78, 0x01])
  const value = decodeDagCbor(map) as object
  expect(Object.keys(value)).toEqual(['__proto__'])
  expect((value as { x?: unknown }).x).toBeUndefined()
})

test('bytes that are no DAG-CBOR, and no file, are refused at once', () => {
  const deep = new Uint8Array(100_000).fill(0x81)
  const vast = Uint8Array.from([0x9b, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff])
  for (const bytes of [deep, vast, Uint8Array.of(), Uint8Array.of(0xff), Uint8Array.of(1, 1)])
    expect(() => decodeDagCbor(bytes)).toThrow(CairnClientError)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const decode of [decodeDagCbor, decodeFileNode]) {
        try {
          decode(bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(CairnClientError)
        }
      }
    }),
  )
})

test('waits grow up to a limit, differ, and are never shorter than what was asked for', () => {
  const most = Array.from({ length: 10 }, (_, i) => backOff(i, () => 1))
  expect(most).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000, 5000])
  expect(backOff(3, () => 0)).toBe(400)
  expect(backOff(0, () => 0, 2000)).toBe(2050)
})
