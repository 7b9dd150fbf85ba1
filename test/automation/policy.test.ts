/** What the settings ask for, and which of them make no sense. */
import { expect, test } from 'vitest'
import { parseSaveRules, policyOf, printRule, thresholdsOf } from '../../src/automation/policy.ts'
import type { Values } from '../../src/config/schema.ts'
import { defaultValues, quietValues } from './values.ts'

const refused = (setting?: string): unknown =>
  expect.objectContaining({
    code: 'config',
    hint: expect.stringMatching(/\S.*\.$/),
    ...(setting === undefined ? {} : { details: expect.objectContaining({ setting }) }),
  })

test('the defaults are a policy', () => {
  const policy = policyOf(defaultValues())
  expect(policy).toMatchObject({
    saveIntervalMs: 0,
    maxLagMs: 86_400_000,
    timeZone: 'UTC',
    verifyBudgetMs: 300_000,
    afterExport: undefined,
    keepSnapshots: { last: 10, hourly: 24, daily: 30, monthly: 12 },
    keepCars: { last: 3, daily: 7, weekly: 4, monthly: 12 },
  })
  expect(policy.saveRules.map(printRule)).toEqual(['3600:1', '300:100', '60:10000'])
  const crons = Object.entries(policy.schedules).map(([kind, { cron }]) => `${kind} ${cron}`)
  expect(crons).toEqual([
    'build 0 2 * * *',
    'export 0 3 * * 0',
    'prune 0 4 * * *',
    'prune-cars 0 4 * * *',
    'verify 0 5 * * *',
    'drill 0 6 1 * *',
  ])
})

test('what is switched off is no part of it', () => {
  expect(policyOf(quietValues()).schedules).toEqual({})
  const kept = quietValues({ prune_schedule: '0 4 * * *', keep_snapshots: 'never' })
  expect(Object.keys(policyOf(kept).schedules)).toEqual(['prune-cars'])
})

test('save rules are read as Redis writes them', () => {
  expect(parseSaveRules('3600:1, 300:100')).toEqual([
    { afterMs: 3_600_000, entries: 1 },
    { afterMs: 300_000, entries: 100 },
  ])
  expect(parseSaveRules('never')).toEqual([])
})

test.each([
  '',
  '60',
  '60:',
  ':1',
  '0:1',
  '60:0',
  '-1:1',
  '1.5:1',
  '60:1,',
  '60 1',
  '99999999999:1',
])('a save rule that is none: %j', (text) => {
  expect(() => parseSaveRules(text)).toThrow(refused('save_rules'))
})

test.each<[keyof Values, string]>([
  ['time_zone', 'Mars'],
  ['build_schedule', 'soon'],
  ['drill_schedule', '0 0 31 2 *'],
  ['keep_snapshots', 'last=x'],
  ['keep_cars', ''],
  ['save_rules', 'x'],
])('%s = %j is refused by its name', (setting, value) => {
  expect(() => policyOf(quietValues({ [setting]: value }))).toThrow(refused(setting))
})

const at = (given: Partial<Values>, limit: number): unknown =>
  thresholdsOf(policyOf(quietValues(given)), limit, 'main')

test('thresholds that were not set follow the limit of each dataset', () => {
  expect(at({}, 10_000)).toEqual({ rebuild: 5000, alert: 7000, emergency: 8000 })
  expect(at({}, 100)).toEqual({ rebuild: 50, alert: 70, emergency: 80 })
  for (const limit of [1, 2, 3, 4, 5]) expect(at({}, limit)).toBeDefined()
})

test('thresholds that were set stand in their order, within the limit', () => {
  const set = { rebuild_threshold: 10, alert_threshold: 20, emergency_threshold: 30 }
  expect(at(set, 30)).toEqual({ rebuild: 10, alert: 20, emergency: 30 })
  expect(at({ rebuild_threshold: 6999 }, 10_000)).toMatchObject({ rebuild: 6999, alert: 7000 })
  const wrong: [Partial<Values>, number][] = [
    [set, 29],
    [{ ...set, alert_threshold: 10 }, 100],
    [{ ...set, alert_threshold: 30 }, 100],
    [{ ...set, rebuild_threshold: 40 }, 100],
    [{ rebuild_threshold: 7000 }, 10_000],
    [{ emergency_threshold: 10_001 }, 10_000],
  ]
  for (const [given, limit] of wrong) expect(() => at(given, limit)).toThrow(refused())
})
