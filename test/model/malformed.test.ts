/**
 * Broken and hostile blocks. Whatever comes, a decoder answers with a record or with a CairnError; and
 * a block that it takes is the one canonical encoding of a record, by the library's judgement.
 */
import * as dagCbor from '@ipld/dag-cbor'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import type { ErrorCode } from '../../src/errors.ts'
import { decodeChainBlock } from '../../src/model/chain-block.ts'
import { decodeChainList, decodeCheckpoint } from '../../src/model/checkpoint.ts'
import { decodeKeptPage } from '../../src/model/kept.ts'
import { decodeNode, MAX_CHUNK_SIZE } from '../../src/model/node.ts'
import { decodeSnapshot } from '../../src/model/snapshot.ts'
import { entry, tipOf } from '../helpers/entries.ts'
import {
  badTips,
  checkpoint,
  link,
  listValue,
  refusal,
  withoutChain,
  type Value,
} from '../helpers/checkpoint-values.ts'
import { branchValue, chainValue, cidOfText, leafValue, libraryBytes } from '../helpers/library.ts'
import { DEVIATIONS, looseCbor, strictCbor } from '../helpers/loose-cbor.ts'

const entries = [
  entry('a', { ver: 300, exp: 1_800_000_000_000 }),
  entry('b'.repeat(300), { tip: null }),
  entry('é日', { ver: 70_000, tip: Uint8Array.from([1, 0x55, 0, 3, 1, 2, 3]) }),
  entry('é日1', { ts: 0, tip: tipOf('v0').slice(2) }),
]
const children = ['k', 'kk', 'l'.repeat(400)].map((last, n) => ({
  last,
  count: 10 ** (n + 1),
  live: 10,
  bytes: 70_000,
  exp: n === 0 ? null : 1_700_000_000_000,
  cid: cidOfText(last),
  cidKey: '',
}))

const chain: Value = chainValue(
  {
    dataset: 'bdataset',
    ordinal: 256,
    first: 100,
    prev: cidOfText('prev'),
    back: [cidOfText('one'), cidOfText('two')],
    ts: 1_700_000_000_000,
    entries,
  },
  'linked',
)

const snapshot: Value = {
  schema: 'cairn/snapshot@v1',
  dataset: 'bdataset',
  seq: 3,
  ts: 1_700_000_000_000,
  root: CID.decode(cidOfText('root')),
  entries: 1000,
  live: 900,
  chunk_count: 20,
  upto: 5000,
  chunk_size: 64,
  content: 'linked',
  reason: 'build',
  tags: ['one', 'two'],
  meta: { users: 3, rooms: ['a', { deep: null }], half: 0.5, yes: true },
  prev: cidOfText('before'),
  head: null,
}

const kept: Value = {
  schema: 'cairn/kept@v1',
  older: cidOfText('older'),
  snapshots: [1, 2].map((seq) => ({
    cid: cidOfText(`snapshot ${seq}`),
    seq,
    ts: 1_700_000_000_000,
    entries: 10,
    live: 9,
    reason: 'build',
    tags: ['one'],
  })),
}

const records: readonly (readonly [string, Value, (bytes: Uint8Array) => unknown])[] = [
  ['leaf', leafValue(entries, 'linked'), decodeNode],
  ['leaf of external tips', leafValue(entries, 'external'), decodeNode],
  ['branch', branchValue(children, 2), decodeNode],
  ['chain block', chain, decodeChainBlock],
  ['snapshot', snapshot, decodeSnapshot],
  ['kept list', kept, decodeKeptPage],
  ['checkpoint', checkpoint, decodeCheckpoint],
  ['checkpoint without a chain', withoutChain, decodeCheckpoint],
  ['chain list', listValue(0, 3), decodeChainList],
  ['chain list of lists', listValue(1, 2), decodeChainList],
]

/** Damage is never the caller's fault, nor ours. */
const CODES: readonly (ErrorCode | undefined)[] = ['invalid_block', 'format_unsupported']

function checkAny(decode: (bytes: Uint8Array) => unknown, bytes: Uint8Array): boolean {
  const code = refusal(decode, bytes)
  if (code === undefined) {
    expect(Buffer.compare(dagCbor.encode(dagCbor.decode(bytes)), bytes)).toBe(0)
    return false
  }
  expect(CODES).toContain(code)
  return true
}

