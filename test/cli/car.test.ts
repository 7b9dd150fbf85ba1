import { execFile, spawn } from 'node:child_process'
import { mkdir, open, readFile, readdir, stat, symlink, writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CarV2Writer } from '../../src/car/writer-v2.ts'
import { CarFile } from '../../src/car/file.ts'
import { encryptTo } from '../../src/car/age.ts'
import { fileNameOf } from '../../src/cli/car/file-name.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import { rawCidOf } from '../../src/model/cid.ts'
import { writeCar } from '../helpers/cars.ts'
import { collect, openTest, START } from '../helpers/engine.ts'
import { CID, ndjson, Sandbox, TIME } from './sandbox.ts'

const exec = promisify(execFile)

let box: Sandbox
let dataset: Dataset

/** Files in the sandbox: a CAR of two states, a delta between them, one without content, one of version 2. */
beforeAll(async () => {
  box = await Sandbox.make()
  const opened = await openTest({ name: 'photos', init: { content: 'linked', chunkSize: 64 } })
  const { clock } = opened
  dataset = opened.dataset
  await dataset.putBatch(Array.from({ length: 300 }, (_, i) => ({ pi: `e${i}`, value: { i } })))
  await dataset.build({ reason: 'nightly', tags: ['monday'] })
  await writeCar(dataset, box.path('monday.car'))
  clock.now += 60_000
  await dataset.put('e7', { i: 'new' })
  await dataset.append({ pi: 'e8', tip: null })
  await dataset.build()
  await dataset.put('zz', new Uint8Array(1_500_000).fill(3))
  await dataset.append({ pi: 'e9', tip: null })
  await writeCar(dataset, box.path('tuesday.car'))
  await writeCar(dataset, box.path('delta.car'), { since: 'latest~1' })
  await writeCar(dataset, box.path('index.car'), { content: 'index' })
  const handle = await open(box.path('v2.car'), 'w+')
  await dataset.exportCar((root) => CarV2Writer.begin(handle, [root]))
  await handle.close()
})

afterAll(() => box.remove())

test('inspect tells what a CAR says of itself', async () => {
  const found = await box.json(['car', 'inspect', 'tuesday.car'])
  const { size } = await stat(box.path('tuesday.car'))
  expect(found).toEqual({
    file: 'tuesday.car',
    version: 1,
    size,
    data_bytes: size,
    index: null,
    roots: [
      {
        cid: expect.stringMatching(CID),
        kind: 'checkpoint',
        dataset: 'photos',
        identity: expect.any(String),
        origins: [],
        generation: 1,
        car_content: 'full',
        content: 'linked',
        snapshot: expect.stringMatching(CID),
        since: null,
        seq: 2,
        ts: expect.stringMatching(TIME),
        reason: expect.any(String),
        tags: [],
        meta: {},
        entries: 300,
        live: 299,
        chunk_count: expect.any(Number),
        chunk_size: 64,
        recent_count: 2,
        total_count: 299,
        next: 304,
      },
    ],
  })
  expect(await box.json(['car', 'inspect', 'v2.car'])).toMatchObject({
    version: 2,
    data_bytes: size,
    index: 'multihash-index-sorted',
  })
  const delta = await box.json(['car', 'inspect', 'delta.car'])
  const monday = await box.json(['car', 'inspect', 'monday.car'])
  const rootOf = (one: Record<string, unknown>): Record<string, unknown> | undefined =>
    (one['roots'] as Record<string, unknown>[])[0]
  expect(rootOf(delta)?.['since']).toBe(rootOf(monday)?.['snapshot'])
  expect(rootOf(monday)).toMatchObject({ reason: 'nightly', tags: ['monday'], recent_count: 0 })
  expect(await box.ok(['car', 'inspect', 'tuesday.car'])).toMatch(/^dataset +photos$/m)
})

test('inspect reads the beginning of a file only', async () => {
  const car = await readFile(box.path('tuesday.car'))
  const path = box.path('long.car')
  await writeFile(path, car)
  const handle = await open(path, 'r+')
  // Two terabytes of which nothing but the beginning is there.
  await handle.truncate(2 ** 41)
  await handle.close()
  expect(await box.json(['car', 'inspect', 'long.car'])).toMatchObject({
    size: 2 ** 41,
    roots: [{ dataset: 'photos' }],
  })
})

