/** A map that is printed and read back is the same map, and an old reader understands its file. */
import { readFile as readDisk } from 'node:fs/promises'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { encodeJson } from '../../src/content/encode.ts'
import { DEFAULT_MAP, EXPIRING_MAP, mapRecord } from '../../src/live/layout.ts'
import { mapNameOf, recordOf } from '../../src/radish/format.ts'
import { printValue } from '../../src/radish/value.ts'
import { expected, printed, readBack, type Items } from './kit.ts'

const LAST = 9_000_000_000_000_000

const text = fc.string({ unit: 'binary' })
const odd = fc.constantFrom(
  '__proto__',
  'constructor',
  '/',
  '$bytes',
  '',
  'a/b',
  '"',
  '\\',
  '\u2028',
  '😀',
)
const key = fc.oneof(text, odd).filter((one) => one.isWellFormed() && Buffer.byteLength(one) < 200)
const leaf = fc.oneof(
  text,
  odd,
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc
    .bigInt({ min: -(2n ** 64n), max: 2n ** 64n - 1n })
    .filter((n) => n > 2n ** 53n || n < -(2n ** 53n)),
  fc.boolean(),
  fc.constant(null),
)
const json = fc.letrec((tie) => ({
  value: fc.oneof({ maxDepth: 4 }, leaf, tie('list'), tie('map')),
  list: fc.array(tie('value'), { maxLength: 4 }),
  map: fc.array(fc.tuple(key, tie('value')), { maxLength: 4 }).map((pairs) => {
    const map: Record<string, unknown> = {}
    for (const [name, value] of pairs)
      Object.defineProperty(map, name, {
        value,
        enumerable: true,
        configurable: true,
        writable: true,
      })
    return map
  }),
}))
const value = fc.oneof(
  json.value,
  fc.uint8Array({ maxLength: 50 }),
  fc.uint8Array({ maxLength: 9 }).map((bytes) => ({ nested: [bytes] })),
  fc.constant({ '/': { bytes: 'AAEC' } }),
  fc.constant({ '/': 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy' }),
  fc.constant({ link: CID.parse('bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy') }),
)
const exp = fc.oneof(fc.constant(null), fc.integer({ min: 0, max: LAST }))
const items: fc.Arbitrary<Items> = fc
  .array(fc.tuple(key, fc.record({ value, exp })), { maxLength: 12 })
  .map((pairs) => new Map(pairs))

test('any keys, values, bytes and expiries come back as they were, however the file arrives', async () => {
  await fc.assert(
    fc.asyncProperty(items, fc.integer({ min: 1, max: 64 }), async (map, size) => {
      const file = await printed('m', mapRecord('m', null), map)
      const { header, items: read } = await readBack(file, { size })
      expect(header).toMatchObject({ type: 'named_cache', cacheName: 'm', itemCount: map.size })
      expect(read).toEqual(expected('m', map))
    }),
    { numRuns: 300 },
  )
})

/** A whole number beyond 2^53 beside a member "/": neither JSON nor DAG-JSON can say it; the next test has one. */
function needsBlock(value: unknown): boolean {
  let [beyond, slash] = [false, false]
  JSON.stringify(value, (key, one: unknown) => {
    beyond ||= Number.isInteger(one) && !Number.isSafeInteger(one)
    slash ||= key === '/'
    return one
  })
  return beyond && slash
}

test('an old reader finds every key in data, and each plain value as it is', async () => {
  // -0 is 0 in DAG-CBOR.
  const plain = fc
    .dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }))
    .map((data) => JSON.parse(JSON.stringify(data)) as Record<string, unknown>)
    .filter((data) => !Object.values(data).some(needsBlock))
  await fc.assert(
    fc.asyncProperty(plain, async (data) => {
      const map = new Map(
        Object.entries(data).map(([name, one]) => [name, { value: one, exp: null }]),
      )
      const file = JSON.parse(await printed('m', mapRecord('m', null), map)) as Record<
        string,
        unknown
      >
      expect(file['data']).toEqual(data)
      expect(file['item_count']).toBe(Object.keys(data).length)
      expect(file).not.toHaveProperty('expires')
    }),
    { numRuns: 100 },
  )
})

test('what neither JSON nor DAG-JSON can say is the block itself', async () => {
  const map: Items = new Map([['k', { value: [2n ** 60n, { '/': 'x' }], exp: null }]])
  const file = await printed('m', mapRecord('m', null), map)
  expect(JSON.parse(file)).toMatchObject({ encodings: { k: 'dag-cbor' } })
  expect((await readBack(file)).items).toEqual(expected('m', map))
})

test('every kind of map comes back as what it was', async () => {
  const cases = [
    [DEFAULT_MAP, null, 'default_store'],
    [DEFAULT_MAP, 5, 'default_store'],
    [EXPIRING_MAP, null, 'expiring_store'],
    [EXPIRING_MAP, 60_000, 'expiring_store'],
    ['a_b/c', null, 'named_cache'],
    ['default_store', null, 'named_cache'],
    ['expiring', 1000, 'expiring_store'],
  ] as const
  for (const [name, ttl, type] of cases) {
    const record = mapRecord(name, ttl)
    const { header } = await readBack(await printed(name, record, new Map()))
    expect([header.type, mapNameOf(header)]).toEqual([type, name])
    expect(recordOf(name, header)).toEqual(record)
  }
})

test('the file has the shape of the old one, with what it lacked beside the data', async () => {
  const map: Items = new Map([
    ['plain', { value: { a: 1 }, exp: null }],
    ['bytes', { value: new Uint8Array([0, 1, 2]), exp: 1_800_000_000_000 }],
    ['deep', { value: { bytes: new Uint8Array([0, 1, 2]) }, exp: null }],
  ])
  expect(await printed('users', mapRecord('users', 60_000), map)).toBe(`{
  "type": "expiring_store",
  "cache_name": "users",
  "timestamp": "20251115_161118",
  "datetime": "2025-11-15T16:11:18.027000",
  "item_count": 3,
  "schema": "cairn/radish@1",
  "ttl_ms": 60000,
  "data": {
    "bytes": "AAEC",
    "deep": {"bytes":{"/":{"bytes":"AAEC"}}},
    "plain": {"a":1}
  },
  "expires": {
    "bytes": "2027-01-15T08:00:00.000Z"
  },
  "encodings": {
    "bytes": "base64",
    "deep": "dag-json"
  }
}
`)
})

test("the description's own example is read", async () => {
  const path = new URL(
    '../../fixtures/radish/cache_user_cache_20251115_161118.json',
    import.meta.url,
  )
  const { header, items: read } = await readBack(await readDisk(path), { map: 'user_cache' })
  expect(header).toEqual({
    type: 'named_cache',
    cacheName: 'user_cache',
    timestamp: '20251115_161118',
    datetime: '2025-11-15T16:11:18.027451',
    itemCount: 3,
    ttlMs: null,
  })
  expect(read.map(({ id }) => id)).toEqual(
    ['user:1', 'user:2', 'user:3'].map((one) => `map/user_cache/${one}`),
  )
  expect(read[0]?.content).toEqual({ block: encodeJson('alice@example.com') })
})

test('what JSON cannot say of a value without loss is refused', () => {
  // 1.0 as a float, which some other program wrote: Cairn would make the integer 1 of it.
  const float = Buffer.from('fb3ff0000000000000', 'hex')
  const { cid } = encodeJson(1)
  expect(printValue(cid, 1).text).toBe('1')
  expect(() => printValue(encodeJson(new Uint8Array(float)).cid, 1)).toThrow(
    'cannot be said in JSON',
  )
})