for (const [name, value, decode] of records) {
  const valid = libraryBytes(value)

  test(`a ${name}: what is valid is taken`, () => {
    expect(strictCbor(value)).toEqual(valid)
    expect(refusal(decode, valid)).toBeUndefined()
  })

  test(`a ${name}: every cut and every extension is refused`, () => {
    for (let length = 0; length < valid.length; length++) {
      expect(CODES).toContain(refusal(decode, valid.subarray(0, length)))
    }
    for (const more of [Buffer.from([0]), Buffer.from([0xf6]), valid]) {
      expect(refusal(decode, Buffer.concat([valid, more]))).toBe('invalid_block')
    }
  })

  test(`a ${name}: whatever byte is changed, it is refused or another canonical record`, () => {
    let refused = 0
    for (let at = 0; at < valid.length; at++) {
      for (const mask of [0x01, 0x20, 0x80, 0xff]) {
        const bytes = Buffer.from(valid)
        bytes[at] = (bytes[at] ?? 0) ^ mask
        if (checkAny(decode, bytes)) refused += 1
      }
    }
    expect(refused).toBeGreaterThan(50)
  })

  test(`a ${name}: bytes changed, taken out and put in at random do no more than that`, () => {
    const edit = fc.record({
      at: fc.nat(valid.length),
      drop: fc.nat(40),
      put: fc.oneof(
        fc.uint8Array({ maxLength: 12 }),
        fc
          .constantFrom(0x5f, 0x7f, 0x9f, 0xbf, 0xff, 0xf7, 0x1c, 0xfb, 0xd8)
          .map((byte) => Uint8Array.of(byte)),
        fc.nat(valid.length).map((from) => valid.subarray(from, from + 30)),
      ),
    })
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
        let bytes: Buffer = valid
        for (const { at, drop, put } of edits) {
          bytes = Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + drop)])
        }
        checkAny(decode, bytes)
      }),
      { numRuns: 1500 },
    )
  })

  test(`a ${name}: any one deviation from the canonical form is refused, wherever it is`, () => {
    for (const deviation of DEVIATIONS) {
      let bytes = looseCbor(value, deviation, 0)
      for (let place = 0; bytes !== undefined; place++) {
        // A number made negative where metadata is free is another record, not a malformed one.
        const refused = bytes.equals(valid) || checkAny(decode, bytes)
        const another = name === 'snapshot' && ['major type', 'negative'].includes(deviation)
        if (!refused && !another) throw new Error(`${deviation} at place ${place} was taken`)
        bytes = looseCbor(value, deviation, place + 1)
      }
    }
  })

  test(`a ${name}: fields that lack, are too many or of another kind are refused`, () => {
    const wrong: unknown[] = [
      null,
      true,
      'text',
      1.5,
      -1,
      2 ** 53,
      [],
      [1],
      {},
      { a: 1 },
      Buffer.from('bytes'),
    ]
    const link = CID.decode(cidOfText('link'))
    for (const field of Object.keys(value)) {
      const { [field]: right, ...others } = value
      expect(CODES).toContain(refusal(decode, libraryBytes(others)))
      for (const one of [...wrong, link, Buffer.from(link.bytes)]) {
        const code = refusal(decode, libraryBytes({ ...others, [field]: one }))
        // Some values are as good as the one that stood there.
        const fine =
          (field === 'meta' && (code === undefined || one === link)) ||
          typeof one === typeof right ||
          (['prev', 'head', 'older', 'since', 'base'].includes(field) && code === undefined)
        if (!fine)
          expect([field, one, code]).toEqual([field, one, CODES.find((known) => known === code)])
      }
      expect(refusal(decode, libraryBytes({ ...others, [`${field}x`]: right }))).toBeDefined()
    }
    expect(refusal(decode, libraryBytes({ ...value, more: 1 }))).toBe('invalid_block')
    expect(refusal(decode, libraryBytes({ ...value, '': 1 }))).toBe('invalid_block')
    expect(refusal(decode, libraryBytes({ ...value, more: link }))).toBe('invalid_block')
  })

  test(`a ${name}: another schema tag is no damage but another format`, () => {
    const other = (schema: unknown): ErrorCode | undefined =>
      refusal(decode, libraryBytes({ ...value, schema }))
    const [tag = ''] = String(value['schema']).split('@')
    expect(other(`${tag}@v2`)).toBe('format_unsupported')
    expect(other(`${tag}@v${'9'.repeat(5000)}`)).toBe('format_unsupported')
    for (const odd of [
      null,
      1,
      [],
      {},
      { toString: 1 },
      [{ toString: 1 }],
      link(),
      Buffer.from('x'),
    ]) {
      expect(CODES).toContain(other(odd))
    }
    expect(refusal(decode, libraryBytes({ other: 'record' }))).toBeDefined()
  })

  test(`a ${name}: other values, deep nesting and large claims are refused at once`, () => {
    const started = performance.now()
    for (const one of [null, 1, 'text', [], {}, [value], link(), Buffer.from('x')]) {
      expect(CODES).toContain(refusal(decode, libraryBytes(one)))
    }
    for (const opener of [0x81, 0x9f, 0xd8, 0xa1, 0xbf, 0x5f]) {
      expect(CODES).toContain(refusal(decode, Buffer.alloc(1 << 20, opener)))
    }
    const deep = Buffer.concat([valid.subarray(0, valid.length - 1), Buffer.alloc(1 << 20, 0x81)])
    expect(CODES).toContain(refusal(decode, deep))
    for (const claim of [0x1b, 0x5b, 0x7b, 0x9b, 0xbb]) {
      for (const byte of [0xff, 0x7f, 0x00]) {
        const head = Buffer.concat([Buffer.from([claim]), Buffer.alloc(8, byte)])
        expect(CODES).toContain(refusal(decode, head))
        expect(CODES).toContain(refusal(decode, Buffer.concat([valid.subarray(0, 1), head, valid])))
      }
    }
    expect(performance.now() - started).toBeLessThan(3000)
  })
}