test('verify says that a CAR is whole, or what is wrong and where', async () => {
  const reports = [
    ['monday.car'],
    ['tuesday.car'],
    ['v2.car'],
    ['index.car'],
    ['delta.car'],
    ['delta.car', '--base', 'monday.car'],
  ].map((args) => box.json(['car', 'verify', ...args]))
  for (const report of await Promise.all(reports))
    expect(report).toMatchObject({ verdict: 'whole', problem_count: 0, problems: [] })
  expect(await box.ok(['car', 'verify', 'monday.car'])).toMatch(/^whole: \d+ blocks, /)
  const bytes = await readFile(box.path('tuesday.car'))
  const at = bytes.length - 20
  bytes[at] = (bytes[at] ?? 0) ^ 1
  await writeFile(box.path('bad.car'), bytes)
  const bad = await box.run(['car', 'verify', 'bad.car', '--json'])
  expect(bad.code).toBe(4)
  const report = JSON.parse(bad.stdout) as { problems: Record<string, unknown>[] }
  expect(report).toMatchObject({ verdict: 'damaged', problem_count: 1, files: ['bad.car'] })
  const car = await CarFile.open(box.path('tuesday.car'))
  const offsets: number[] = []
  for await (const batch of car.sections()) offsets.push(...batch.map(({ offset }) => offset))
  await car.close()
  expect(report.problems).toEqual([
    {
      code: 'block_mismatch',
      message: expect.any(String),
      cid: expect.stringMatching(CID),
      path: 'bad.car',
      offset: offsets.at(-1),
    },
  ])
  expect(JSON.parse(bad.stderr.trim().split('\n').at(-1) ?? '')).toMatchObject({
    exit_error: { code: 'damage_found' },
  })
  const people = await box.run(['car', 'verify', 'bad.car'])
  expect(people.stdout).toMatch(new RegExp(`^bad.car:${offsets.at(-1)}  block_mismatch  .+$`, 'm'))
  await writeFile(
    box.path('cut.car'),
    (await readFile(box.path('tuesday.car'))).subarray(0, offsets.at(-1)),
  )
  const cut = await box.run(['car', 'verify', 'cut.car', '--json'])
  expect([cut.code, JSON.parse(cut.stdout)]).toMatchObject([5, { verdict: 'incomplete' }])
  await writeFile(box.path('short.car'), bytes.subarray(0, 5000))
  expect(await box.fails(['car', 'verify', 'short.car'])).toMatchObject({
    exit: 4,
    code: 'invalid_car',
  })
})

test('list and get answer as the dataset does that was exported', async () => {
  const want = await dataset.list({ limit: 20, offset: 30, order: 'asc' })
  const pages = [
    ['tuesday.car'],
    ['v2.car'],
    ['index.car'],
    ['delta.car', '--base', 'monday.car'],
  ].map((args) =>
    box.json(['car', 'list', ...args, '--limit', '20', '--offset', '30', '--order', 'asc']),
  )
  for (const page of await Promise.all(pages)) {
    expect(page).toMatchObject({ total_count: want.totalCount, next_cursor: want.nextCursor })
    const ids = (page['items'] as { pi: string; ver: number }[]).map(({ pi, ver }) => [pi, ver])
    expect(ids).toEqual(want.items.map(({ pi, ver }) => [pi, ver]))
  }
  expect(await box.json(['car', 'get', 'tuesday.car', 'e7'])).toMatchObject({ pi: 'e7', ver: 2 })
  expect(await box.ok(['car', 'get', 'v2.car', 'zz'])).toMatch(/^pi +zz$/m)
  expect(await box.fails(['car', 'get', 'tuesday.car', 'e9'])).toMatchObject({ exit: 10 })
  expect(await box.fails(['car', 'list', 'delta.car'])).toMatchObject({
    exit: 5,
    code: 'base_missing',
  })
})

test('a CAR is a store for all commands that read', async () => {
  const store = ['--store', 'car:tuesday.car', '-d', 'photos']
  expect(await box.ok(['cat', 'e7', ...store])).toBe('{"i":"new"}\n')
  expect(await box.json(['status', ...store])).toMatchObject({ total_count: 299, snapshot_seq: 2 })
  expect(ndjson(await box.ok(['export', '--prefix', 'e7', '--values', ...store]))).toHaveLength(11)
  const both = ['--store', 'car:monday.car,delta.car', '-d', 'photos']
  expect(await box.ok(['cat', 'e7', ...both])).toBe('{"i":"new"}\n')
  expect(await box.fails(['put', 'x', '--value', '1', ...store])).toMatchObject({
    exit: 12,
    code: 'access_denied',
  })
  expect(await box.fails(['cat', 'e7', '--store', 'car:index.car', '-d', 'photos'])).toMatchObject({
    exit: 5,
  })
})

