/** `cairn export --layout radish` and `cairn import --layout radish`, through the real program. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { openCairn } from '../../src/compose.ts'
import { itemId, mapRecord, recordId } from '../../src/live/layout.ts'
import { ndjson, Sandbox } from './sandbox.ts'

const FIXTURE = fileURLToPath(
  new URL('../../fixtures/radish/cache_user_cache_20251115_161118.json', import.meta.url),
)
const DAY = 86_400_000

let box: Sandbox
let round = 0
/** A store of each test's own. */
let store: string

beforeAll(async () => {
  box = await Sandbox.make()
})

afterAll(() => box.remove())

beforeEach(() => {
  round += 1
  store = `lmdb:store-${round}`
})

interface Item {
  readonly value: unknown
  readonly exp?: number
}

type Maps = Readonly<
  Record<string, { readonly ttl?: number; readonly items: Readonly<Record<string, Item>> }>
>

/** Maps in the dataset, as a program would have them there. */
async function fill(maps: Maps): Promise<void> {
  const cairn = await openCairn(`lmdb:${box.path(store.slice(5))}`, { create: true })
  try {
    const { dataset } = await cairn.init('main', {})
    for (const [name, { ttl = null, items }] of Object.entries(maps)) {
      await dataset.put(recordId(name), mapRecord(name, ttl))
      for (const [key, { value, exp }] of Object.entries(items))
        await dataset.put(itemId(name, key), value, exp === undefined ? {} : { exp })
    }
  } finally {
    await cairn.close()
  }
}

/** All of a store's maps and records: ids, CIDs and expiries. */
async function content(of = store): Promise<Record<string, unknown>[]> {
  const lines = ndjson(await box.ok(['export', '--store', of]))
  return lines.filter(({ tip }) => tip !== null).map(({ pi, tip, exp }) => ({ pi, tip, exp }))
}

const exported = async (folder: string, ...more: string[]): Promise<Record<string, unknown>[]> => {
  const { files } = await box.json([
    'export',
    '--layout',
    'radish',
    '--out',
    folder,
    '--store',
    store,
    ...more,
  ])
  return files as Record<string, unknown>[]
}

const json = async (path: string): Promise<Record<string, unknown>> =>
  JSON.parse(await readFile(box.path(path), 'utf8')) as Record<string, unknown>

const imported = (paths: readonly string[], ...more: string[]): Promise<Record<string, unknown>> =>
  box.json(['import', '--layout', 'radish', ...paths, '--store', store, ...more])

const SCENE: Maps = {
  users: { items: { ada: { value: { age: 36 } }, __proto__x: { value: [1.5, null] } } },
  'a/b_c % d': { items: { 'k/1': { value: 'text' }, bytes: { value: new Uint8Array([0, 255]) } } },
  '~default': { items: { big: { value: Buffer.alloc(2 << 20, 7) } } },
  '~expiring': { items: { code: { value: 7, exp: Date.now() + DAY } } },
  tokens: { ttl: 60_000, items: { t: { value: { '/': 'x' }, exp: Date.now() + DAY } } },
  empty: { items: {} },
}

test('every kind of map goes into a file of its own and comes back the same in another store', async () => {
  await fill(SCENE)
  const files = await exported('all')
  const shown = Object.fromEntries(
    files.map(({ map, type, item_count }) => [map, [type, item_count]]),
  )
  expect(shown).toEqual({
    users: ['named_cache', 2],
    'a/b_c % d': ['named_cache', 2],
    '~default': ['default_store', 1],
    '~expiring': ['expiring_store', 1],
    tokens: ['expiring_store', 1],
    empty: ['named_cache', 0],
  })
  const names = files.map(({ file }) => String(file).replace(/\d{8}_\d{6}/, 'TS'))
  expect(names.toSorted()).toEqual([
    'all/cache_a_b_c___d_TS.json',
    'all/cache_empty_TS.json',
    'all/cache_tokens_TS.json',
    'all/cache_users_TS.json',
    'all/default_store_TS.json',
    'all/expiring_store_TS.json',
  ])
  expect((await readdir(box.path('all'))).length).toBe(6)
  const users = await json(String(files.find(({ map }) => map === 'users')?.['file']))
  expect(users).toEqual({
    type: 'named_cache',
    cache_name: 'users',
    timestamp: expect.stringMatching(/^\d{8}_\d{6}$/),
    datetime: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/),
    item_count: 2,
    schema: 'cairn/radish@1',
    data: { ada: { age: 36 }, __proto__x: [1.5, null] },
  })
  const first = await content()
  store = `${store}-copy`
  expect(await imported(['all'])).toMatchObject({ status: 'imported', way: 'batch' })
  expect(await content()).toEqual(first)
  expect((await box.json(['status', '--store', store]))['recent_count']).toBe(first.length)
  expect(await imported(['all'])).toMatchObject({ way: 'nothing' })
})

