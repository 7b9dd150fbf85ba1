/**
 * Values that a source gives, or `setAll`, are kept as bytes and copied only for readers. Invariant: nobody can tell. A map
 * that was given values so takes, refuses, shows and keeps the same as one that was given them by `set`.
 */
import fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import { LiveMap, type MapChange, type MapOwner } from '../../src/live/map.ts'
import { MapState, type Pending } from '../../src/live/map-state.ts'
import type { Schema } from '../../src/live/schema.ts'
import { encodePlain } from '../../src/content/fast-cbor.ts'
import { frozenCopy } from '../../src/live/value.ts'
import { expectRefused } from '../helpers/engine.ts'
import { liveStore } from '../helpers/live.ts'

/** A map without a store: what it hands over counts as durable at once. */
function loose(schema?: Schema<unknown>): { readonly map: LiveMap; readonly handed: Pending[] } {
  const state = new MapState(() => 0)
  const handed: Pending[] = []
  const owner: MapOwner = {
    write(writes) {
      handed.push(...writes)
      for (const one of writes) state.written(one, handed.length)
      return Promise.resolve()
    },
    flush: () => Promise.resolve(),
    onListenerError() {},
    onExpiry() {},
  }
  return {
    map: new LiveMap({ name: 'm', kind: 'named', ttl: null }, state, owner, schema),
    handed,
  }
}

async function outcomeOf(write: (map: LiveMap) => Promise<unknown>): Promise<unknown> {
  const { map } = loose()
  try {
    await write(map)
    return { value: map.get('k'), isFrozen: Object.isFrozen(map.get('k')) }
  } catch (error) {
    return String(error)
  }
}

const odd = fc.constantFrom<unknown>(
  -0,
  NaN,
  Infinity,
  2 ** 53,
  1e300,
  1n,
  undefined,
  new Date(0),
  () => 1,
  Uint8Array.of(1),
  Buffer.of(2),
  '\ud800',
  '\ufefftext',
  { '\ufeffid': 1, id: 2 },
  Object.create(null),
  JSON.parse('{"__proto__": 1}'),
  { '/': 'text' },
  { '/': { bytes: 'AQ' } },
  { constructor: 1 },
  Object.assign([1, 2], { more: 3 }),
  Array.from({ length: 2 }),
)

const value = fc.letrec<{ any: unknown }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 4 },
    fc.jsonValue(),
    odd,
    fc.array(tie('any'), { maxLength: 4 }),
    fc.dictionary(fc.oneof(fc.string(), fc.constant('__proto__')), tie('any'), { maxKeys: 4 }),
  ),
})).any

test.each(['replaceAll', 'setAll'] as const)(
  'what %s is given is taken, refused and shown as what is set',
  async (way) => {
    await fc.assert(
      fc.asyncProperty(value, async (given) => {
        const captured = await outcomeOf((map) => map[way](new Map([['k', given]])))
        expect(captured).toEqual(await outcomeOf((map) => map.set('k', given)))
      }),
      { numRuns: 2000 },
    )
  },
)

test('what setAll is given is written, the same or not, and copied for nobody', async () => {
  const { map, handed } = loose()
  for (let i = 0; i < 2; i++) await map.setAll({ a: { n: 1 }, b: Uint8Array.of(1) })
  expect(handed.map(({ key, item }) => [key, item?.encoded !== undefined])).toEqual([
    ['a', true],
    ['b', false],
    ['a', true],
    ['b', false],
  ])
  expect(map.get('a')).toEqual({ n: 1 })
  // It is at hand now, so the next capture has something to compare with.
  expect(await map.replaceAll({ a: { n: 1 }, b: Uint8Array.of(1) })).toBe(0)
})

/** What a map takes: no member `__proto__`. */
const json = fc.jsonValue().filter((one) => !JSON.stringify(one).includes('__proto__'))

