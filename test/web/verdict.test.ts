/** The sentence that answers "is my data safe?". */
import { expect, test } from 'vitest'
import type { AutomationRecord, Finding, HealthReport } from '../../src/client/index.ts'
import type { DatasetStatus } from '../../web/src/app/status.ts'
import { cureOf, provedAt, verdictOf, waitingText } from '../../web/src/views/safety/verdict.ts'

const NOW = Date.UTC(2026, 5, 1, 12, 0, 0)
const HOUR = 3_600_000

const drill = (fields: Partial<Finding> = {}): Finding => ({
  check: 'drill',
  level: 'ok',
  message: 'it passed',
  value: 3 * HOUR,
  ...fields,
})

function health(level: HealthReport['level'], ...checks: Finding[]): HealthReport {
  const alerts = checks.filter((one) => one.level !== 'ok')
  return {
    healthy: alerts.length === 0,
    level,
    dataset: 'main',
    checked_at: new Date(NOW).toISOString(),
    recent_count: 0,
    snapshot_ts: null,
    alerts,
    checks,
  }
}

const status = (fields: object = {}): DatasetStatus =>
  ({
    ts: NOW - 1000,
    next: 7,
    recent_count: 0,
    settings: { chain_limit: 10_000 },
    store: { synced: true },
    ...fields,
  }) as unknown as DatasetStatus

test('all is well: saved up to when, proved how long ago', () => {
  const verdict = verdictOf({ status: status(), health: health('ok', drill()) }, NOW)
  expect(verdict.headline).toBe('Your data is safe')
  expect(verdict.detail).toMatch(
    /^Everything up to \d\d:\d\d:\d\d is saved; last proved restorable 3 h ago\.$/,
  )
  expect(verdict.trouble).toEqual([])
})

test.each<[string, Finding]>([
  ['a failed drill proves nothing', drill({ level: 'critical' })],
  ['a drill that never was', { check: 'drill', level: 'warning', message: 'none' }],
])('%s', (_, finding) => {
  const report = health('warning', finding)
  expect(provedAt(report)).toBeUndefined()
  expect(verdictOf({ status: status(), health: report }, NOW).detail).toContain('not proved yet')
})

test('an old drill is still a proof, with its age', () => {
  const report = health('warning', drill({ level: 'warning', value: 40 * 24 * HOUR }))
  expect(verdictOf({ status: status(), health: report }, NOW).detail).toContain(
    'last proved restorable 40 days ago',
  )
})

test('what is worst comes first, and never under a good headline', () => {
  const disk: Finding = { check: 'disk', level: 'warning', message: 'little' }
  const car: Finding = { check: 'car', level: 'critical', message: 'none' }
  const { headline, trouble } = verdictOf(
    { status: status(), health: health('critical', disk, car, drill()) },
    NOW,
  )
  expect(headline).toBe('Your data is at risk')
  expect(trouble).toEqual([car, disk])
})

test('a dataset without an entry has nothing to lose, unless something is wrong', () => {
  const empty = status({ next: 0 })
  expect(verdictOf({ status: empty, health: health('ok') }, NOW).headline).toBe(
    'There is nothing to lose yet',
  )
  const broken = health('critical', { check: 'store', level: 'critical', message: 'gone' })
  expect(verdictOf({ status: empty, health: broken }, NOW).headline).toBe('Your data is at risk')
})

test('a store that does not sync is not said to hold everything for certain', () => {
  for (const synced of [false, null]) {
    const facts = { status: status({ store: { synced } }), health: health('ok', drill()) }
    expect(verdictOf(facts, NOW).detail).toContain('a power cut might cost the newest of it')
  }
})

test('what makes it better by itself is found among what comes next', () => {
  const next = [
    { kind: 'build', at: '2026-06-01T13:00:00Z', reason: 'schedule' },
    { kind: 'export', at: '2026-06-01T14:00:00Z', reason: 'schedule' },
  ]
  const automation = { next } as unknown as AutomationRecord
  const finding = (check: string): Finding => ({ check, level: 'critical', message: '' })
  expect(cureOf(finding('car'), automation)).toBe(next[1])
  expect(cureOf(finding('chain'), automation)).toBe(next[0])
  expect(cureOf(finding('disk'), automation)).toBeUndefined()
  expect(cureOf(finding('car'), undefined)).toBeUndefined()
})

test('what waits, in words', () => {
  expect(waitingText(status())).toBe('All of it is in the newest snapshot')
  expect(waitingText(status({ recent_count: 1 }))).toBe(
    'Of at most 10,000; the others are in snapshots',
  )
})
