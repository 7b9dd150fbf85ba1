/** Files that are broken, or made to break a reader: each gets an error with a code. */
import { expect, test } from 'vitest'
import type { ErrorCode } from '../../src/errors.ts'
import { foreignKind } from '../../src/radish/foreign.ts'
import { fileName } from '../../src/radish/names.ts'
import { matchesGlob } from '../../src/util/glob.ts'
import { compareAge, type FileHeader } from '../../src/radish/format.ts'
import { peekHeader } from '../../src/radish/read-file.ts'
import { encodeJson } from '../../src/content/encode.ts'
import { expectRefused } from '../helpers/engine.ts'
import { oldFile, pieces, readBack } from './kit.ts'

const deep = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels)
const good = oldFile('{"a":1}')
const ours = (more: Record<string, unknown>): string =>
  oldFile('{"a":1}', { schema: 'cairn/radish@1', ...more })
const withSections = (data: string, sections: string, count = 1): string =>
  oldFile('{}', { item_count: count }).replace('"data": {}', `"data": ${data}, ${sections}`)

const CASES: readonly (readonly [string, string | Uint8Array, ErrorCode])[] = [
  ['nothing', '', 'invalid_content'],
  ['white space', ' \n ', 'invalid_content'],
  ['a list', '[]', 'invalid_content'],
  ['an empty object', '{}', 'invalid_content'],
  ['a file that ends', good.slice(0, -1), 'invalid_content'],
  ['one that ends in a text', good.slice(0, good.indexOf('named_') + 3), 'invalid_content'],
  ['one that goes on', `${good}{}`, 'invalid_content'],
  ['a comma too many', oldFile('{"a":1}').replace('{"a":1}', '{"a":1,}'), 'invalid_content'],
  ['a value that is none', oldFile('{"a":1}').replace('"a":1', '"a":'), 'invalid_content'],
  ['brackets that do not match', oldFile('{"a":1}').replace('"a":1', '"a":[1}'), 'invalid_content'],
  ['NaN', oldFile('{"a":1}').replace('"a":1', '"a":NaN'), 'invalid_content'],
  ['a type that there is not', oldFile('{"a":1}', { type: 'cache' }), 'invalid_content'],
  ['a named cache without a name', oldFile('{"a":1}', { cache_name: null }), 'invalid_content'],
  ['a name that is a number', oldFile('{"a":1}', { cache_name: 7 }), 'invalid_content'],
  ['a timestamp of another form', oldFile('{"a":1}', { timestamp: '2025' }), 'invalid_content'],
  ['a count that is wrong', oldFile('{"a":1}', { item_count: 2 }), 'invalid_content'],
  ['a count that is no number', oldFile('{"a":1}', { item_count: '1' }), 'invalid_content'],
  ['no data', oldFile('{"a":1}').replace('"data"', '"date"'), 'invalid_content'],
  ['data that is a list', oldFile('[]', { item_count: 0 }), 'invalid_content'],
  ['data twice', good.replace(/\}$/, ', "data": {}}'), 'invalid_content'],
  ['a type twice', good.replace(/\}$/, ', "type": "default_store"}'), 'invalid_content'],
  [
    'a key twice',
    oldFile('{}', { item_count: 2 }).replace('{}', '{"a":1,"a":2}'),
    'invalid_content',
  ],
  [
    'a key twice, written otherwise',
    oldFile('{}', { item_count: 2 }).replace('{}', '{"a":1,"\\u0061":2}'),
    'invalid_content',
  ],
  [
    'a key of a value twice',
    oldFile('{}', { item_count: 1 }).replace('{}', '{"a":{"b":1,"b":2}}'),
    'invalid_content',
  ],
  ['a value that is too deep', oldFile(`{"a":${deep(1001)}}`), 'invalid_content'],
  [
    'a value of brackets',
    oldFile('{"a":1}').replace('"a":1', `"a":${'['.repeat(1_000_000)}`),
    'invalid_content',
  ],
  [
    'a number that is too large',
    oldFile('{"a":1}').replace('"a":1', '"a":1e400'),
    'invalid_content',
  ],
  [
    'an integer beyond 64 bits',
    oldFile('{"a":1}').replace('"a":1', '"a":18446744073709551616'),
    'invalid_content',
  ],
  [
    'a million digits',
    oldFile('{"a":1}').replace('"a":1', `"a":${'9'.repeat(1_000_000)}`),
    'invalid_content',
  ],
  [
    'an integer beyond 2^53 beside "/"',
    oldFile('{"a":1}').replace('"a":1', '"a":{"/":9007199254740993}'),
    'invalid_content',
  ],
  ['half a character', oldFile('{"a":1}').replace('"a":1', '"a":"\\ud800"'), 'invalid_content'],
  [
    'half a character in a key',
    oldFile('{"a":1}').replace('"a":1', '"\\ud800":1'),
    'invalid_entry',
  ],
  [
    'a control character in a key',
    oldFile('{"a":1}').replace('"a":1', '"a\n":1'),
    'invalid_content',
  ],
  [
    'bytes that are no text',
    Buffer.from(oldFile('{"a":"!"}').replace('!', '\u00ff'), 'latin1'),
    'invalid_content',
  ],
  ['a key that is too long', oldFile(`{"${'k'.repeat(513)}":1}`), 'invalid_entry'],
  ['a key of megabytes', oldFile(`{"${'k'.repeat(1 << 20)}":1}`), 'too_large'],
  ['a value of megabytes', oldFile(`{"a":"${'x'.repeat(3 << 20)}"}`), 'too_large'],
  ['a field of megabytes', oldFile('{"a":1}', { datetime: 'x'.repeat(1 << 20) }), 'too_large'],
  [
    'fields without end',
    oldFile('{"a":1}', Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`f${i}`, i]))),
    'invalid_content',
  ],
  ['a newer format', ours({ schema: 'cairn/radish@2' }), 'format_unsupported'],
  ['a field that ours has not', ours({ expiry: {} }), 'invalid_content'],
  ['a life of nothing', ours({ ttl_ms: 0 }), 'invalid_content'],
  ['an expiry of no key', withSections('{"a":1}', '"expires": {"b": 5}'), 'invalid_content'],
  [
    'an expiry that is no time',
    withSections('{"a":1}', '"expires": {"a": "soon"}'),
    'invalid_content',
  ],
  [
    'an encoding that there is not',
    withSections('{"a":1}', '"encodings": {"a": "pickle"}'),
    'invalid_content',
  ],
  [
    'base64 that is none',
    withSections('{"a":"AA C"}', '"encodings": {"a": "base64"}'),
    'invalid_content',
  ],
  [
    'base64 of a number',
    withSections('{"a":1}', '"encodings": {"a": "base64"}'),
    'invalid_content',
  ],
  [
    'DAG-JSON that is none',
    withSections('{"a":{"/":"no link"}}', '"encodings": {"a": "dag-json"}'),
    'invalid_content',
  ],
  [
    'a block that is cut off',
    withSections('{"a":"gg=="}', '"encodings": {"a": "dag-cbor"}'),
    'invalid_content',
  ],
  [
    'a block that is too deep',
    withSections(
      `{"a":"${Buffer.alloc(99_999, 0x81).toString('base64')}"}`,
      '"encodings": {"a": "dag-cbor"}',
    ),
    'invalid_content',
  ],
  ['a pickle', Buffer.from('8004950a00000000000000', 'hex'), 'invalid_content'],
  ['a pickle of protocol 0', '(dp0\nVa\np1\nI1\ns.', 'invalid_content'],
  ['a pickled call', "cposix\nsystem\n(S'id'\ntR.", 'invalid_content'],
  ['a zip', 'PK\u0003\u0004', 'invalid_content'],
  ['something compressed', Buffer.from('1f8b0800', 'hex'), 'invalid_content'],
  ['UTF-16', Buffer.from(`\ufeff${good}`, 'utf16le'), 'invalid_content'],
]