test("the old system's file comes in, whatever its name", async () => {
  const path = box.path('cache_of_what_1.json')
  await copyFile(FIXTURE, path)
  expect(await imported([path])).toMatchObject({
    maps: [{ map: 'user_cache', type: 'named_cache', item_count: 3, written: 3, expired: 0 }],
  })
  expect(await box.ok(['cat', 'map/user_cache/user:1', '--store', store])).toContain(
    'alice@example.com',
  )
  const [file] = await exported('old-again')
  const [before, after] = [
    await json(path.slice(box.path().length + 1)),
    await json(String(file?.['file'])),
  ]
  for (const field of ['type', 'cache_name', 'item_count', 'data'])
    expect(after[field]).toEqual(before[field])
})

test('two exports in one second stand beside each other, and globs choose maps', async () => {
  await fill({
    'u/x': { items: { a: { value: 1 } } },
    'u:x': { items: { a: { value: 2 } } },
    tmp: { items: {} },
  })
  const args = ['export', '--layout', 'radish', '--out', 'beside', '--store', store, '--map', 'u*']
  const runs = await Promise.all([box.ok(args), box.ok(args), box.ok(args)])
  const paths = runs.flatMap((out) => out.trim().split('\n'))
  expect(new Set(paths).size).toBe(6)
  expect((await readdir(box.path('beside'))).length).toBe(6)
  for (const path of paths) expect(['u/x', 'u:x']).toContain((await json(path))['cache_name'])
  expect((await exported('without', '--exclude', 'u?x')).map(({ map }) => map)).toEqual(['tmp'])
  const none = await box.fails([...args.slice(0, -1), 'nothing*'])
  expect(none).toMatchObject({
    exit: 10,
    code: 'not_found',
    message: expect.stringContaining('no such map'),
  })
})

test('an export that fails leaves the folder as it was', async () => {
  await fill({ a: { items: { k: { value: 1 } } }, z: { items: {} } })
  // A value that Cairn itself would not have written: the float 1.0, as another program stores it.
  await box.write('float.cbor', '')
  await writeFile(box.path('float.cbor'), Buffer.from('fb3ff0000000000000', 'hex'))
  const cairn = await openCairn(`lmdb:${box.path(store.slice(5))}`, { create: false })
  const dataset = await cairn.dataset('main')
  const { cborBlock } = await import('../../src/model/cid.ts')
  const block = cborBlock(new Uint8Array(Buffer.from('fb3ff0000000000000', 'hex')))
  await dataset.writeBatch([{ pi: itemId('z', 'float'), block }])
  await cairn.close()
  const args = ['export', '--layout', 'radish', '--store', store, '--out']
  expect(await box.fails([...args, 'fresh/deep'])).toMatchObject({
    exit: 2,
    code: 'invalid_content',
    message: expect.stringContaining('"float" of the map "z"'),
  })
  expect(await readdir(box.dir)).not.toContain('fresh')
  await mkdir(box.path('mine'))
  await box.write('mine/note.txt', 'mine')
  await box.fails([...args, 'mine'])
  expect(await readdir(box.path('mine'))).toEqual(['note.txt'])
  expect((await exported('mine', '--exclude', 'z')).length).toBe(1)
})

test('an export shows one state, also an earlier one', async () => {
  await fill({ m: { items: { a: { value: 1 } } } })
  await box.ok(['build-snapshot', '--store', store])
  await box.ok(['put', 'map/m/b', '--value', '2', '--store', store])
  const [now] = await exported('now')
  const [then] = await exported('then', '--seq', '1')
  expect((await json(String(now?.['file'])))['data']).toEqual({ a: 1, b: 2 })
  expect((await json(String(then?.['file'])))['data']).toEqual({ a: 1 })
  expect(
    await box.fails(['export', '--layout', 'radish', '--out', 'x', '--seq', '9', '--store', store]),
  ).toMatchObject({ exit: 10 })
})

const file = (
  name: string,
  data: Record<string, unknown>,
  more: Record<string, unknown> = {},
): string =>
  JSON.stringify({
    type: 'named_cache',
    cache_name: name,
    timestamp: '20260101_000000',
    datetime: '2026-01-01T00:00:00.000000',
    item_count: Object.keys(data).length,
    data,
    ...more,
  })

