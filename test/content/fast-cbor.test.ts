/** Values as DAG-CBOR: the very bytes of the library, by the fast path where they are plain, and its refusals. */
import { runInNewContext } from 'node:vm'
import * as dagCbor from '@ipld/dag-cbor'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { beforeEach, expect, test, vi } from 'vitest'
import { encodeJson } from '../../src/content/encode.ts'
import { encodePlain } from '../../src/content/fast-cbor.ts'
import { isCairnError } from '../../src/errors.ts'
import { rawCidOf } from '../../src/model/cid.ts'
import { MAX_BLOCK_BYTES } from '../../src/model/node.ts'

beforeEach(() => {
  // The library says so when two keys that are not Unicode become the same.
  vi.spyOn(console, 'warn').mockImplementation(() => undefined)
})

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** What encoding a value gives: its bytes, or what the refusal says. */
function outcomeOf(encode: () => Uint8Array): string {
  try {
    return hex(encode())
  } catch (error) {
    if (!isCairnError(error)) throw error
    return `${error.code}: ${error.message}`
  }
}

const ours = (value: unknown): string => outcomeOf(() => encodeJson(value).bytes)

/** The same by the library alone. */
function theirs(value: unknown): string {
  let bytes: Uint8Array
  try {
    bytes = dagCbor.encode(value)
  } catch (error) {
    const message = error instanceof Error ? error.message.slice(0, 200) : 'unknown reason'
    return `invalid_content: A value cannot be stored: ${message}.`
  }
  if (bytes.length > MAX_BLOCK_BYTES)
    return `too_large: A JSON value of ${bytes.length} bytes does not fit one block.`
  return hex(bytes).includes('efbfbd') && hasLoneSurrogate(value)
    ? 'invalid_content: A value cannot be stored: a text in it is not Unicode.'
    : hex(bytes)
}

function hasLoneSurrogate(value: unknown): boolean {
  if (typeof value === 'string') return !value.isWellFormed()
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return false
  return Object.entries(value).flat().some(hasLoneSurrogate)
}

function expectSame(value: unknown, isPlain?: boolean): void {
  expect(ours(value)).toBe(theirs(value))
  const plain = encodePlain(value)
  if (isPlain !== undefined) expect(plain !== undefined, 'by the fast path').toBe(isPlain)
  if (plain !== undefined) expect(hex(plain)).toBe(hex(dagCbor.encode(value)))
}

/** Letters of each length in UTF-8; those above U+FFFF come before U+E000 in UTF-16, behind it in UTF-8. */
const LETTERS = ['', 'a', 'b', 'Z', '0', '\u0000', '\u007f', '\u0080', 'é', '\u07ff', '\u0800']
const WIDE = ['日', '\ud7ff', '\ue000', '\ufffd', '\uffff', '\u{10000}', '\u{1f600}', '\u{10ffff}']

const text = fc.oneof(
  fc.string({ unit: fc.constantFrom(...LETTERS, ...WIDE), maxLength: 60 }),
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.string({ maxLength: 80 }),
)

/** Names that objects give a meaning to, and which this code must not. */
const NAMES = [
  '__proto__',
  'toJSON',
  'length',
  'bytes',
  'valueOf',
  'hasOwnProperty',
  '0',
  '10',
  '9',
]
const key = fc.oneof(text, fc.constantFrom(...NAMES)).filter((one) => !TAKEN.has(one))
const TAKEN = new Set(['/', 'asCID', 'constructor'])

const BORDERS = [0, 23, 24, 255, 256, 65_535, 65_536, 2 ** 31, 2 ** 32, 2 ** 53].flatMap((n) =>
  [n - 1, n, n + 1, n + 0.5].flatMap((one) => [one, -one]),
)

const number = fc.oneof(
  fc.constantFrom(...BORDERS, Number.MAX_VALUE, Number.MIN_VALUE, 1e21, -1e-7),
  fc.maxSafeInteger(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
)

const { plainValue } = fc.letrec<{ plainValue: unknown }>((tie) => ({
  plainValue: fc.oneof(
    { depthSize: 'small', maxDepth: 6 },
    fc.oneof(text, number, fc.boolean(), fc.constant(null), fc.uint8Array({ maxLength: 300 })),
    fc.array(tie('plainValue'), { maxLength: 12 }),
    fc.dictionary(key, tie('plainValue'), { maxKeys: 15, noNullPrototype: true }),
  ),
}))

test('plain values have the bytes of the library, and take the fast path', () => {
  fc.assert(
    fc.property(plainValue, (value) => expectSame(value, true)),
    { numRuns: 800 },
  )
})

test('JSON as it is parsed takes the fast path, whatever its keys are', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 8 }), (json) => expectSame(JSON.parse(json))),
    { numRuns: 500 },
  )
  const parsed = '{"__proto__":{"a":1},"toJSON":2,"10":3,"9":4,"":5,"hasOwnProperty":6}'
  expectSame(JSON.parse(parsed), true)
})