test.each(CASES)('%s', async (_, file, code) => {
  const error = await expectRefused(readBack(file), code)
  const again = await expectRefused(readBack(file, { size: 7919 }), code)
  expect(again.message).toBe(error.message)
})

test('keys that mean something to programs are keys like others', async () => {
  const { items } = await readBack(
    oldFile('{}', { item_count: 3 }).replace(
      '{}',
      '{"__proto__":{"__proto__":{"x":1}},"constructor":1,"":2}',
    ),
  )
  expect(items.map(({ id }) => id)).toEqual(['map/m/', 'map/m/__proto__', 'map/m/constructor'])
  const proto = JSON.parse('{"__proto__":{"x":1}}') as unknown
  expect(items[1]?.content).toEqual({ block: encodeJson(proto) })
  expect(({} as Record<string, unknown>)['x']).toBeUndefined()
})

test('numbers and texts of an old file come in as they are', async () => {
  const data =
    '{"big":9007199254740993,"float":1.5,"slash":{"/":"text"},"digits":"1234567890123456","last":18446744073709551615}'
  const { items } = await readBack(
    oldFile('{}', { item_count: 5, more: 'of it' }).replace('{}', data),
  )
  const blocks = Object.fromEntries(items.map(({ id, content }) => [id.slice(6), content]))
  expect(blocks).toEqual({
    big: { block: encodeJson(9007199254740993n) },
    float: { block: encodeJson(1.5) },
    slash: { block: encodeJson({ '/': 'text' }) },
    digits: { block: encodeJson('1234567890123456') },
    last: { block: encodeJson(18446744073709551615n) },
  })
})