test('captures one after another write what differs and nothing else, read in between or not', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(json, fc.boolean()), { minLength: 1, maxLength: 8 }),
      async (steps) => {
        const { map, handed } = loose()
        let before: string | undefined
        let count = 0
        for (const [given, isRead] of steps) {
          // The same again, made anew: equal is what JSON says is.
          const again: unknown = JSON.parse(JSON.stringify(given))
          await map.replaceAll(new Map([['k', given]]))
          await map.replaceAll(new Map([['k', again]]))
          await map.replaceAll(new Map([['k', again]]))
          const text = canonical(given)
          if (text !== before) count += 1
          before = text
          expect(handed).toHaveLength(count)
          if (isRead) expect(canonical(map.get('k'))).toBe(text)
        }
      },
    ),
  )
})

/** JSON with keys in one order. */
const canonical = (given: unknown): string =>
  JSON.stringify(given, (_, one: unknown) =>
    typeof one === 'object' && one !== null && !Array.isArray(one)
      ? Object.fromEntries(Object.entries(one).sort(([a], [b]) => (a < b ? -1 : 1)))
      : one,
  )

test.each([
  ['a member that is undefined', { a: 1, b: undefined }],
  ['no prototype', Object.assign(Object.create(null) as object, { a: 1 })],
])('what is the same with %s is not written', async (_, same) => {
  for (const isRead of [false, true]) {
    const { map } = loose()
    await map.replaceAll({ k: { a: 1 } })
    if (isRead) map.get('k')
    expect(await map.replaceAll({ k: same })).toBe(0)
  }
})

test.each(['{"__proto__": {}}', '{"__proto__": 1}'])(
  'in the place of another value, %s is refused, too',
  async (json) => {
    const { map } = loose()
    await map.set('k', { a: 1 })
    const given: unknown = JSON.parse(json)
    await expectRefused(map.replaceAll({ k: given }), 'invalid_content')
    const inherited = { constructor: Object }
    await expectRefused(map.replaceAll({ k: inherited }), 'invalid_content')
  },
)

test('of a value with a getter the first reading counts, in memory as in the store', async () => {
  const { map } = loose()
  let at = 100
  const ticking = {
    get at() {
      return Math.floor(at++ / 2)
    },
  }
  expect(await map.replaceAll({ k: ticking })).toBe(1)
  // It says the same once more; when the copy is made it would say 51.
  expect(await map.replaceAll({ k: ticking })).toBe(0)
  expect(at).toBe(103)
  expect(map.get('k')).toEqual({ at: 50 })
})

test('what a schema makes of a value is compared, heard or not', async () => {
  const schema: Schema<{ a: number; b?: number }> = {
    '~standard': {
      validate: (given) => ({ value: { b: 0, ...(given as { a: number }) } }),
    },
  }
  for (const isHeard of [false, true]) {
    const { map } = loose(schema)
    if (isHeard) map.onChange(() => {})
    const written = []
    for (let i = 0; i < 4; i++) written.push(await map.replaceAll({ k: { a: 1 } }))
    expect(written).toEqual([1, 0, 0, 0])
  }
})

/** Values that are much like each other, with what could be taken for a part that is not there. */
const alike = fc.letrec<{ any: unknown }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom<unknown>(0, 1, 0.5, 'a', '', null, true, [], {}, Uint8Array.of(1)),
    fc.array(tie('any'), { maxLength: 3 }),
    fc
      .array(fc.tuple(fc.constantFrom('a', 'b', '0', 'length', 'constructor'), tie('any')), {
        maxLength: 4,
      })
      .map((members) => Object.fromEntries(members)),
  ),
})).any

const isFrozenWhole = (value: unknown): boolean =>
  typeof value !== 'object' ||
  value === null ||
  value instanceof Uint8Array ||
  (Object.isFrozen(value) && Object.values(value).every(isFrozenWhole))

/** With the order of keys, and apart what JSON does not. */
const shown = (value: unknown): string =>
  value instanceof Uint8Array ? `bytes ${String(value)}` : JSON.stringify(value)

test('a copy that shares parts with another is the copy that it would be alone', () => {
  const copied = (value: unknown, like?: unknown): unknown => {
    try {
      return frozenCopy(value, like).value
    } catch (error) {
      return String(error)
    }
  }
  fc.assert(
    fc.property(alike, alike, (first, second) => {
      const like = copied(first)
      const copy = copied(second, like)
      expect(shown(copy)).toBe(shown(copied(second)))
      expect(copy).toEqual(copied(second))
      expect(isFrozenWhole(copy)).toBe(true)
      if (typeof second === 'object' && second !== null) expect(copy).not.toBe(second)
    }),
    { numRuns: 3000 },
  )
})