test('diff tells what is added, changed and removed, over tree and chain', async () => {
  const lines = await box.ok(['car', 'diff', 'monday.car', 'tuesday.car'])
  expect(lines.split('\n').filter((line) => line !== '')).toEqual(['~ e7', '- e8', '- e9', '+ zz'])
  const back = ndjson(await box.ok(['car', 'diff', 'tuesday.car', 'monday.car', '--json']))
  expect(back.map(({ change, pi }) => [change, pi])).toEqual([
    ['changed', 'e7'],
    ['added', 'e8'],
    ['added', 'e9'],
    ['removed', 'zz'],
  ])
  expect(back[0]).toMatchObject({ before: { pi: 'e7', ver: 2 }, after: { pi: 'e7', ver: 1 } })
  expect(await box.ok(['car', 'diff', 'tuesday.car', 'v2.car'])).toBe('')
  const delta = ['car', 'diff', 'tuesday.car', 'delta.car', '--base', 'monday.car']
  expect(await box.ok(delta)).toBe('')
})

test('extract writes contents as files, values as JSON', async () => {
  const some = await box.ok(['car', 'extract', 'v2.car', 'e7', 'zz', '--out', 'some'])
  expect(some.split('\n').slice(0, 2)).toEqual(['e7\tsome/e7.json', 'zz\tsome/zz'])
  expect(await box.read('some/e7.json')).toBe('{"i":"new"}\n')
  const file = await readFile(box.path('some/zz'))
  expect(file.equals(Buffer.alloc(1_500_000, 3))).toBe(true)
  expect((await stat(box.path('some/zz'))).mode & 0o777).toBe(0o600)
  const all = ndjson(
    await box.ok(['car', 'extract', 'delta.car', '--base', 'monday.car', '--out', 'all', '--json']),
  )
  expect(all).toHaveLength(299)
  expect(all[0]).toEqual({
    pi: 'e0',
    tip: expect.stringMatching(CID),
    file: 'all/e0.json',
    kind: 'value',
    bytes: 8,
  })
  expect(await readdir(box.path('all'))).toHaveLength(299)
  expect(await box.fails(['car', 'extract', 'v2.car', 'e7', '--out', 'some'])).toMatchObject({
    exit: 2,
  })
  await box.ok(['car', 'extract', 'v2.car', 'e7', '--out', 'some', '--force'])
  expect(await box.fails(['car', 'extract', 'v2.car', 'e9', '--out', 'some'])).toMatchObject({
    exit: 10,
  })
  expect(await box.fails(['car', 'extract', 'index.car', '--out', 'none'])).toMatchObject({
    exit: 5,
    code: 'blocks_missing',
    message: '299 contents could not be extracted.',
  })
  expect(await readdir(box.path('none'))).toEqual([])
})

test('whatever an id is, its file stays in the folder', async () => {
  const opened = await openTest({ init: { content: 'linked' } })
  const ids = [
    '../outside',
    '/etc/passwd',
    '..',
    '.',
    'a/b',
    'a\\b',
    '.hidden',
    'a.json',
    'a',
    'A',
    'tab\there',
    'nul\0byte',
    '日本',
    '%2F',
    'x'.repeat(512),
    `${'x'.repeat(511)}y`,
    'CON',
    'line\nbreak',
    '-rf',
    '~',
  ]
  const puts = ids.map((pi, i) => ({ pi, value: i % 2 === 0 ? pi : Buffer.from(pi) }))
  await opened.dataset.putBatch(puts)
  await writeCar(opened.dataset, box.path('odd.car'))
  await mkdir(box.path('odd'))
  await symlink('../link-target', box.path('odd', fileNameOf('a/b', 'value')))
  expect(await box.fails(['car', 'extract', 'odd.car', 'a/b', '--out', 'odd'])).toMatchObject({
    exit: 2,
  })
  const lines = ndjson(
    await box.ok(['car', 'extract', 'odd.car', '--out', 'odd', '--force', '--json']),
  )
  expect(await readdir(box.path('odd'))).toHaveLength(ids.length)
  expect((await readdir(box.dir)).toSorted()).not.toContain('link-target')
  for (const { pi, file, kind } of lines as { pi: string; file: string; kind: string }[]) {
    expect(file).toMatch(/^odd\/[A-Za-z0-9_%~-][A-Za-z0-9._%~-]*$/)
    expect(file.length).toBeLessThan(220)
    const text = await box.read(file)
    expect(kind === 'value' ? JSON.parse(text) : text).toBe(pi)
  }
})

test('names of files are never those of two ids', () => {
  const ids = ['a', 'a.json', 'a.JSON', 'a%2Ejson', 'a%2ejson', 'A', '.a', '%2Ea', 'é', 'Ã©', 'x~y']
  const names = ids.flatMap((pi) => [fileNameOf(pi, 'value'), fileNameOf(pi, 'bytes')])
  expect(new Set(names).size).toBe(names.length)
})