test('a peek stops where the file has said what it is, and passes over other JSON', async () => {
  let read = 0
  async function* counting(text: string): AsyncGenerator<Uint8Array> {
    for await (const part of pieces(Buffer.from(text), 256)) {
      read += part.length
      yield part
    }
  }
  const large = oldFile(`{"a":"${'x'.repeat(100_000)}"}`)
  expect(await peekHeader(counting(large))).toMatchObject({ cacheName: 'm' })
  expect(read).toBeLessThan(2000)
  for (const other of ['[]', '{}', '{"reason":"auto-save","node_count":47}', '7'])
    expect(await peekHeader(counting(other))).toBeUndefined()
  await expectRefused(peekHeader(counting('{"type":"other"}')), 'invalid_content')
})

test('the newer of two files is told by what is in them', () => {
  const of = (timestamp: string, datetime: string | null): FileHeader => ({
    type: 'named_cache',
    cacheName: 'm',
    timestamp,
    datetime,
    itemCount: 0,
    ttlMs: null,
  })
  const old = of('20251115_161118', '2025-11-15T16:11:18.027451')
  expect(compareAge(old, of('20251115_161119', null))).toBe(-1)
  expect(compareAge(old, of('20251115_161118', '2025-11-15T16:11:18.027450'))).toBe(1)
  expect(compareAge(old, { ...old })).toBe(0)
})

test('names of files hold what a file system takes, and no more than it takes', () => {
  const named = (cacheName: string | null, type: FileHeader['type'] = 'named_cache'): string =>
    fileName(
      { type, cacheName, timestamp: '20251115_161118', datetime: null, itemCount: 0, ttlMs: null },
      1,
    )
  expect(named('users')).toBe('cache_users_20251115_161118.json')
  expect(named(null, 'default_store')).toBe('default_store_20251115_161118.json')
  expect(named(null, 'expiring_store')).toBe('expiring_store_20251115_161118.json')
  expect(named('../../etc/passwd\u0000 x')).toBe('cache_.._.._etc_passwd__x_20251115_161118.json')
  expect(named('キャッシュ')).toBe('cache_キャッシュ_20251115_161118.json')
  expect(Buffer.byteLength(named('ü'.repeat(100)))).toBeLessThan(200)
})

test('globs', () => {
  for (const [glob, text, fits] of [
    ['*', '', true],
    ['users', 'users', true],
    ['users', 'users2', false],
    ['user*', 'users/ada', true],
    ['*~tmp*', 'a~tmp', true],
    ['?', '😀', true],
    ['a*b*c', 'aXbYbZc', true],
    ['a*b*c', 'aXbYbZ', false],
    ['[a]', 'a', false],
    ['.*', 'xx', false],
    [`${'*a'.repeat(30)}b`, 'a'.repeat(5000), false],
  ] as const)
    expect([glob, text, matchesGlob(glob, text)]).toEqual([glob, text, fits])
})

test('a pickle is told from JSON by its first bytes', () => {
  for (const protocol of [2, 3, 4, 5])
    expect(foreignKind(Uint8Array.of(0x80, protocol, 0x7d))?.name).toBe('pickle')
  for (const text of ['{}', ' {"a":1}', '[1]', '"(dp0"', '\n{'])
    expect(foreignKind(Buffer.from(text))).toBeUndefined()
})