test('of what many values have in common one copy is kept', async () => {
  const { map } = loose()
  const objects = (): Map<string, unknown> =>
    new Map(
      Array.from({ length: 3 }, (_, id) => [`${id}`, { id, at: [id, 0], scale: [1, 1, 0.5] }]),
    )
  // The second time they are found as they were, and copied.
  for (let i = 0; i < 2; i++) await map.replaceAll(objects())
  const [first, ...others] = [...map.values()] as { at: unknown; scale: unknown }[]
  for (const { at, scale } of others) {
    expect(scale).toBe(first?.scale)
    expect(at).not.toBe(first?.at)
  }
  expect(Object.fromEntries(map)).toEqual(Object.fromEntries(objects()))
})

test('values that are equal are two all the same, and bytes in between make no difference', async () => {
  const { map } = loose()
  await map.set('a', { at: [1] })
  await map.set('bytes', new Uint8Array(1000))
  await map.set('b', { at: [1] })
  const [a, b] = [map.get('a'), map.get('b')] as { at: unknown }[]
  expect(a).not.toBe(b)
  expect(a?.at).toBe(b?.at)
})

test('what all objects inherit is no part of a value', async () => {
  const inherited: unknown[] = ['x']
  Object.defineProperty(Object.prototype, 'cairnTags', {
    value: inherited,
    configurable: true,
    writable: true,
  })
  onTestFinished(() => void Reflect.deleteProperty(Object.prototype, 'cairnTags'))
  const { map } = loose()
  for (const key of ['a', 'b']) {
    await map.set(key, { in: { cairnTags: ['x'] } })
    const { in: part } = map.get(key) as { in: { cairnTags: unknown } }
    expect(part.cairnTags).not.toBe(inherited)
    expect(Object.isFrozen(part.cairnTags)).toBe(true)
  }
})

test('small values keep no memory that was made for large ones', () => {
  const small: Uint8Array[] = []
  for (let i = 0; i < 20; i++) {
    encodePlain('x'.repeat(500_000))
    const bytes = encodePlain('abc')
    if (bytes !== undefined) small.push(bytes)
  }
  expect(small).toHaveLength(20)
  for (const { buffer } of small) expect(buffer.byteLength).toBeLessThan(1 << 16)
})

test('what was captured is of that moment, whatever the program does with its objects', async () => {
  const store = liveStore()
  const cairn = store.open()
  const map = await cairn.map<{ n: number; list: number[] }>('scene')
  const object = { n: 1, list: [1] }
  const written = map.replaceAll({ a: object, b: { n: 2, list: [] } })
  object.n = 99
  object.list.push(99)
  await written
  expect(map.get('a')).toEqual({ n: 1, list: [1] })
  expect(() => map.get('a')?.list.push(2)).toThrow(TypeError)
  expect(await map.replaceAll({ a: { n: 1, list: [1] }, b: { n: 2, list: [] } })).toBe(0)
  expect(await map.replaceAll({ a: object, b: { n: 2, list: [] } })).toBe(1)
  await cairn.close()
  const again = store.open()
  onTestFinished(() => again.close())
  const kept = await again.map('scene')
  expect([...kept]).toEqual([
    ['a', { n: 99, list: [1, 99] }],
    ['b', { n: 2, list: [] }],
  ])
})

test('who listens is told values, also those that were captured before he came', async () => {
  const { map } = loose()
  await map.replaceAll({ a: { n: 1 }, b: { n: 2 }, c: { n: 3 } })
  const told: MapChange<unknown>[] = []
  map.onChange((change) => told.push(change))
  await map.replaceAll({ a: { n: 1 }, b: { n: 20 } })
  expect(told).toEqual([
    { key: 'b', value: { n: 20 }, previous: { n: 2 }, origin: 'local' },
    { key: 'c', value: undefined, previous: { n: 3 }, origin: 'local' },
  ])
})
