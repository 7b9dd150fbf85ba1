import { execFileSync } from 'node:child_process'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { gzipSync } from 'node:zlib'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { CID, ndjson, Sandbox } from './sandbox.ts'

let box: Sandbox
/** CARs of three states: before, after, and with an entity that is in no snapshot yet. */
let full: string
let delta: string

const exported = async (...args: string[]): Promise<string> =>
  (await box.ok(['export-car', ...args])).trim()

const all = async (store: string, dataset = 'main'): Promise<Record<string, unknown>[]> =>
  ndjson(await box.ok(['export', '--values', '--store', store, '-d', dataset]))

const isThere = (path: string): Promise<boolean> =>
  stat(box.path(path)).then(
    () => true,
    () => false,
  )

beforeAll(async () => {
  box = await Sandbox.make()
  const lines = Array.from({ length: 400 }, (_, i) => `{"pi":"e-${i}","value":{"i":${i}}}\n`)
  await box.ok(['import', '-'], { input: lines.join('') })
  await box.ok(['build-snapshot'])
  full = await exported()
  await writeFile(box.path('large.bin'), new Uint8Array(3_000_000).fill(7))
  await box.ok(['put', 'e-1', 'large.bin'])
  await box.ok(['append', 'e-2', '--delete'])
  await box.ok(['build-snapshot'])
  await box.ok(['put', 'late', '--value', '{"late":true}'])
  delta = await exported('--since', 'seq:1')
})

afterAll(() => box.remove())

test.each([
  ['a file', [], [] as string[]],
  ['a CARv2', ['--v2'], []],
])(
  '%s brings everything back, chain and content, and again changes nothing',
  async (_, how, more) => {
    const store = `lmdb:to${how.join('')}`
    const car = await exported('--force', ...how)
    const restored = await box.run(['restore-car', car, '--store', store, ...more])
    expect(restored).toMatchObject({ code: 0, stdout: expect.stringMatching(/^baf[a-z2-7]+\n$/) })
    expect(restored.stderr).toContain('"main" is restored: snapshot 2, 400 entities')
    expect(await all(store)).toEqual(await all('lmdb:.cairn/store'))
    const root = (await box.json(['status']))['root']
    expect((await box.json(['status', '--store', store]))['root']).toBe(root)
    const bytes = await box.run(['cat', 'e-1', '--store', store])
    expect(bytes.stdout).toHaveLength(3_000_000)
    const again = await box.json(['restore', car, '--store', store])
    expect(again).toMatchObject({ status: 'already_restored', undo: null })
  },
)

test('a base and its delta restore in any order, the delta alone onto a store with the base', async () => {
  const here = await all('lmdb:.cairn/store')
  await box.ok(['restore-car', delta, full, '--store', 'lmdb:both'])
  expect(await all('lmdb:both')).toEqual(here)
  expect(await box.fails(['restore-car', delta, '--store', 'lmdb:alone'])).toMatchObject({
    exit: 5,
    code: 'base_missing',
  })
  await box.ok(['restore-car', full, '--store', 'lmdb:alone'])
  await box.ok(['restore-car', delta, '--store', 'lmdb:alone', '--replace', '--yes'])
  expect(await all('lmdb:alone')).toEqual(here)
})

test('stdin, and the older interface with a CID behind the file', async () => {
  const input = await readFile(box.path(full))
  const report = await box.json(['restore-car', '-', '--store', 'lmdb:piped'], { input })
  expect(report).toEqual({
    status: 'restored',
    dataset: 'main',
    snapshot: expect.stringMatching(CID),
    root: expect.stringMatching(CID),
    seq: 1,
    snapshot_ts: expect.any(String),
    recent_count: 0,
    total_count: 400,
    generation: expect.any(Number),
    undo: null,
    cid_counts: expect.objectContaining({ snapshot: 1, dag_nodes: 400 }),
  })
  const old = { bin: 'restore-from-car' }
  const cid = String(report['snapshot'])
  expect(await box.ok([full, cid, '--store', 'lmdb:older'], old)).toBe(`${cid}\n`)
  execFileSync('mkfifo', [box.path('pipe')])
  const feeding = writeFile(box.path('pipe'), input)
  expect(await box.ok(['restore-car', 'pipe', '--store', 'lmdb:fifo'])).toBe(`${cid}\n`)
  await feeding
  expect((await box.fails([full, 'seq:9', '--store', 'lmdb:older'], old)).exit).toBe(10)
  expect((await box.fails([full, cid, '--at', cid, '--store', 'lmdb:older'], old)).exit).toBe(2)
  expect((await box.fails(['-', '-', '--store', 'lmdb:older'], old)).exit).toBe(2)
})

