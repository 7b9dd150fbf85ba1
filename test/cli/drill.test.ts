import { cp, readdir, readFile, writeFile } from 'node:fs/promises'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { Sandbox } from './sandbox.ts'

let filled: Sandbox
let box: Sandbox

beforeAll(async () => {
  filled = await Sandbox.make()
  const lines = Array.from({ length: 200 }, (_, i) => `{"pi":"e-${i}","value":{"i":${i}}}\n`)
  await filled.ok(['import', '-'], { input: lines.join('') })
  await filled.ok(['build-snapshot'])
  await filled.ok(['put', 'late', '--value', '1'])
})

afterAll(() => filled.remove())

beforeEach(async () => {
  box = await Sandbox.make()
  await cp(filled.path('.cairn'), box.path('.cairn'), { recursive: true })
})

afterEach(() => box.remove())

const REPORT = '.cairn/backups/drill-report.json'

const report = async (): Promise<Record<string, unknown>> =>
  JSON.parse(await box.read(REPORT)) as Record<string, unknown>

const exported = async (...args: string[]): Promise<string> =>
  (await box.ok(['export-car', ...args])).trim()

test('the newest backup is restored, compared with the live dataset, and timed', async () => {
  await exported()
  const scratch = box.path('scratch')
  const printed = await box.json(['drill', '--scratch', scratch, '--report', 'also.json'])
  expect(printed).toMatchObject({
    status: 'passed',
    dataset: 'main',
    total_count: 201,
    error: null,
    rpo_ms: 0,
    rto_ms: expect.any(Number),
    last_success: { finished_at: printed['finished_at'] },
  })
  expect(printed['compared_with_live']).toBe(printed['sampled'])
  expect(printed['sampled']).toBeGreaterThan(50)
  const checks = printed['checks'] as { name: string; ok: boolean }[]
  expect(checks.map(({ name, ok }) => [name, ok])).toEqual(
    ['snapshot', 'entities', 'recent entries', 'next position', 'sample', 'write'].map((name) => [
      name,
      true,
    ]),
  )
  expect(await report()).toEqual(printed)
  expect(JSON.parse(await box.read('also.json'))).toEqual(printed)
  expect(await readdir(scratch)).toEqual([])
})

test('a live dataset that went on is no fault; what is new counts for the recovery point', async () => {
  await exported()
  for (const pi of ['e-1', 'e-2', 'new']) await box.ok(['put', pi, '--value', '"changed"'])
  await box.ok(['append', 'e-3', '--delete'])
  const printed = await box.json(['drill', '--sample', '500'])
  expect(printed).toMatchObject({ status: 'passed', sampled: 201, compared_with_live: 201 })
  expect(printed['rpo_ms']).toBeGreaterThan(0)
  const over = await box.run(['drill', '--max-rpo', '1ms'])
  expect(over.code).toBe(18)
  expect(over.stdout).toContain('failed  recovery point')
})

test('a drill works when the live store is lost, and a delta brings its base', async () => {
  await exported()
  await box.ok(['build-snapshot'])
  await box.ok(['put', 'e-5', '--value', '"five"'])
  await exported('--since', 'seq:1')
  const env = { CAIRN_STORE: 'lmdb:lost' }
  const printed = await box.json(['drill'], { env })
  expect(printed).toMatchObject({ status: 'passed', total_count: 201, compared_with_live: 0 })
  expect(printed['sources']).toHaveLength(2)
})

test('limits and damage end with 18, and the last success is remembered', async () => {
  const car = await exported()
  const good = await box.json(['drill', '--max-rto', '10m', '--max-rpo', '1h'])
  expect(good['status']).toBe('passed')
  expect(await box.fails(['drill', '--max-rto', '1ms'])).toMatchObject({
    exit: 18,
    code: 'unhealthy',
  })
  expect(await report()).toMatchObject({
    status: 'failed',
    error: null,
    last_success: { finished_at: good['finished_at'] },
  })
  const bytes = await readFile(box.path(car))
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
  await writeFile(box.path(car), bytes)
  const bad = await box.fails(['drill'])
  expect(bad).toMatchObject({ exit: 18, message: expect.stringContaining('other bytes') })
  expect(await report()).toMatchObject({
    status: 'failed',
    error: { code: 'block_mismatch' },
    last_success: { finished_at: good['finished_at'] },
  })
})

test('no backup is unhealthy; a wrong call is told as one and writes no report', async () => {
  expect(await box.fails(['drill'])).toMatchObject({
    exit: 18,
    message: expect.stringContaining('no backup'),
  })
  expect(await report()).toMatchObject({ status: 'failed', error: { code: 'not_found' } })
  await exported('--content', 'index')
  expect((await box.fails(['drill'])).message).toContain('with its content')
  for (const more of [
    ['--max-rto', 'soon'],
    ['--sample', '0'],
    ['--identity', 'nope.txt'],
  ])
    expect((await box.fails(['drill', ...more])).exit).toBe(2)
})

test('an encrypted backup needs the identity', async () => {
  const identity = await generateX25519Identity()
  await box.write('key.txt', `${identity}\n`)
  await exported('--encrypt-to', await identityToRecipient(identity))
  expect(await box.fails(['drill'])).toMatchObject({ exit: 18 })
  expect(await box.json(['drill', '--identity', 'key.txt'])).toMatchObject({ status: 'passed' })
})

test('a backup of another dataset is not compared with this one', async () => {
  const car = await exported()
  await box.ok(['restore-car', car, '--as', 'other'])
  await box.ok(['put', 'e-1', '--value', '"theirs"', '-d', 'other'])
  const taken = await exported('-d', 'other')
  const printed = await box.json(['drill', '--from', taken])
  expect(printed).toMatchObject({ status: 'passed', dataset: 'other', compared_with_live: 0 })
})

test('a backup that is not of the live data fails', async () => {
  const car = await exported()
  // Another store with the same history of positions, whose entities differ.
  const env = { CAIRN_STORE: 'lmdb:other' }
  await box.ok(['restore-car', car], { env })
  const lines = Array.from({ length: 200 }, (_, i) => `{"pi":"e-${i}","value":"other"}\n`)
  await box.ok(['import', '-'], { env, input: lines.join('') })
  const taken = await exported('--store', 'lmdb:other', '--backups-dir', 'theirs')
  const failing = await box.fails(['drill', '--from', taken])
  expect(failing).toMatchObject({ exit: 18, message: expect.stringContaining('sample') })
})
