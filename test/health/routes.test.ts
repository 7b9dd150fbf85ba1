/** Health, coverage and automation over HTTP. */
import { mkdir, writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { CairnError } from '../../src/errors.ts'
import { exportTask } from '../../src/tasks/export.ts'
import { startService, type TestService } from '../helpers/service.ts'
import { task } from './backups.ts'

const PLACE = '/v1/datasets/main'

async function withCar(): Promise<TestService> {
  const one = await startService({ automation: false, init: { content: 'linked' } })
  const { cairn, backend, values, now } = one.service
  await (await cairn.dataset('main')).put('a', 1)
  const context = task({ cairn, backend, now, dir: values().data_dir })
  await exportTask({ ...context, backupsDir: values().backups_dir })
  return one
}

test('health is looked at now, and what is wrong is no error', async () => {
  const { request } = await withCar()
  const { status, json } = await request('GET', `${PLACE}/health`)
  expect(status).toBe(200)
  expect(json).toMatchObject({ healthy: false, dataset: 'main', recent_count: 1 })
  const { alerts, checks } = json as { alerts: { check: string }[]; checks: { check: string }[] }
  expect(alerts.map(({ check }) => check).filter((one) => one !== 'disk')).toEqual(['drill'])
  expect(checks.find(({ check }) => check === 'car')).toMatchObject({
    level: 'ok',
    message: expect.stringContaining('has all entries'),
  })
})

test('coverage, also from a time on', async () => {
  const { request } = await withCar()
  const { status, json } = await request('GET', `${PLACE}/coverage`)
  expect(status).toBe(200)
  expect(json).toMatchObject({ dataset: 'main', covered: true, findings: [{ kind: 'unproved' }] })
  const { intervals } = json as { intervals: unknown[] }
  expect(intervals.at(-1)).toMatchObject({
    store: { by: 'commit', name: null, exact: true, state_of: null, loses_ms: 0, proved_at: null },
    cars: { by: 'car', exact: true, proved_by: 'export' },
  })
  const since = await request('GET', `${PLACE}/coverage?since=2020-01-01T00:00:00Z`)
  expect(since.json).toMatchObject({
    covered: false,
    from: '2020-01-01T00:00:00.000Z',
    findings: [{ kind: 'hole' }, { kind: 'unproved' }],
  })
})

test('what the automation does', async () => {
  const { request } = await startService()
  const { status, json } = await request('GET', `${PLACE}/automation`)
  expect(status).toBe(200)
  expect(json).toMatchObject({
    schema: 'cairn/automation@v1',
    dataset: 'main',
    schedules: { build: { cron: '0 2 * * *', time_zone: 'UTC' } },
  })
})

test('a dataset that is not there is 404, an impossible query 400, another method 405', async () => {
  const { request } = await startService({ automation: false })
  for (const what of ['health', 'coverage', 'automation']) {
    expect((await request('GET', `/v1/datasets/none/${what}`)).status).toBe(404)
    expect((await request('GET', `${PLACE}/${what}?nix=1`)).status).toBe(400)
    expect((await request('POST', `${PLACE}/${what}`)).status).toBe(405)
  }
  for (const since of ['yesterday', '-1', '2026-02-30T00:00:00Z', ''])
    expect((await request('GET', `${PLACE}/coverage?since=${since}`)).status).toBe(400)
})

test('a store that does not answer is a finding, not an error', async () => {
  const inner = openMemory()
  let away = false
  const backend = new Proxy(inner, {
    get: (target, name: keyof typeof inner) => {
      const value: unknown = target[name]
      if (typeof value !== 'function') return value
      return (...args: unknown[]) => {
        if (away && name === 'newest') throw new CairnError('backend_unavailable', 'It is away.')
        return (value as (...all: unknown[]) => unknown).apply(target, args)
      }
    },
  })
  const { request, set, service } = await startService({ backend, automation: false })
  away = true
  const { status, json } = await request('GET', `${PLACE}/health`)
  expect(status).toBe(200)
  expect(json).toMatchObject({
    level: 'critical',
    recent_count: null,
    snapshot_ts: null,
    alerts: [{ check: 'store', code: 'backend_unavailable', message: 'It is away.' }],
  })
  away = false
  const folder = `${service.values().data_dir}/odd`
  await mkdir(folder)
  await writeFile(`${folder}/drill-report.json`, '{"half')
  set({ backups_dir: folder })
  service.health.reload(service.values())
  const later = await request('GET', `${PLACE}/health`)
  expect(later.json).toMatchObject({
    alerts: expect.arrayContaining([
      expect.objectContaining({
        check: 'drill',
        message: expect.stringContaining('cannot be checked'),
      }),
    ]),
  })
})
