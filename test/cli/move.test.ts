import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, stat } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CID, ndjson, Sandbox } from './sandbox.ts'

let box: Sandbox

beforeAll(async () => {
  box = await Sandbox.make()
})

afterAll(() => box.remove())

const linesOf = (count: number, of: (i: number) => object): string =>
  Array.from({ length: count }, (_, i) => `${JSON.stringify(of(i))}\n`).join('')

const rootOf = async (store: string): Promise<unknown> => {
  await box.ok(['build-snapshot', '--store', store])
  return (await box.json(['status', '--store', store]))['root']
}

test('export --values and import give the same root in a second store', async () => {
  const many = linesOf(400, (i) => ({
    pi: `e-${i}`,
    ver: 1 + (i % 3),
    ts: '2026-01-01T00:00:00.123Z',
    value: { n: i, list: [null, true, 1.5, 'ü'], deep: { bytes: { '/': { bytes: 'AAEC' } } } },
  }))
  const special = [
    { pi: 'expires', value: 1, exp: '2100-01-01T00:00:00Z' },
    { pi: 'late', value: 1, ts: 9_000_000_000_000_000 },
    { pi: 'null', value: null },
    { pi: 'bytes', value: { '/': { bytes: 'AAEC' } } },
    { pi: 'gone', ver: 1, value: 1 },
    { pi: 'gone', tip: null },
  ]
  await box.ok(['import', '-', '--store', 'lmdb:from'], {
    input: many + special.map((one) => JSON.stringify(one)).join('\n'),
  })
  await box.ok(['build-snapshot', '--store', 'lmdb:from'])
  await box.ok(['put', 'e-1', '--value', '{"changed":true}', '--store', 'lmdb:from'])
  const report = await box.json([
    'export',
    '--values',
    '--out',
    'all.ndjson',
    '--store',
    'lmdb:from',
  ])
  expect(report).toEqual({
    status: 'exported',
    file: 'all.ndjson',
    bytes: (await stat(box.path('all.ndjson'))).size,
    entries: 405,
    deleted: 1,
    values: 404,
    incomplete: 0,
  })
  expect((await stat(box.path('all.ndjson'))).mode & 0o777).toBe(0o600)
  const lines = ndjson(await box.read('all.ndjson'))
  expect(lines[0]).toEqual({
    pi: 'bytes',
    ver: 1,
    ts: expect.any(String),
    exp: null,
    value: { '/': { bytes: 'AAEC' } },
  })
  expect(lines.find(({ pi }) => pi === 'gone')).toMatchObject({
    ver: 2,
    tip: null,
    exp: expect.any(String),
  })
  expect(lines.find(({ pi }) => pi === 'late')).toMatchObject({ ts: 9_000_000_000_000_000 })
  expect(await box.json(['import', 'all.ndjson', '--store', 'lmdb:to'])).toEqual({
    status: 'imported',
    way: 'batches',
    lines: 405,
    appended: 405,
    already: 0,
    snapshot: null,
    seq: null,
  })
  expect(await rootOf('lmdb:to')).toBe(await rootOf('lmdb:from'))
  expect(await box.json(['import', 'all.ndjson', '--store', 'lmdb:to'])).toMatchObject({
    appended: 0,
    already: 405,
  })
})

test('export says which contents its lines do not carry', async () => {
  await box.ok(['put', 'file', '-', '--store', 'lmdb:files'], { input: Buffer.alloc(2 << 20) })
  const { tip } = await box.json(['put', 'leaf', '--value', '1', '--store', 'lmdb:files'])
  await box.ok([
    'put',
    'linking',
    '--value',
    `{"/link":{"/":"${String(tip)}"}}`,
    '--store',
    'lmdb:files',
  ])
  const { stdout, stderr } = await box.run(['export', '--values', '--store', 'lmdb:files'])
  const [file, leaf, linking] = ndjson(stdout)
  expect(file).toMatchObject({ pi: 'file', tip: expect.stringMatching(CID) })
  expect(leaf).toMatchObject({ pi: 'leaf', value: 1 })
  expect(linking).toMatchObject({ pi: 'linking', value: { '/link': { '/': tip } } })
  expect(stderr).toContain('2 lines do not carry all of their content')
})

