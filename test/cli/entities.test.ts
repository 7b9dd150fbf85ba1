import { afterAll, beforeAll, expect, test } from 'vitest'
import { CID, ndjson, Sandbox, TIME } from './sandbox.ts'

let box: Sandbox

beforeAll(async () => {
  box = await Sandbox.make()
})

afterAll(() => box.remove())

test('reading from a store or dataset that is not there ends with 10 and makes nothing', async () => {
  const noStore = await box.fails(['get', 'a', '--store', 'lmdb:nowhere'])
  expect(noStore).toMatchObject({ exit: 10, code: 'store_not_found' })
  expect(noStore.hint).toContain('cairn init')
  expect(await box.run(['list', '--store', 'lmdb:nowhere'])).toMatchObject({ code: 10, stdout: '' })
  await box.ok(['init', '--store', 'lmdb:somewhere'])
  const noDataset = await box.fails(['status', '--store', 'lmdb:somewhere', '-d', 'other'])
  expect(noDataset).toMatchObject({ exit: 10, code: 'dataset_not_found' })
  expect(await box.json(['datasets', '--store', 'lmdb:somewhere'])).toEqual({ datasets: ['main'] })
})

test('init makes a dataset once, and says so when other settings stand', async () => {
  const args = [
    'init',
    '-d',
    'scenes',
    '--chunk-size',
    '256',
    '--content',
    'external',
    '--chain-limit',
    '50',
  ]
  const made = await box.json([...args, '--meta', '{"owner":"me"}', '--tag', 'first'])
  expect(made).toEqual({
    status: 'created',
    dataset: 'scenes',
    store: 'lmdb:./.cairn/store',
    snapshot: expect.stringMatching(CID),
    root: expect.stringMatching(CID),
    content: 'external',
    chunk_size: 256,
    chain_limit: 50,
    meta: { owner: 'me' },
  })
  expect(await box.json(args)).toEqual({ ...made, status: 'already_created' })
  const other = await box.fails(['init', '-d', 'scenes', '--chunk-size', '512'])
  expect(other).toMatchObject({ exit: 13, code: 'conflict' })
  expect((await box.fails(['init', '--chunk-size', '5'])).exit).toBe(2)
  expect((await box.fails(['init', '-d', 'No!'])).exit).toBe(2)
})

test('a JSON value goes in and out', async () => {
  const put = await box.json(['put', 'greeting', '--value', '{"hello":"world"}'])
  expect(put).toEqual({
    status: 'appended',
    pi: 'greeting',
    ver: 1,
    tip: expect.stringMatching(CID),
    position: 0,
  })
  expect(await box.json(['get', 'greeting'])).toEqual({
    pi: 'greeting',
    ver: 1,
    tip: put['tip'],
    ts: expect.stringMatching(TIME),
    exp: null,
  })
  expect(await box.ok(['cat', 'greeting'])).toBe('{"hello":"world"}\n')
  expect(await box.ok(['cat', String(put['tip'])])).toBe('{"hello":"world"}\n')
  expect(await box.ok(['get', 'greeting'])).toContain(`tip  ${String(put['tip'])}\n`)
})

test('bytes go in from a file and from stdin, and come out as they were', async () => {
  const large = Buffer.alloc(3 << 20, 'abcdefg')
  await box.ok(['put', 'large', '-'], { input: large })
  expect((await box.run(['cat', 'large'])).stdout).toBe(large.toString())
  const small = await box.write('small.bin', 'some bytes')
  const { tip } = await box.json(['put', 'small', small])
  expect(tip).toMatch(/^bafkrei/)
  expect(await box.ok(['cat', 'small'])).toBe('some bytes')
  expect(await box.json(['cat', 'small'])).toEqual({
    '/': { bytes: Buffer.from('some bytes').toString('base64').replaceAll('=', '') },
  })
  await box.ok(['put', 'typed', '--json-file', await box.write('v.json', '[1,2.5,null]')])
  expect(await box.ok(['cat', 'typed'])).toBe('[1,2.5,null]\n')
})

test('a put takes exactly one content, and a file that is there', async () => {
  expect(await box.fails(['put', 'a'])).toMatchObject({ exit: 2, code: 'usage' })
  expect(await box.fails(['put', 'a', 'x', '--value', '1'])).toMatchObject({ exit: 2 })
  expect(await box.fails(['put', 'a', 'not-there'])).toMatchObject({ exit: 2, code: 'usage' })
  expect(await box.fails(['put', 'a', '--value', '{'])).toMatchObject({
    exit: 2,
    code: 'invalid_content',
  })
  expect(await box.fails(['put', '', '--value', '1'])).toMatchObject({
    exit: 2,
    code: 'invalid_entry',
  })
})

