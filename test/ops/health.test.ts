/** check-snapshot-health: each alert is there when its cause is, and only then. */
import { readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Result } from '../cli/sandbox.ts'
import { makeKit, parseJson, type Kit } from './kit.ts'

let kit: Kit
let env: { DATA_DIR: string; BACKUPS_DIR: string }

// How full the disk of this machine is says nothing about the script.
const SCRIPT = 'check-snapshot-health.sh'
const SKIP_DISK = ['--skip', 'disk']

interface Health {
  readonly code: number | null
  readonly healthy: unknown
  readonly alerts: readonly { readonly check: string; readonly level: string; message: string }[]
}

beforeAll(async () => {
  kit = await makeKit()
  env = { DATA_DIR: kit.box.path('data'), BACKUPS_DIR: kit.box.path('cars') }
  await put('a')
  await kit.box.ok(['build-snapshot'], { env })
})

afterAll(() => kit.box.remove())

const put = (pi: string): Promise<string> => kit.box.ok(['put', pi, '--value', `"${pi}"`], { env })

async function health(...args: string[]): Promise<Health> {
  const { code, stdout } = await kit.run(SCRIPT, ['--json', ...SKIP_DISK, ...args], env)
  const { healthy, alerts } = parseJson(stdout)
  return { code, healthy, alerts: alerts as Health['alerts'] }
}

const checksOf = ({ alerts }: Health): string[] => alerts.map(({ check }) => check)

/** Changes a JSON file of the folder of CARs. */
async function edit(beginning: string, change: Record<string, unknown>): Promise<void> {
  const names = await readdir(env.BACKUPS_DIR)
  const name = names.find((one) => one.startsWith(beginning) && one.endsWith('.json'))
  const path = join(env.BACKUPS_DIR, name ?? '')
  await writeFile(path, JSON.stringify({ ...parseJson(await readFile(path, 'utf8')), ...change }))
}

test('from no CAR at all to a healthy dataset, and what makes it unhealthy again', async () => {
  const bare = await health()
  expect(bare).toMatchObject({ code: 18, healthy: false })
  expect(checksOf(bare)).toEqual(['car', 'drill'])
  expect(bare.alerts[0]).toMatchObject({
    level: 'critical',
    message: expect.stringContaining('No CAR'),
  })

  await kit.box.ok(['export-car'], { env })
  expect(checksOf(await health())).toEqual(['drill'])
  await kit.box.ok(['drill'], { env })
  expect(await health()).toEqual({ code: 0, healthy: true, alerts: [] })
  const silent = await kit.run(SCRIPT, ['--quiet', ...SKIP_DISK], env)
  expect(silent).toEqual({ code: 0, stdout: '', stderr: '' })

  // Old, but there is nothing that it lacks.
  await edit('main-', { timestamp: '20200101-000000' })
  expect(checksOf(await health())).toEqual([])
  await put('b')
  expect(checksOf(await health())).toEqual(['car'])
  expect(checksOf(await health('--skip', 'car'))).toEqual([])
  await edit('main-', { size_bytes: 1 })
  expect((await health()).alerts[0]?.message).toContain('No CAR')
  await kit.box.ok(['export-car', '--force'], { env })
  expect(checksOf(await health())).toEqual([])
})

test('a delta whose base is gone is no backup', async () => {
  const own = { DATA_DIR: kit.box.path('deltas'), BACKUPS_DIR: kit.box.path('delta-cars') }
  const ok = (...args: string[]): Promise<string> => kit.box.ok(args, { env: own })
  await ok('put', 'a', '--value', '1')
  await ok('build-snapshot', '--tag', 'weekly')
  const full = (await ok('export-car', '--snapshot', 'weekly')).trim()
  await ok('put', 'a', '--value', '2')
  await ok('export-car', '--since', 'weekly')
  const args = ['--json', ...SKIP_DISK, '--skip', 'drill', '--backups-dir', own.BACKUPS_DIR]
  const look = (): Promise<Result> => kit.run(SCRIPT, args, { DATA_DIR: own.DATA_DIR })
  expect((await look()).code).toBe(0)
  await rm(full)
  expect(parseJson((await look()).stdout)).toMatchObject({
    alerts: [{ check: 'car', message: expect.stringContaining('No CAR') }],
  })
})

test('a drill that is old, or failed, is an alert', async () => {
  await kit.box.ok(['export-car'], { env })
  await kit.box.ok(['drill'], { env })
  await edit('drill-report', { finished_at: '2020-01-01T00:00:00.000Z' })
  expect((await health('--skip', 'car')).alerts).toMatchObject([
    { check: 'drill', level: 'warning' },
  ])
  expect(checksOf(await health('--max-drill-age=5000w', '--skip', 'car'))).toEqual([])
  await edit('drill-report', { status: 'failed' })
  expect((await health('--skip', 'car')).alerts).toMatchObject([
    { check: 'drill', level: 'critical' },
  ])
  await kit.box.ok(['drill'], { env })
})

test('the recent chain and the age of the snapshot', async () => {
  await put('c')
  const { stdout, code } = await kit.run(SCRIPT, ['--max-chain', '0', ...SKIP_DISK], env)
  expect(code).toBe(18)
  expect(stdout).toMatch(/^CRITICAL: Recent chain has \d entries \(threshold: 0\)$/m)
  const own = await kit.run(SCRIPT, ['--json', ...SKIP_DISK], {
    ...env,
    REBUILD_THRESHOLD: '1',
    EMERGENCY_THRESHOLD: '2',
  })
  expect(parseJson(own.stdout)).toMatchObject({ alerts: [{ check: 'chain', threshold: 2 }] })
  expect(checksOf(await health('--max-snapshot-age', '0m'))).toEqual(['snapshot'])
  await kit.box.ok(['build-snapshot'], { env })
  expect(checksOf(await health('--max-snapshot-age', '0m', '--max-chain', '0'))).toEqual([])
})

test('a store that is not there is unhealthy; wrong usage is not the same', async () => {
  const gone = await kit.run(SCRIPT, ['--json'], { DATA_DIR: kit.box.path('gone') })
  expect(gone.code).toBe(18)
  expect(parseJson(gone.stdout)).toMatchObject({ healthy: false, alerts: [{ check: 'store' }] })
  for (const args of [
    ['--skip', 'everything'],
    ['--max-chain', 'x'],
    ['--max-car-age'],
    ['--nix'],
  ]) {
    const { code, stdout } = await kit.run(SCRIPT, args, env)
    expect({ args, code, stdout }).toEqual({ args, code: 2, stdout: '' })
  }
})

test('what `cairn verify` has found is an alert', async () => {
  const marker = 'a text that stands in one block only'
  await kit.box.ok(['put', 'd', '--value', `"${marker}"`], { env })
  await kit.box.ok(['build-snapshot'], { env })
  await kit.box.ok(['verify'], { env })
  expect(checksOf(await health('--skip', 'car'))).toEqual([])
  const file = join(env.DATA_DIR, 'store', 'data.mdb')
  const bytes = await readFile(file)
  for (let at = bytes.indexOf(marker); at >= 0; at = bytes.indexOf(marker, at + 1)) bytes[at] = 0x41
  await writeFile(file, bytes)
  expect((await kit.box.run(['verify'], { env })).code).toBe(4)
  const found = await health('--skip', 'car')
  expect(found.alerts).toMatchObject([{ check: 'verify', level: 'critical' }])
})
