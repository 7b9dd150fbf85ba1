/** `cairn health` and `cairn coverage` as they are called. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Sandbox, TIME } from '../cli/sandbox.ts'

let box: Sandbox
const SKIP = ['--skip', 'disk']

beforeAll(async () => {
  box = await Sandbox.make()
  await box.ok(['put', 'a', '--value', '1'])
  await box.ok(['put', 'x', '--value', '1', '-d', 'other'])
  await box.ok(['export-car'])
  await box.ok(['drill'])
})

afterAll(() => box.remove())

const parse = (text: string): Record<string, unknown> => JSON.parse(text) as Record<string, unknown>

test('all datasets, or the one that is named', async () => {
  const all = await box.run(['health', '--json', ...SKIP])
  expect(all.code).toBe(18)
  expect(parse(all.stdout)).toMatchObject({
    healthy: false,
    level: 'critical',
    dataset: 'main',
    checked_at: expect.stringMatching(TIME),
    recent_count: 1,
    snapshot_ts: expect.stringMatching(TIME),
    alerts: [
      { dataset: 'other', check: 'car', level: 'critical' },
      { dataset: 'other', check: 'drill', level: 'warning' },
    ],
    datasets: [
      { dataset: 'main', healthy: true, alerts: [] },
      { dataset: 'other', healthy: false, recent_count: 1 },
    ],
  })
  expect(parse(all.stderr)).toMatchObject({ exit_error: { code: 'unhealthy' } })
  const one = await box.run(['health', '-d', 'main', '--quiet', ...SKIP])
  expect(one).toEqual({ code: 0, stdout: '', stderr: '' })
  expect(await box.run(['health', '--configured', '--quiet', ...SKIP])).toEqual(one)
  const named = await box.run(['health', '--json', ...SKIP], { env: { CAIRN_DATASET: 'other' } })
  expect(parse(named.stdout)).toMatchObject({ dataset: 'other', datasets: [{ dataset: 'other' }] })
})

test('lines for people: each check, and where there are more datasets which one it is of', async () => {
  const { stdout, stderr } = await box.run(['health', ...SKIP])
  expect(stdout).toMatch(
    /^dataset main\nOK: store: the store and the index pointer can be read\nOK: chain: 1 /,
  )
  expect(stdout).toMatch(
    /^dataset other\n[^]*^CRITICAL: car: No backups found! .*\n {2}hint: cairn export-car$/m,
  )
  expect(stderr).toContain('2 checks found something wrong')
  const quiet = await box.run(['health', '-q', ...SKIP, '--skip', 'drill'])
  expect(quiet.stdout.split('\n')).toHaveLength(4)
})

test('a node that cannot be reached is 17, a store that is not there 18, wrong usage 2', async () => {
  const away = await box.run([
    'health',
    '--json',
    '--store',
    'kubo:http://127.0.0.1:1',
    '--deadline',
    '500ms',
    ...SKIP,
  ])
  expect(away.code).toBe(17)
  expect(parse(away.stdout)).toMatchObject({
    healthy: false,
    recent_count: null,
    alerts: [{ check: 'store', code: 'backend_unavailable' }],
  })
  const skipped = await box.run([
    'health',
    '--json',
    '--data-dir',
    box.path('gone'),
    '--skip',
    'store',
  ])
  expect(skipped.code).toBe(18)
  expect(parse(skipped.stdout)).toMatchObject({ alerts: [{ code: 'store_not_found' }] })
  for (const args of [['--skip', 'nix'], ['--max-car-age', 'x'], ['--nix'], ['word']]) {
    const { code, stdout } = await box.run(['health', ...args])
    expect({ args, code, stdout }).toEqual({ args, code: 2, stdout: '' })
  }
})

test('coverage: a table, and JSON', async () => {
  const { stdout } = await box.run(['coverage'])
  const [head, ...rows] = stdout.trimEnd().split('\n')
  expect(head).toMatch(/^FROM +TO +FROM THE STORE +FROM CARS ALONE$/)
  expect(rows.length).toBeGreaterThan(0)
  expect(rows.join('\n')).toMatch(
    /every moment, not proved +main-0-[\w-]+\.car, proved \S+ by drill/,
  )
  const report = await box
    .json(['coverage', '--since', '2020-01-01T00:00:00Z'])
    .catch((error: unknown) => String(error))
  expect(report).toContain('ended with 18')
  const holes = await box.run(['coverage', '--since', '2020-01-01T00:00:00Z', '--json'])
  expect(parse(holes.stdout)).toMatchObject({
    dataset: 'main',
    covered: false,
    from: '2020-01-01T00:00:00.000Z',
    intervals: [{ from: '2020-01-01T00:00:00.000Z', store: null, cars: null }, {}, {}]
      .slice(0, 1)
      .concat(expect.anything() as never, expect.anything() as never),
    findings: [{ kind: 'hole', level: 'critical' }, { kind: 'unproved' }],
  })
  expect(await box.fails(['coverage', '-d', 'none'])).toMatchObject({ exit: 10 })
})

test('coverage of a dataset without a CAR ends with 18 and says what to do', async () => {
  const { code, stdout } = await box.run(['coverage', '-d', 'other', '--quiet'])
  expect(code).toBe(18)
  expect(stdout).toContain('CRITICAL: The newest state is in the store alone')
  expect(stdout).toContain('  hint: cairn export-car')
})

test('texts from a folder of backups are shown, not obeyed', async () => {
  const folder = join(box.dir, 'odd\u001B[2Jname')
  await mkdir(folder)
  await writeFile(join(folder, 'x'), '')
  const { stdout } = await box.run(['health', '-d', 'main', '--backups-dir', folder, ...SKIP])
  expect(stdout).not.toContain('\u001B')
  expect(stdout).toContain('odd\\u001b[2Jname')
})