test('entries out of order and doubled ids are refused', () => {
  const leaf = (ids: readonly string[]): Buffer =>
    libraryBytes(
      leafValue(
        ids.map((pi) => entry(pi)),
        'linked',
      ),
    )
  const branch = (ids: readonly string[]): Buffer =>
    libraryBytes(
      branchValue(
        ids.map((last) => ({ ...children[0], last }) as (typeof children)[0]),
        1,
      ),
    )
  for (const make of [leaf, branch]) {
    expect(refusal(decodeNode, make(['a', 'b', 'c']))).toBeUndefined()
    for (const ids of [
      ['b', 'a'],
      ['a', 'a'],
      ['a', 'c', 'b'],
      ['ab', 'a'],
      ['a', 'b', 'a'],
      ['', 'a'],
    ]) {
      expect(refusal(decodeNode, make(ids))).toBe('invalid_block')
    }
  }
  // By UTF-16 units these two would stand the other way round.
  expect(refusal(decodeNode, leaf(['\u{ff5e}', '\u{1f600}']))).toBeUndefined()
  expect(refusal(decodeNode, leaf(['\u{1f600}', '\u{ff5e}']))).toBe('invalid_block')
})

test('entries that no one could have appended are refused', () => {
  const row = [...entryRow()]
  const wrongs: [number, unknown[]][] = [
    [0, ['', 'x'.repeat(513), 'é'.repeat(257), 1, null, Buffer.from('a')]],
    [1, [0, -1, 1.5, null, '1', 2n ** 53n, 2n ** 64n - 1n]],
    [2, [...badTips(), 'text', 1, false, [], {}]],
    [3, [-1, null, 1.5, '1', 2n ** 53n]],
    [4, [-1, 1.5, '1', false, 2n ** 53n]],
  ]
  const decoders: [(row: unknown[]) => Buffer, (bytes: Uint8Array) => unknown][] = [
    [(one) => libraryBytes({ schema: 'cairn/node@v1', level: 0, entries: [one] }), decodeNode],
    [(one) => libraryBytes({ ...chain, entries: [one] }), decodeChainBlock],
  ]
  for (const [make, decode] of decoders) {
    expect(refusal(decode, make(row))).toBeUndefined()
    for (const [field, values] of wrongs) {
      for (const value of values) {
        const code = refusal(decode, make(row.with(field, value)))
        expect([field, value, code]).toEqual([field, value, 'invalid_block'])
      }
    }
    expect(refusal(decode, make(row.slice(0, 4)))).toBe('invalid_block')
    expect(refusal(decode, make([...row, 1]))).toBe('invalid_block')
  }
})

function entryRow(): unknown[] {
  return ['a', 1, CID.decode(tipOf('a')), 1_700_000_000_000, null]
}

test('bad CIDs are refused in every place: as a tip that is a Link, too', () => {
  for (const cid of badTips()) {
    const bytes = Buffer.concat([
      strictCbor({ schema: 'cairn/node@v1', level: 0, entries: [['a', 1]] }).subarray(0, -5),
      Buffer.from([
        0x81,
        0x85,
        0x61,
        0x61,
        0x01,
        0xd8,
        42,
        0x58,
        cid.length + 1,
        0,
        ...cid,
        0,
        0xf6,
      ]),
    ])
    // CBOR's shortest head for short byte strings.
    const short = cid.length + 1 < 24
    const at = bytes.indexOf(Buffer.from([0xd8, 42, 0x58]))
    const shortest = short
      ? Buffer.concat([
          bytes.subarray(0, at + 2),
          Buffer.from([0x40 + cid.length + 1]),
          bytes.subarray(at + 4),
        ])
      : bytes
    expect(refusal(decodeNode, shortest)).toBe('invalid_block')
  }
  const foreign = [
    tipOf('raw'),
    tipOf('v0').slice(2),
    Uint8Array.from([1, 0x71, 0, 1, 5]),
    ...badTips(),
  ]
  for (const cid of foreign) {
    expect(refusal(decodeChainBlock, libraryBytes({ ...chain, prev: cid }))).toBe('invalid_block')
    expect(refusal(decodeChainBlock, libraryBytes({ ...chain, back: [cid] }))).toBe('invalid_block')
    expect(refusal(decodeSnapshot, libraryBytes({ ...snapshot, prev: cid }))).toBe('invalid_block')
    expect(refusal(decodeSnapshot, libraryBytes({ ...snapshot, head: cid }))).toBe('invalid_block')
    expect(refusal(decodeKeptPage, libraryBytes({ ...kept, older: cid }))).toBe('invalid_block')
  }
  for (const cid of foreign.slice(0, 3)) {
    const root = CID.decode(cid)
    expect(refusal(decodeSnapshot, libraryBytes({ ...snapshot, root }))).toBe('invalid_block')
    const [first] = children
    if (first === undefined) throw new Error('there are children')
    expect(refusal(decodeNode, libraryBytes(branchValue([{ ...first, cid }], 1)))).toBe(
      'invalid_block',
    )
  }
})