test('whatever else is handed in is written or refused as the library does', () => {
  const anything = fc.anything({
    key: fc.oneof(key, fc.constantFrom(...TAKEN), fc.string({ unit: 'binary' })),
    values: [text, number, fc.string({ unit: 'binary' }), fc.constantFrom(NaN, Infinity), loose()],
    maxDepth: 4,
    withBigInt: true,
    withBoxedValues: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withNullPrototype: true,
    withObjectString: true,
    withSparseArray: true,
    withTypedArray: true,
  })
  fc.assert(
    fc.property(anything, (value) => expectSame(value)),
    { numRuns: 2000 },
  )
})

/** Texts with half of a surrogate pair. */
function loose(): fc.Arbitrary<string> {
  const unit = fc.constantFrom('a', 'é', '\ud800', '\udc00', '\udfff')
  return fc.string({ unit, maxLength: 50 })
}

test('numbers about the borders of their heads', () => {
  for (const n of BORDERS) {
    expectSame(n, true)
    expectSame([n, { n }], true)
  }
})

test('integers end where numbers are no longer exact, and floats have 64 bits', () => {
  expect(ours(2 ** 53 - 1)).toBe('1b001fffffffffffff')
  expect(ours(2 ** 53)).toBe('fb4340000000000000')
  expect(ours(-(2 ** 53 - 1))).toBe('3b001ffffffffffffe')
  expect(ours(-0)).toBe('00')
  expect(ours(0.5)).toBe('fb3fe0000000000000')
})

test('texts of every length about the borders of their heads', () => {
  for (const letter of ['x', 'é', '日', '\u{1f600}'])
    for (const length of [...range(0, 130), ...range(250, 260), ...range(65_530, 65_540)])
      expectSame(letter.repeat(length), true)
})

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, i) => from + i)

test('lists, maps and bytes of every length about the borders of their heads', () => {
  for (const length of [0, 1, 23, 24, 63, 64, 65, 255, 256, 3000]) {
    expectSame(
      Array.from({ length }, (_, i) => i),
      true,
    )
    expectSame(Object.fromEntries(range(0, length).map((i) => [`k${i * 7919}`, i])), true)
    expectSame(new Uint8Array(length).fill(7), true)
    expectSame(Buffer.alloc(length, 8), true)
  }
})

test('keys are sorted whatever order they are given in, also when orders are remembered', () => {
  const keys = fc.uniqueArray(key, { minLength: 2, maxLength: 70 })
  fc.assert(
    fc.property(
      keys.chain((one) => fc.tuple(fc.shuffledSubarray(one), fc.shuffledSubarray(one))),
      ([some, others]) => {
        const mapOf = (names: readonly string[]): unknown =>
          Object.fromEntries(names.map((name, i) => [name, i]))
        const both = [mapOf(some), mapOf(others), mapOf(some.toReversed()), mapOf(some)]
        for (const one of both) expectSame(one, true)
        expectSame(both, true)
      },
    ),
    { numRuns: 300 },
  )
})

test('many sets of keys, alike at first sight, are told from each other', () => {
  const letters = 'abcdefghijklmnopqrstuvwxyz'.split('')
  const maps = letters.flatMap((a) => letters.map((b) => ({ key: 1, [`a${b}`]: 2, [`b${a}`]: 3 })))
  for (const map of [...maps, ...maps.toReversed()]) expectSame(map, true)
})

test('what fits a block takes the fast path, and what does not is refused with its size', () => {
  const head = 5
  for (const size of [MAX_BLOCK_BYTES - 1, MAX_BLOCK_BYTES]) {
    expectSame('x'.repeat(size - head), true)
    expectSame(new Uint8Array(size - head), true)
  }
  const kib = 'y'.repeat(1024)
  for (const value of [
    'x'.repeat(MAX_BLOCK_BYTES - head + 1),
    new Uint8Array(MAX_BLOCK_BYTES - head + 1),
    Array.from({ length: 1100 }, () => ({ kib })),
    Object.fromEntries(range(0, 1100).map((i) => [`${kib}${i}`, 0.5])),
    Array.from({ length: MAX_BLOCK_BYTES - 2 }, () => true),
  ])
    expectSame(value, false)
  expectSame({ a: 1 }, true)
})

test('a value that outgrows the buffer while it is written is whole', async () => {
  for (const size of [100, 20_000, 40_000]) {
    vi.resetModules()
    // A buffer that has not grown yet.
    const fresh = await import('../../src/content/fast-cbor.ts')
    const value = range(0, 500_000 / size).map((i) => ({ i, text: `${i}é`.repeat(size / 4) }))
    expect(hex(fresh.encodePlain(value) ?? new Uint8Array())).toBe(hex(dagCbor.encode(value)))
  }
})

test('the bytes of one value are not touched by the next', () => {
  const first = encodeJson({ a: 'first' }).bytes
  const copy = hex(first)
  encodeJson({ a: 'other' })
  expect(hex(first)).toBe(copy)
  expect(first.constructor).toBe(Uint8Array)
})

const cid = CID.decode(rawCidOf(Uint8Array.of(1)))
function nested(depth: number): unknown {
  let value: unknown = 1
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { a: value }
  return value
}