test('of several files of a map the newest is read, by what is in it', async () => {
  await mkdir(box.path('dir'))
  await box.write('dir/cache_m_20270101_000000.json', file('m', { k: 'old' }))
  await box.write('dir/a.json', file('m', { k: 'new' }, { timestamp: '20260101_000001' }))
  await box.write('dir/default_store_x.json', file('any', { d: 1 }, { type: 'default_store' }))
  await box.write('dir/session_metadata.json', '{"reason":"auto-save","node_count":47}')
  await box.write('dir/snapshot.pkl', '(dp0\n.')
  const report = await imported(['dir'])
  expect(report).toMatchObject({
    older: ['dir/cache_m_20270101_000000.json'],
    passed_over: ['dir/snapshot.pkl', 'dir/session_metadata.json'],
  })
  expect((report['maps'] as { map: string }[]).map(({ map }) => map)).toEqual(['m', '~default'])
  expect(await box.ok(['cat', 'map/m/k', '--store', store])).toContain('new')
  await box.write('dir/b.json', file('m', { k: 'which' }, { timestamp: '20260101_000001' }))
  const args = ['import', '--layout', 'radish', '--store', store]
  expect(await box.fails([...args, 'dir'])).toMatchObject({ exit: 2, code: 'usage' })
  expect(await imported(['dir'], '--map', '~default')).toMatchObject({ way: 'nothing' })
  await rm(box.path('dir'), { recursive: true })
})

test('--map and --into say which map is meant', async () => {
  await box.write('one.json', file('one', { k: 1 }))
  const args = ['import', '--layout', 'radish', '--store', store]
  const wrong = await box.fails([...args, 'one.json', '--map', 'two'])
  expect(wrong).toMatchObject({ exit: 2, code: 'usage', hint: expect.stringContaining('--into') })
  expect(await imported(['one.json'], '--into', 'two')).toMatchObject({
    maps: [{ map: 'two', written: 1 }],
  })
  expect((await content()).map(({ pi }) => pi)).toEqual(['map/two/k', 'maps/two'])
  await box.write('another.json', file('another', {}))
  expect(await box.fails([...args, 'one.json', 'another.json', '--into', 'two'])).toMatchObject({
    code: 'usage',
  })
  expect(await box.fails([...args, '.', '--map', 'nowhere'])).toMatchObject({ code: 'not_found' })
  expect(await box.fails([...args, '-'])).toMatchObject({ code: 'usage' })
  expect(await box.fails(['import', 'one.json', '--replace', '--store', store])).toMatchObject({
    code: 'usage',
  })
  expect(await box.fails(['import', 'one.json', 'another.json', '--store', store])).toMatchObject({
    code: 'usage',
  })
  expect(await box.fails([...args, 'one.json', '--layout', 'blue'])).toMatchObject({
    code: 'usage',
  })
})

test('keys that the file lacks stay, or are removed with --replace; the map keeps its kind or not', async () => {
  await fill({
    m: { items: { stays: { value: 1 }, changes: { value: 1 }, same: { value: 1 } } },
    other: { items: { k: { value: 1 } } },
  })
  const text = file(
    'm',
    { changes: 2, same: 1, fresh: 1 },
    { type: 'expiring_store', schema: 'cairn/radish@1', ttl_ms: 5000 },
  )
  await box.write('m.json', text)
  expect(await imported(['m.json'])).toMatchObject({
    maps: [{ written: 2, unchanged: 1, removed: 0, lasting: 3 }],
  })
  const ids = async (): Promise<unknown[]> => (await content()).map(({ pi }) => pi)
  expect(await ids()).toContain('map/m/stays')
  expect(await box.ok(['cat', 'maps/m', '--store', store])).toContain('"named"')
  expect(await imported(['m.json'], '--replace')).toMatchObject({
    maps: [{ written: 0, unchanged: 3, removed: 1 }],
  })
  expect(await ids()).toEqual([
    'map/m/changes',
    'map/m/fresh',
    'map/m/same',
    'map/other/k',
    'maps/m',
    'maps/other',
  ])
  expect(JSON.parse(await box.ok(['cat', 'maps/m', '--store', store]))).toMatchObject({
    kind: 'expiring',
    ttl_ms: 5000,
  })
})