test('nodes of impossible levels and sizes are refused', () => {
  const leaf = leafValue(entries, 'linked')
  for (const level of [1, 23, 24, 255, 256, -1]) {
    expect(CODES).toContain(refusal(decodeNode, libraryBytes({ ...leaf, level })))
  }
  const branch = branchValue(children, 1)
  expect(CODES).toContain(refusal(decodeNode, libraryBytes({ ...branch, level: 0 })))
  expect(CODES).toContain(refusal(decodeNode, libraryBytes({ ...branch, level: 24 })))
  expect(refusal(decodeNode, libraryBytes(branchValue([], 1)))).toBe('invalid_block')
  const row = (n: number): unknown[] => [String(n).padStart(6, '0'), 1, null, 0, null]
  const many = (count: number): Buffer =>
    libraryBytes({ ...leaf, entries: Array.from({ length: count }, (_, n) => row(n)) })
  expect(refusal(decodeNode, many(MAX_CHUNK_SIZE))).toBeUndefined()
  expect(refusal(decodeNode, many(MAX_CHUNK_SIZE + 1))).toBe('invalid_block')
  const [first] = children
  if (first === undefined) throw new Error('there are children')
  for (const lie of [
    { count: 0, live: 0 },
    { count: 5, live: 6 },
    { last: '' },
    { last: 'x'.repeat(513) },
  ]) {
    expect(refusal(decodeNode, libraryBytes(branchValue([{ ...first, ...lie }], 1)))).toBe(
      'invalid_block',
    )
  }
})

test('a chain block with more weak links than there can be is refused', () => {
  const back = (count: number): unknown[] =>
    Array.from({ length: count }, (_, n) => cidOfText(String(n)))
  expect(refusal(decodeChainBlock, libraryBytes({ ...chain, back: back(256) }))).toBeUndefined()
  expect(refusal(decodeChainBlock, libraryBytes({ ...chain, back: back(257) }))).toBe(
    'invalid_block',
  )
})

test('a snapshot with impossible counts, or with a Link anywhere but in its root, is refused', () => {
  const wrongs: Value[] = [
    { live: 1001 },
    { chunk_count: 0 },
    { chunk_size: 63 },
    { chunk_size: 10_001 },
    { content: 'copied' },
    { tags: 'one' },
    { tags: [1] },
    { meta: [] },
    { meta: Buffer.from('bytes') },
    { meta: link() },
    { meta: { deep: [{ link: link() }] } },
    { meta: { bytes: Buffer.from('bytes') } },
    { meta: { big: 2n ** 60n } },
  ]
  for (const wrong of wrongs) {
    const code = refusal(decodeSnapshot, libraryBytes({ ...snapshot, ...wrong }))
    expect([wrong, code]).toEqual([wrong, 'invalid_block'])
  }
})

test('a kept list that is empty, too long or of other things is refused', () => {
  const page = (snapshots: unknown): Buffer => libraryBytes({ ...kept, snapshots })
  const [one] = kept['snapshots'] as Value[]
  for (const wrong of [
    [],
    Array.from({ length: 257 }, () => one),
    [null],
    [[]],
    [{}],
    [Buffer.from('x')],
    one,
  ]) {
    expect(refusal(decodeKeptPage, page(wrong))).toBe('invalid_block')
  }
  for (const field of Object.keys(one ?? {})) {
    const { [field]: _, ...others } = one ?? {}
    expect(refusal(decodeKeptPage, page([others]))).toBe('invalid_block')
    expect(refusal(decodeKeptPage, page([{ ...one, [field]: null }]))).toBe('invalid_block')
  }
  expect(refusal(decodeKeptPage, page([{ ...one, more: 1 }]))).toBe('invalid_block')
  expect(refusal(decodeKeptPage, page([{ ...one, live: 11 }]))).toBe('invalid_block')
})