test('an encrypted CAR needs an identity, and the right one', async () => {
  const [identity, other] = [await generateX25519Identity(), await generateX25519Identity()]
  await box.write('key.txt', `# a comment\n${identity}\n`)
  await box.write('other.txt', `${other}\n`)
  for (const how of [[], ['--v2']]) {
    const car = await exported('--encrypt-to', await identityToRecipient(identity), ...how)
    const args = ['restore-car', car, '--store', `lmdb:secret${how.join('')}`]
    expect((await box.fails(args)).exit).toBe(12)
    expect((await box.fails([...args, '--identity', 'other.txt'])).exit).toBe(12)
    await box.ok([...args, '--identity', 'other.txt', '--identity', 'key.txt'])
    expect(await all(`lmdb:secret${how.join('')}`)).toEqual(await all('lmdb:.cairn/store'))
  }
})

test('a dry run proves all and changes nothing, not even that there is a store', async () => {
  const planned = await box.json(['restore-car', full, '--dry-run', '--store', 'lmdb:nowhere'])
  expect(planned).toMatchObject({ status: 'planned', seq: 1, total_count: 400, generation: null })
  expect(await isThere('nowhere')).toBe(false)
  const before = await box.json(['status'])
  await box.ok(['restore-car', full, '--dry-run', '--replace'])
  expect((await box.json(['status']))['commit']).toBe(before['commit'])
  const bytes = await readFile(box.path(full))
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
  await writeFile(box.path('bad.car'), bytes)
  const bad = await box.fails(['restore-car', 'bad.car', '--dry-run', '--store', 'lmdb:nowhere'])
  expect(bad).toMatchObject({ exit: 4, code: 'block_mismatch' })
  expect(bad.message).toContain('bad.car')
})

test('what is there is replaced only when asked to, and that is undone by a rollback', async () => {
  await box.ok(['restore-car', delta, full, '--store', 'lmdb:again'])
  const before = await all('lmdb:again')
  const args = ['restore-car', full, '--store', 'lmdb:again']
  expect(await box.fails(args)).toMatchObject({ exit: 13, code: 'conflict' })
  expect(await box.fails([...args, '--replace'])).toMatchObject({ exit: 2, code: 'usage' })
  expect(await all('lmdb:again')).toEqual(before)
  const { undo } = await box.json([...args, '--replace', '--yes'])
  expect(await all('lmdb:again')).toHaveLength(400)
  expect(await all('lmdb:again')).not.toEqual(before)
  await box.ok(['rollback', '--commit', String(undo), '--yes', '--store', 'lmdb:again'])
  expect(await all('lmdb:again')).toEqual(before)
  await box.ok([...args, '--as', 'beside'])
  expect(await all('lmdb:again')).toEqual(before)
  expect(await all('lmdb:again', 'beside')).toHaveLength(400)
})

test('a dataset that was named must be the one of the CAR', async () => {
  const args = ['restore-car', full, '--store', 'lmdb:named', '-d', 'other']
  const refused = await box.fails(args)
  expect(refused).toMatchObject({ exit: 2, hint: expect.stringContaining('--as other') })
  expect(await box.json([...args, '--as', 'other'])).toMatchObject({ dataset: 'other' })
  expect(
    await box.json(['restore-car', full, '-d', 'main', '--store', 'lmdb:named']),
  ).toMatchObject({
    dataset: 'main',
  })
})

test('what is no CAR is refused with a hint', async () => {
  await writeFile(box.path('c.car.gz'), gzipSync(await readFile(box.path(full))))
  const zipped = await box.fails(['restore-car', 'c.car.gz', '--store', 'lmdb:none'])
  expect(zipped).toMatchObject({
    exit: 4,
    hint: expect.stringContaining('gunzip'),
    message: expect.stringContaining('c.car.gz'),
  })
  const piped = await box.fails(['restore-car', '-', '--store', 'lmdb:none'], {
    input: await readFile(box.path('c.car.gz')),
  })
  expect(piped).toMatchObject({ exit: 4, hint: expect.stringContaining('gunzip') })
  expect((await box.fails(['restore-car', '-', '--store', 'lmdb:none'])).exit).toBe(4)
  expect((await box.fails(['restore-car', 'nope.car', '--store', 'lmdb:none'])).exit).toBe(2)
  expect((await box.fails(['restore-car', '.', '--store', 'lmdb:none'])).exit).toBe(2)
  expect((await box.fails(['restore-car'])).exit).toBe(2)
  expect(await isThere('none')).toBe(false)
})

test('content that is left out must be in the store', async () => {
  const index = await exported('--content', 'index')
  expect(await box.fails(['restore-car', index, '--store', 'lmdb:thin'])).toMatchObject({ exit: 5 })
  await box.ok(['restore-car', index, '--as', 'copy'])
  expect(await all('lmdb:.cairn/store', 'copy')).toEqual(await all('lmdb:.cairn/store'))
})