test('expired keys do not come in, and a key keeps its moment', async () => {
  const exp = Date.now() + DAY
  const more = {
    type: 'expiring_store',
    cache_name: null,
    expires: { a: '2001-01-01T00:00:00Z', b: new Date(exp).toISOString() },
  }
  await box.write('e.json', file('', { a: 1, b: 2 }, more))
  expect(await imported(['e.json'])).toMatchObject({
    maps: [{ map: '~expiring', written: 1, expired: 1, lasting: 0 }],
  })
  const [entry] = await content()
  expect(entry).toMatchObject({ pi: 'map/~expiring/b', exp: new Date(exp).toISOString() })
})

test('nothing comes in of an import in which one file is wrong, and no store is made', async () => {
  await mkdir(box.path('wrong'))
  await box.write('wrong/a.json', file('a', { k: 1 }))
  await box.write('wrong/b.json', file('b', { k: 1 }, { item_count: 2 }))
  const args = ['import', '--layout', 'radish', '--store', store]
  expect(await box.fails([...args, 'wrong'])).toMatchObject({
    exit: 2,
    code: 'invalid_content',
    message: expect.stringContaining('wrong/b.json'),
  })
  await box.write('wrong/b.json', file('b', { k: 1 }).replace('"k":1', '"k":{"x":1,"x":2}'))
  expect(await box.fails([...args, 'wrong'])).toMatchObject({
    message: expect.stringContaining('"k" of the map "b"'),
  })
  await writeFile(box.path('wrong', 'b.json'), Buffer.from('80049504000000', 'hex'))
  expect(await box.fails([...args, 'wrong'])).toMatchObject({
    exit: 2,
    code: 'invalid_content',
    hint: expect.stringContaining('pickle-to-json.py'),
  })
  expect(await readdir(box.dir)).not.toContain(store.slice(5))
})

test('a large import is one commit, as a bulk load, or nothing', async () => {
  const data = Object.fromEntries(Array.from({ length: 10_500 }, (_, i) => [`k${i}`, { i }]))
  await box.write('large.json', file('large', data))
  expect(await imported(['large.json'])).toMatchObject({ way: 'bulk', maps: [{ written: 10_500 }] })
  const status = await box.json(['status', '--store', store])
  expect(status).toMatchObject({ total_count: 10_501, snapshot_seq: 1 })
  const bad = (await box.read('large.json'))
    .replace('"k10499":{"i":10499}', '"k10499":{"i":1,"i":2}')
    .replaceAll('"cache_name":"large"', '"cache_name":"next"')
  await box.write('bad.json', bad)
  expect(
    await box.fails(['import', '--layout', 'radish', 'bad.json', '--store', store]),
  ).toMatchObject({ code: 'invalid_content' })
  expect(await box.json(['status', '--store', store])).toMatchObject({ total_count: 10_501 })
  const [back] = await exported('large-out')
  expect((await json(String(back?.['file'])))['data']).toEqual(data)
  expect(await imported(['large-out'], '--replace')).toMatchObject({
    way: 'nothing',
    maps: [{ unchanged: 10_500 }],
  })
})

test('an export that is killed leaves no file that looks like a backup', async () => {
  await fill({ m: { items: {} } })
  const lines = Array.from(
    { length: 20_000 },
    (_, i) => `{"pi":"map/m/${i}","value":"${'x'.repeat(50)}"}\n`,
  )
  await box.ok(['import', '-', '--store', store], { input: lines.join('') })
  const child = spawn(
    process.execPath,
    [box.bin(), 'export', '--layout', 'radish', '--out', 'killed', '--store', store],
    { cwd: box.dir, env: box.env, stdio: 'ignore' },
  )
  const ended = once(child, 'close')
  for (let begun = false; !begun && child.exitCode === null;) {
    const inside = await readdir(box.path('killed')).catch(() => [])
    const [temporary] = inside
    const written =
      temporary === undefined
        ? undefined
        : await stat(join(box.path('killed'), temporary, '0')).catch(() => undefined)
    begun = (written?.size ?? 0) > 0
  }
  child.kill('SIGKILL')
  await ended
  const left = (await readdir(box.path('killed'))).filter((name) => name.endsWith('.json'))
  // On a slow machine the file may have got its name before the signal came; then it is whole.
  for (const name of left) expect((await json(`killed/${name}`))['item_count']).toBe(20_000)
  expect((await exported('killed')).length).toBe(1)
  expect((await readdir(box.path('killed'))).filter((name) => name.endsWith('.json')).length).toBe(
    left.length + 1,
  )
})
