import { chmod, stat } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { checkClock, checkNode, spaceResult } from '../../src/cli/doctor/machine.ts'
import { pointerResults } from '../../src/cli/doctor/store.ts'
import type { DatasetStatus } from '../../src/engine/status.ts'
import { Sandbox } from './sandbox.ts'

let box: Sandbox

interface Check {
  readonly name: string
  readonly status: string
  readonly message: string
  readonly hint?: string
}

beforeAll(async () => {
  box = await Sandbox.make()
})

afterAll(() => box.remove())

const checksOf = (report: Record<string, unknown>): Map<string, Check> =>
  new Map((report['checks'] as Check[]).map((check) => [check.name, check]))

/** A folder for temporary files may lie in memory, which is one warning more. */
const inMemory = (checks: Map<string, Check>): number =>
  checks.get('file system')?.status === 'warning' ? 1 : 0

test('without a store the verdict is 18, and every check is there', async () => {
  const { code, stdout, stderr } = await box.run(['doctor', '--json'])
  expect(code).toBe(18)
  const report = JSON.parse(stdout) as Record<string, unknown>
  expect(Object.keys(report)).toEqual(['healthy', 'warnings', 'failures', 'checks'])
  expect(report).toMatchObject({ healthy: false, failures: 1 })
  const checks = checksOf(report)
  expect(checks.get('node')).toEqual({ name: 'node', status: 'ok', message: process.versions.node })
  expect(checks.get('store')).toMatchObject({ status: 'failed', hint: expect.any(String) })
  expect(checks.get('dataset')).toMatchObject({ status: 'skipped' })
  expect(JSON.parse(stderr)).toMatchObject({ exit_error: { code: 'unhealthy' } })
})

test('with a store all is well', async () => {
  await box.ok(['put', 'a', '--value', '1'])
  const report = await box.json(['doctor'])
  const checks = checksOf(report)
  const always = inMemory(checks)
  expect(report).toMatchObject({ healthy: true, warnings: always, failures: 0 })
  for (const name of [
    'clock',
    'permissions',
    'space',
    'store',
    'dataset',
    'recent chain',
    'durability',
  ]) {
    expect([name, checks.get(name)?.status]).toEqual([name, 'ok'])
  }
  const text = await box.ok(['doctor'])
  expect(text).toContain('ok       store: lmdb:./.cairn/store opens\n')
  expect(text.trimEnd().split('\n').at(-1)).toBe(
    `healthy, ${always} warning${always === 1 ? '' : 's'}`,
  )
})

test('an open folder, a misspelt variable and a secret for all eyes are warnings', async () => {
  await chmod(box.path('.cairn/store'), 0o755)
  await box.write('.env', 'CAIRN_KUBO_TOKEN=bearer:topsecret')
  await chmod(box.path('.env'), 0o644)
  const report = await box.json(['doctor'], { env: { CAIRN_STROE: 'x' } })
  const checks = checksOf(report)
  expect(report).toMatchObject({ healthy: true, warnings: 3 + inMemory(checks) })
  expect(checks.get('permissions')).toMatchObject({
    status: 'warning',
    hint: expect.stringContaining('chmod 700'),
  })
  expect(checks.get('environment')).toMatchObject({ message: 'Nothing reads CAIRN_STROE.' })
  expect(checks.get('secrets')).toMatchObject({
    status: 'warning',
    hint: expect.stringContaining('chmod 600'),
  })
  await chmod(box.path('.cairn/store'), 0o700)
})

test('a support bundle holds what is needed and no secret', async () => {
  const run = await box.run([
    'doctor',
    '--bundle',
    'support.json',
    '--kubo-url',
    'http://me:hunter2hunter2@node:5001',
  ])
  expect(run.code).toBe(0)
  const text = await box.read('support.json')
  expect(text).not.toMatch(/topsecret|hunter2/)
  expect(run.stdout + run.stderr).not.toMatch(/topsecret|hunter2/)
  expect(JSON.parse(text)).toEqual({
    schema: 'cairn/support-bundle@v1',
    made: expect.any(String),
    versions: expect.objectContaining({ cairn: expect.any(String), node: process.versions.node }),
    platform: expect.objectContaining({ arch: process.arch }),
    config: expect.objectContaining({
      kubo_token: { value: '***', origin: '.env line 1 CAIRN_KUBO_TOKEN' },
      kubo_url: { value: 'http://***@node:5001', origin: 'flag' },
    }),
    checks: expect.any(Array),
    status: expect.objectContaining({ total_count: 1 }),
  })
  expect((await stat(box.path('support.json'))).mode & 0o777).toBe(0o600)
  expect((await box.run(['doctor', '--bundle', 'support.json'])).code).toBe(2)
  await box.ok(['doctor', '--bundle', 'support.json', '--force'])
})

test('old versions of Node, wrong clocks and full disks are seen', () => {
  expect(checkNode('18.20.0').status).toBe('failed')
  expect(checkNode('20.18.9').status).toBe('failed')
  for (const version of ['20.19.0', '22.0.0', '24.1.0'])
    expect(checkNode(version).status).toBe('ok')
  expect(checkClock(0).status).toBe('failed')
  expect(spaceResult('space', '/', 1000).status).toBe('failed')
  expect(spaceResult('space', '/', 500 << 20).status).toBe('warning')
})

test('a chain that is nearly full and commits from the future are seen', () => {
  const status = (recent: number, ts: number): DatasetStatus =>
    ({
      pointer: { settings: { chain_limit: 100 }, recent_count: recent, ts },
    }) as unknown as DatasetStatus
  const now = Date.now()
  const states = (of: DatasetStatus): string[] =>
    pointerResults(of, now).map(({ status: one }) => one)
  expect(states(status(10, now))).toEqual(['ok', 'ok'])
  expect(states(status(80, now))).toEqual(['warning', 'ok'])
  expect(states(status(10, now + 3_600_000))).toEqual(['ok', 'failed'])
})