test('export to a file replaces none without --force, and leaves none half written', async () => {
  await box.ok(['put', 'a', '--value', '1', '--store', 'lmdb:out'])
  await box.write('there.ndjson', 'mine')
  const args = ['export', '--store', 'lmdb:out', '--out', 'there.ndjson']
  expect(await box.fails(args)).toMatchObject({ exit: 2, code: 'usage' })
  expect(await box.read('there.ndjson')).toBe('mine')
  expect(await box.fails([...args, '--force', '--seq', '9'])).toMatchObject({ exit: 10 })
  expect(await box.read('there.ndjson')).toBe('mine')
  await box.ok([...args, '--force'])
  expect(ndjson(await box.read('there.ndjson'))).toHaveLength(1)
  expect((await readdir(box.dir)).filter((name) => name.endsWith('.new'))).toEqual([])
})

test('import into an external dataset takes CIDs as they are', async () => {
  await box.ok(['init', '--content', 'external', '--store', 'lmdb:ext'])
  const tip = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
  await box.ok(['import', '-', '--store', 'lmdb:ext'], {
    input: `{"pi":"x","ver":7,"tip":"${tip}"}`,
  })
  expect(await box.json(['get', 'x', '--store', 'lmdb:ext'])).toMatchObject({ ver: 7, tip })
  const { stdout, stderr } = await box.run(['export', '--values', '--store', 'lmdb:ext'])
  expect(ndjson(stdout)[0]).toMatchObject({ pi: 'x', tip })
  expect(stderr).toContain('1 lines do not carry')
})

test('a bad line is named, and nothing of a small import is taken', async () => {
  const good = '{"pi":"a","value":1}\n'
  const cases: readonly (readonly [string, string])[] = [
    ['{"pi":"b",', 'invalid_entry'],
    ['[]', 'invalid_entry'],
    ['{"pi":"b"}', 'invalid_entry'],
    ['{"pi":"b","tip":null,"value":1}', 'invalid_entry'],
    ['{"pi":"b","tip":"bafy"}', 'invalid_entry'],
    ['{"pi":"","value":1}', 'invalid_entry'],
    ['{"pi":7,"value":1}', 'invalid_entry'],
    ['{"pi":"b","value":1,"ver":0}', 'invalid_entry'],
    ['{"pi":"b","value":1,"ts":"2026-02-30T00:00:00Z"}', 'invalid_entry'],
    ['{"pi":"b","value":1,"exp":"tomorrow"}', 'invalid_entry'],
    ['{"pi":"b","value":1,"vre":1}', 'invalid_entry'],
    ['{"pi":"b","value":{"/":"no link"}}', 'invalid_content'],
  ]
  const failures = await Promise.all(
    cases.map(([bad]) =>
      box.fails(['import', '-', '--store', 'lmdb:bad'], { input: `${good}\n${bad}\n${good}` }),
    ),
  )
  for (const [i, [, code]] of cases.entries()) {
    expect(failures[i]).toMatchObject({
      exit: 2,
      code,
      message: expect.stringMatching(/^Line 3: ./),
    })
    expect(failures[i]?.hint).toBeTruthy()
  }
  const notText = await box.fails(['import', '-', '--store', 'lmdb:bad'], {
    input: Buffer.from([0x22, 0xff, 0x0a]),
  })
  expect(notText).toMatchObject({ exit: 2, message: 'Line 1 is not valid UTF-8.' })
  expect(await readdir(box.dir)).not.toContain('bad')
})

test('a line that is too long is refused while it is read', async () => {
  const long = await box.fails(['import', '-', '--store', 'lmdb:bad'], {
    input: Buffer.alloc(9 << 20, 'x'),
  })
  expect(long).toMatchObject({
    exit: 2,
    code: 'too_large',
    message: expect.stringContaining('Line 1 '),
  })
})

test('with --batch what came before the bad line stays, and conflicts name their line', async () => {
  const input = `${linesOf(25, (i) => ({ pi: `b-${i}`, value: i }))}nonsense\n`
  const failed = await box.run(['import', '-', '--batch', '10', '--store', 'lmdb:batch'], { input })
  expect(failed.code).toBe(2)
  expect(failed.stderr).toContain('committed before that: 20 lines')
  expect(await box.json(['list', '--store', 'lmdb:batch'])).toMatchObject({ total_count: 20 })
  const conflict = '{"pi":"new","value":1}\n{"pi":"b-1","ver":1,"value":"other"}\n'
  const told = await box.fails(['import', '-', '--store', 'lmdb:batch'], { input: conflict })
  expect(told).toMatchObject({ exit: 13, message: expect.stringContaining('Line 2: ') })
  expect(await box.json(['list', '--store', 'lmdb:batch'])).toMatchObject({ total_count: 20 })
})