test('versions and expectations decide', async () => {
  const { tip } = await box.json([
    'put',
    'doc',
    '--value',
    '1',
    '--ver',
    '3',
    '--ts',
    '2026-01-02T03:04:05Z',
  ])
  expect(await box.json(['put', 'doc', '--value', '1', '--ver', '3'])).toMatchObject({
    status: 'already',
  })
  expect(await box.fails(['put', 'doc', '--value', '2', '--ver', '3'])).toMatchObject({ exit: 13 })
  expect(await box.fails(['put', 'doc', '--value', '2', '--expect-ver', '2'])).toMatchObject({
    exit: 13,
  })
  const next = await box.json([
    'append',
    'doc',
    String(tip),
    '--expect-tip',
    String(tip),
    '--exp',
    '4102444800000',
  ])
  expect(next).toMatchObject({ ver: 4, status: 'appended' })
  expect(await box.json(['get', 'doc'])).toMatchObject({ exp: '2100-01-01T00:00:00.000Z' })
  expect(await box.fails(['put', 'doc', '--value', '2', '--expect-tip', 'none'])).toMatchObject({
    exit: 13,
  })
  const history = ndjson(await box.ok(['history', 'doc', '--json']))
  expect(history.map(({ ver }) => ver)).toEqual([4, 3])
  expect(history[1]).toEqual({
    pi: 'doc',
    ver: 3,
    tip,
    ts: '2026-01-02T03:04:05.000Z',
    exp: null,
    position: expect.any(Number),
  })
})

test('append refuses content that the store lacks, and what is no CID', async () => {
  expect(await box.fails(['append', 'x', 'bafybad'])).toMatchObject({
    exit: 2,
    code: 'invalid_entry',
  })
  const missing = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
  expect(await box.fails(['append', 'x', missing])).toMatchObject({
    exit: 5,
    code: 'content_missing',
  })
  expect(await box.fails(['append', 'x'])).toMatchObject({ exit: 2, code: 'usage' })
})

test('a deleted entity is gone, but not its history', async () => {
  await box.ok(['put', 'gone', '--value', '1'])
  expect(await box.json(['append', 'gone', '--delete'])).toMatchObject({ ver: 2, tip: null })
  expect(await box.fails(['get', 'gone'])).toMatchObject({ exit: 10, code: 'not_found' })
  expect(await box.fails(['cat', 'gone'])).toMatchObject({ exit: 10 })
  expect(await box.fails(['history', 'never'])).toMatchObject({ exit: 10 })
  expect(
    ndjson(await box.ok(['history', 'gone', '--json'])).map(({ tip }) => tip === null),
  ).toEqual([true, false])
})

test('list pages through a range in either direction', async () => {
  const lines = Array.from(
    { length: 25 },
    (_, i) => `{"pi":"p-${String(i).padStart(2, '0')}","value":${i}}`,
  )
  await box.ok(['import', '-', '-d', 'pages'], { input: lines.join('\n') })
  const first = await box.json(['list', '-d', 'pages', '--limit', '10'])
  expect(Object.keys(first)).toEqual(['items', 'total_count', 'has_more', 'next_cursor'])
  expect(first).toMatchObject({ total_count: 25, has_more: true, next_cursor: expect.any(String) })
  const items = first['items'] as Record<string, unknown>[]
  expect(items).toHaveLength(10)
  expect(items[0]).toEqual({
    pi: 'p-24',
    ver: 1,
    tip: expect.stringMatching(CID),
    ts: expect.stringMatching(TIME),
    exp: null,
  })
  const second = await box.json([
    'list',
    '-d',
    'pages',
    '--cursor',
    String(first['next_cursor']),
    '--limit',
    '100',
  ])
  expect(second).toMatchObject({ has_more: false, next_cursor: null })
  expect((second['items'] as Record<string, unknown>[]).map(({ pi }) => pi).at(0)).toBe('p-14')
  const part = ['-d', 'pages', '--order', 'asc', '--from', 'p-05', '--to', 'p-08', '--offset', '1']
  const rows = await box.ok(['list', ...part])
  expect(rows.split('\n').map((row) => row.split('\t')[0])).toEqual(['p-06', 'p-07', ''])
  expect(await box.json(['list', '-d', 'pages', '--prefix', 'q'])).toMatchObject({
    items: [],
    has_more: false,
  })
})

test('list refuses what makes no sense', async () => {
  for (const bad of [
    ['--limit', '0'],
    ['--limit', '-1'],
    ['--limit', '10001'],
    ['--offset', 'x'],
    ['--order', 'up'],
  ]) {
    expect(await box.fails(['list', ...bad])).toMatchObject({ exit: 2, code: 'usage' })
  }
  expect(await box.fails(['list', '--cursor', 'AAAA'])).toMatchObject({
    exit: 2,
    code: 'invalid_cursor',
  })
  expect(await box.fails(['list', '--at', 'yesterday'])).toMatchObject({ exit: 2, code: 'usage' })
  expect(await box.fails(['list', '--at', '2026-01-01T00:00:00Z', '--seq', '1'])).toMatchObject({
    exit: 2,
  })
})

test('control characters of an id are shown, not obeyed', async () => {
  await box.ok(['put', 'evil\u001B[2J', '--value', '1', '-d', 'evil'])
  expect(await box.ok(['list', '-d', 'evil'])).toMatch(/^evil\\u001b\[2J\t/)
})

test('everything that was made is for its owner only', async () => {
  const { stat, readdir } = await import('node:fs/promises')
  for (const name of ['.cairn', '.cairn/store']) {
    expect((await stat(box.path(name))).mode & 0o777).toBe(0o700)
  }
  for (const name of await readdir(box.path('.cairn/store'))) {
    expect((await stat(box.path('.cairn/store', name))).mode & 0o077).toBe(0)
  }
})