test('an encrypted CAR is read with its identity, and refused without', async () => {
  const keys = await readFile(new URL('../../fixtures/age/identity.txt', import.meta.url), 'utf8')
  const recipient = /age1\w+/.exec(keys)?.[0] ?? ''
  await box.write('key.txt', keys)
  const bytes = await readFile(box.path('tuesday.car'))
  const sealed = await collect(await encryptTo([recipient], one(bytes)))
  await writeFile(box.path('sealed.age'), Buffer.concat(sealed))
  expect(await box.fails(['car', 'list', 'sealed.age'])).toMatchObject({
    exit: 12,
    code: 'access_denied',
  })
  const key = ['--identity', 'key.txt']
  expect(await box.json(['car', 'get', 'sealed.age', 'e7', ...key])).toMatchObject({ ver: 2 })
  expect(await box.json(['car', 'verify', 'sealed.age', ...key])).toMatchObject({
    verdict: 'whole',
    files: ['sealed.age'],
  })
  expect(await box.json(['car', 'inspect', 'sealed.age', ...key])).toMatchObject({
    roots: [{ dataset: 'photos' }],
  })
})

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

test('wrong usage is told in a sentence', async () => {
  expect(await box.fails(['car'])).toMatchObject({ exit: 2, message: 'A tool has to be named.' })
  expect(await box.fails(['car', 'repaint'])).toMatchObject({ exit: 2 })
  expect(await box.fails(['car', 'verify', '-'])).toMatchObject({
    exit: 2,
    message: 'A CAR cannot be read from stdin here.',
  })
  expect(await box.fails(['car', 'verify', 'nowhere.car'])).toMatchObject({ exit: 2 })
  const unknown = await box.fails(['car', 'verify', 'monday.car', '--limit', '3'])
  expect([unknown.exit, unknown.hint]).toEqual([2, 'See `cairn car --help`.'])
  expect(await box.ok(['car', '--help'])).toMatch(/^ +inspect .+$/m)
  expect(await box.ok(['car', 'extract', '--help'])).toContain('--out <dir>')
  expect(await box.ok(['help', 'car', 'diff'])).toContain('Usage: cairn car diff')
})

test('completion knows the tools and their options', async () => {
  const file = await box.write('completion.bash', await box.ok(['completion', 'bash']))
  const complete = async (...words: string[]): Promise<string[]> => {
    const list = words.map((word) => `'${word}'`).join(' ')
    const code = `source '${file}'; COMP_WORDS=(cairn ${list}); COMP_CWORD=${words.length}; _cairn; echo "\${COMPREPLY[@]}"`
    return (await exec('bash', ['-c', code])).stdout.trim().split(' ')
  }
  expect(await complete('car', 'ver')).toEqual(['verify'])
  expect(await complete('car', '')).toEqual(['inspect', 'verify', 'list', 'get', 'extract', 'diff'])
  expect(await complete('car', 'extract', '--o')).toEqual(['--out'])
  expect(await complete('car', 'list', 'x.car', '--pre')).toEqual(['--prefix'])
  expect(await complete('car', 'verify', '--lim')).toEqual([''])
  expect(await complete('car', 'verify', 'tues')).toEqual([''])
  for (const shell of ['zsh', 'fish']) {
    const script = await box.ok(['completion', shell])
    for (const word of ['inspect', 'extract', 'replace files that are there']) {
      expect(script).toContain(word)
    }
  }
})

/** The most anonymous memory, in MiB, that a run had. */
async function memoryOf(args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [box.bin(), ...args], { cwd: box.dir, stdio: 'ignore' })
  let most = 0
  const timer = setInterval(() => {
    readFile(`/proc/${child.pid}/status`, 'utf8').then(
      (text) => (most = Math.max(most, Number(/RssAnon:\s+(\d+)/.exec(text)?.[1] ?? 0))),
      () => undefined,
    )
  }, 5)
  const code = await new Promise((resolve) => child.on('close', resolve))
  clearInterval(timer)
  expect(code).toBe(0)
  return most / 1024
}

test.runIf(process.platform === 'linux')(
  'memory stays bounded on a CAR of 200,000 entities',
  async () => {
    const large = await openTest({ clock: { now: START } })
    const tip = rawCidOf(Buffer.from('elsewhere'))
    await large.dataset.bulkLoad(Array.from({ length: 200_000 }, (_, i) => ({ pi: `e${i}`, tip })))
    await writeCar(large.dataset, box.path('large.car'))
    await large.dataset.append({ pi: 'e5', tip: null })
    await writeCar(large.dataset, box.path('larger.car'))
    for (const args of [
      ['car', 'verify', 'large.car'],
      ['car', 'list', 'large.car', '--offset', '100000'],
      ['car', 'diff', 'large.car', 'larger.car'],
    ]) {
      expect(await memoryOf(args), args.join(' ')).toBeLessThan(120)
    }
  },
)