test('--ack answers for each entity as soon as it is durable, while the input is open', async () => {
  const child = spawn(
    process.execPath,
    [box.bin(), 'import', '-', '--ack', '--store', 'lmdb:ack'],
    {
      cwd: box.dir,
      env: box.env,
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  )
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const next = async (): Promise<unknown> => JSON.parse(String((await lines.next()).value))
  child.stdin.write('{"pi":"a","value":1}\n')
  expect(await next()).toEqual({ pi: 'a', ver: 1, position: 0 })
  expect(await box.json(['get', 'a', '--store', 'lmdb:ack'])).toMatchObject({ ver: 1 })
  child.stdin.write('{"pi":"a","value":2}\n{"pi":"a","tip":null}\n{"pi":"b","value":1}\n')
  expect(await next()).toEqual({ pi: 'a', ver: 2, position: 1 })
  expect(await next()).toEqual({ pi: 'a', ver: 3, position: 2 })
  expect(await next()).toEqual({ pi: 'b', ver: 1, position: 3 })
  child.stdin.end('{"pi":"b","ver":1,"value":1}')
  expect(await next()).toEqual({ pi: 'b', ver: 1, position: 3 })
  expect(await once(child, 'close')).toEqual([0, null])
})

test('a large import is one commit', async () => {
  await box.write(
    'large.ndjson',
    linesOf(30_000, (i) => ({ pi: `L-${i}`, ver: 1, value: i % 100 })),
  )
  const report = await box.json(['import', 'large.ndjson', '--store', 'lmdb:large'])
  expect(report).toMatchObject({
    status: 'imported',
    way: 'bulk',
    lines: 30_000,
    appended: 30_000,
    already: 0,
  })
  expect(report).toMatchObject({ snapshot: expect.stringMatching(CID), seq: 1 })
  const status = await box.json(['status', '--store', 'lmdb:large'])
  expect(status).toMatchObject({
    total_count: 30_000,
    recent_count: 0,
    snapshot_seq: 1,
    next: 30_000,
  })
  const bad = await box.write(
    'bad.ndjson',
    `${linesOf(30_000, (i) => ({ pi: `M-${i}`, value: i }))}{"pi":"x"}\n`,
  )
  const refused = await box.fails(['import', bad, '--store', 'lmdb:large'])
  expect(refused).toMatchObject({ exit: 2, message: expect.stringContaining('Line 30001: ') })
  expect(await box.json(['status', '--store', 'lmdb:large'])).toMatchObject({
    total_count: 30_000,
    next: 30_000,
  })
})

test('SIGINT during a large import leaves everything as it was', async () => {
  const before = await box.json(['status', '--store', 'lmdb:large'])
  const child = spawn(
    process.execPath,
    [box.bin(), 'import', '-', '--json', '--store', 'lmdb:large'],
    {
      cwd: box.dir,
      env: box.env,
    },
  )
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  child.stdin.on('error', () => {})
  // The input stays open, so that the load is under way when the signal comes.
  child.stdin.write(linesOf(60_000, (i) => ({ pi: `I-${i}`, value: i })))
  for (let loading = false; !loading;) {
    const { exclusive } = await box.json(['status', '--store', 'lmdb:large'])
    loading = exclusive !== null
  }
  child.kill('SIGINT')
  expect(await once(child, 'close')).toEqual([130, null])
  expect(JSON.parse(stderr.trimEnd().split('\n').at(-1) ?? '')).toMatchObject({
    exit_error: { code: 'aborted' },
  })
  const after = await box.json(['status', '--store', 'lmdb:large'])
  const pointer = [
    'latest_snapshot_cid',
    'recent_chain_head',
    'recent_count',
    'total_count',
    'next',
    'root',
    'exclusive',
  ]
  for (const field of pointer) expect([field, after[field]]).toEqual([field, before[field]])
  await box.ok(['put', 'after', '--value', '1', '--store', 'lmdb:large'])
})