const cycle: { self?: unknown } = {}
cycle.self = [cycle]
const { code, multihash } = cid
const itself = { version: 1, code, multihash: { bytes: multihash.bytes }, bytes: cid.bytes }
Object.defineProperty(itself, 'asCID', { value: itself })
const shared = { a: [1, 2] }

class Point {
  readonly x = 1
  toJSON(): string {
    return 'a point'
  }
}

class List extends Array<number> {}

/** A list that says it holds other things than it does. */
const otherList = Object.assign([1, 2], {
  *[Symbol.iterator]() {
    yield* ['a', 'b']
  },
})

test.each<[string, () => unknown, boolean]>([
  ['a value that is in two places', () => [shared, shared, { shared }], true],
  ['a depth that is usual', () => nested(64), true],
  ['a greater depth', () => nested(65), false],
  ['a depth that the library refuses', () => nested(20_000), false],
  ['a cycle', () => cycle, false],
  ['a CID', () => cid, false],
  ['a CID deep inside', () => ({ a: [{ b: cid }] }), false],
  ['a CID of another copy of its library', () => [itself], false],
  ['what looks like one', () => ({ '/': 'x', bytes: 'x' }), false],
  ['a link as JSON has it', () => ({ '/': 'bafkqaaa' }), false],
  [
    'a CID of an old version',
    () => [
      {
        [Symbol.for('@ipld/js-cid/CID')]: true,
        version: 1,
        code: 0x55,
        multihash: cid.multihash.bytes,
      },
    ],
    false,
  ],
  ['an instance of a class', () => [new Point()], false],
  ['an object with a toJSON', () => ({ toJSON: 1 }), true],
  ['an object with a constructor', () => ({ constructor: 'x', a: 1 }), false],
  [
    'an object that says it is a map',
    () => ({ constructor: 1, [Symbol.toStringTag]: 'Map' }),
    false,
  ],
  [
    'an object without a prototype',
    () => Object.assign(Object.create(null), { b: 1, a: 2 }),
    false,
  ],
  ['an object of another realm', () => runInNewContext('({ b: [1], a: 2 })'), false],
  ['symbols as keys, which are passed over', () => ({ a: 1, [Symbol('s')]: 2 }), true],
  ['what cannot be enumerated', () => Object.defineProperty({ a: 1 }, 'b', { value: 2 }), true],
  [
    'a map',
    () =>
      new Map([
        ['b', 1],
        ['a', 2],
      ]),
    false,
  ],
  ['a map with other keys', () => new Map([[1, 1]]), false],
  ['a list of a class of its own', () => List.of(1, 2, 3), false],
  ['a list with other contents', () => otherList, false],
  ['a list with more than its items', () => Object.assign([1, 2], { more: 3 }), true],
  // eslint-disable-next-line no-sparse-arrays -- what is meant
  ['a list with a gap', () => [1, , 2], false],
  ['undefined', () => undefined, false],
  ['undefined in a map', () => ({ a: undefined }), false],
  ['undefined under a slash', () => ({ '/': undefined }), false],
  ['undefined in a list', () => [undefined], false],
  ['a function', () => ({ a: () => 1 }), false],
  ['a symbol', () => [Symbol('s')], false],
  ['NaN', () => [NaN], false],
  ['an infinity', () => ({ a: -Infinity }), false],
  ['a date', () => new Date(0), false],
  ['an integer beyond 2^53', () => [2n ** 60n, -(2n ** 60n)], false],
  ['one beyond 2^64', () => 2n ** 64n, false],
  ['numbers of 16 bits', () => [Uint16Array.of(1, 2)], false],
  ['a buffer', () => [Buffer.from('abc'), Uint8Array.of(1, 2).subarray(1)], true],
  ['half of a pair', () => ['a\ud800b'], false],
  ['half of a pair in a long text', () => ['\udc00'.padStart(300, 'é')], false],
  ['half of a pair as a key', () => ({ '\ud800': 1 }), false],
  ['two keys that would become the same', () => ({ '\ud800': 1, '\udbff': 2 }), false],
  ['the sign that stands for it', () => ['\ufffd', { '\ufffd': 1 }], true],
])('%s', (_, make, isPlain) => {
  const value = make()
  expectSame(value, isPlain)
  expectSame({ after: [value] })
})

test('a getter that throws is told, and one that encodes meanwhile harms nothing', () => {
  const throwing = {
    get a(): number {
      throw new Error('not now')
    },
  }
  expectSame({ a: 1 }, true)
  expect(ours([throwing])).toBe('invalid_content: A value cannot be stored: not now.')
  const inner = { long: 'x'.repeat(1000) }
  const encoding = {
    first: 'f'.repeat(100),
    get second(): string {
      return hex(encodeJson(inner).bytes)
    },
  }
  const { first } = encoding
  expect(ours([first, encoding])).toBe(theirs([first, { first, second: theirs(inner) }]))
  expectSame({ a: 1 }, true)
})

test('a proxy is read as what it stands for', () => {
  expectSame(new Proxy({ b: 1, a: [new Proxy([1, 2], {})] }, {}), true)
  const twoFaced = new Proxy({ a: 1 }, { get: (_, name) => (name === 'a' ? 2 : Object) })
  expectSame(twoFaced)
})
