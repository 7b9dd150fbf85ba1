/** What is started when: one row a rule, on both sides of its edge. */
import { expect, test } from 'vitest'
import { FIRST_MS, SETTLE_MS, type DatasetFacts } from '../../src/automation/decide.ts'
import { decided, DAY, HOUR, lastRun, MINUTE, NOON, SECOND, type Given } from './situations.ts'

/** What is started, or else when to look again: seconds from now. */
function outcome(given: Given): string {
  const { start, wakeAt } = decided(given)
  const { now = NOON } = given
  if (start.length > 0) return start.map(({ kind, reason }) => `${kind}: ${reason}`).join(', ')
  return wakeAt === null ? 'rest' : `wait ${(wakeAt - now) / SECOND}`
}

const some = (recentCount: number, ago: number, snapshotAgo = ago): Partial<DatasetFacts> => ({
  recentCount,
  pendingSince: NOON - ago,
  snapshotTs: NOON - snapshotAgo,
})

const interval = { save_interval: 120 }
const rules = { save_rules: '3600:1,300:100,60:1000' }
const lag = { max_lag: 24 * HOUR }
const daily = { build_schedule: '0 2 * * *' }
const weekly = { export_schedule: '0 3 * * 0' }
const thresholds = { rebuild: 50, alert: 70, emergency: 80 }

test.each<[string, Given, string]>([
  // Nothing to do.
  ['nothing is on and nothing is new', {}, 'rest'],
  ['nothing is on', { facts: some(10, DAY) }, 'rest'],
  ['nothing is new, however late it is', { values: { ...interval, ...rules, ...lag } }, 'rest'],

  // save_interval: from the first entry that is new.
  ['interval: to come', { values: interval, facts: some(1, 20 * SECOND, DAY) }, 'wait 100'],
  ['interval: just before', { values: interval, facts: some(1, 119_999, DAY) }, 'wait 0.001'],
  ['interval: due', { values: interval, facts: some(1, 120 * SECOND, DAY) }, 'build: interval'],
  [
    'interval: from the save, if that was later',
    { values: interval, facts: some(1, DAY, 30_000) },
    'wait 90',
  ],

  // save_rules: from the last snapshot, as Redis counts.
  ['rules: few, lately', { values: rules, facts: some(1, MINUTE) }, 'wait 3540'],
  ['rules: few, long ago', { values: rules, facts: some(1, SECOND, HOUR) }, 'build: save 3600:1'],
  ['rules: 99, 5 minutes ago', { values: rules, facts: some(99, 5 * MINUTE) }, 'wait 3300'],
  [
    'rules: 100, 5 minutes ago',
    { values: rules, facts: some(100, 5 * MINUTE) },
    'build: save 300:100',
  ],
  ['rules: 100, lately', { values: rules, facts: some(100, MINUTE) }, 'wait 240'],
  ['rules: 1000', { values: rules, facts: some(1000, MINUTE) }, 'build: save 60:1000'],
  ['rules: 1000, at once', { values: rules, facts: some(1000, 0) }, 'wait 60'],

  // max_lag: the age of the oldest entry without a snapshot.
  ['lag: young', { values: lag, facts: some(1, HOUR, 9 * DAY) }, 'wait 82800'],
  ['lag: old', { values: lag, facts: some(1, DAY) }, 'build: max lag'],
  ['lag: no limit', { facts: some(1, 99 * DAY) }, 'rest'],

  // Thresholds.
  ['below the threshold', { facts: { recentCount: 49, thresholds } }, 'rest'],
  ['at the threshold', { facts: { recentCount: 50, thresholds } }, 'build: threshold'],
  ['above the alert', { facts: { recentCount: 79, thresholds } }, 'build: threshold'],
  ['at the emergency', { facts: { recentCount: 80, thresholds } }, 'build: emergency'],

  // What is most pressing gives the reason.
  [
    'emergency before all',
    { values: { ...interval, ...rules, ...lag }, facts: { ...some(9000, DAY), thresholds } },
    'build: emergency',
  ],
  [
    'lag before rules',
    { values: { ...interval, ...rules, ...lag }, facts: some(200, DAY) },
    'build: max lag',
  ],
  [
    'rules before the interval',
    { values: { ...interval, ...rules }, facts: some(200, HOUR) },
    'build: save 3600:1',
  ],
  [
    'the soonest of what is to come',
    { values: { ...interval, ...rules, ...lag }, facts: some(1, MINUTE) },
    'wait 60',
  ],

  // Schedules.
  ['daily: to come', { values: daily, facts: some(1, MINUTE) }, 'wait 50400'],
  [
    'daily: its moment',
    { values: daily, facts: some(1, MINUTE), now: NOON + 14 * HOUR },
    'build: schedule',
  ],
  ['weekly: to come', { values: weekly }, `wait ${(3 * DAY + 15 * HOUR) / SECOND}`],
  ['weekly: its moment', { values: weekly, now: NOON + 3 * DAY + 15 * HOUR }, 'export: schedule'],
  ['one minute before', { values: weekly, now: NOON + 3 * DAY + 15 * HOUR - MINUTE }, 'wait 60'],
  [
    'its moment, for what cannot be looked at',
    { values: weekly, facts: null, now: NOON + 4 * DAY },
    'export: schedule',
  ],
  [
    'snapshots and CARs are pruned by one schedule',
    { values: { prune_schedule: '0 4 * * *' }, now: NOON + DAY },
    'prune: schedule, prune-cars: schedule',
  ],
  [
    'verify and drill',
    { values: { verify_schedule: '0 * * * *', drill_schedule: '0 * * * *' }, now: NOON + HOUR },
    'verify: schedule, drill: schedule',
  ],

  // The first CAR, and the first drill of it, wait for no schedule.
  [
    'the first CAR of what has data',
    { values: weekly, facts: { empty: false }, startedAt: NOON - FIRST_MS },
    'export: first',
  ],
  [
    'the first CAR, just started',
    { values: weekly, facts: { empty: false }, startedAt: NOON },
    `wait ${FIRST_MS / SECOND}`,
  ],
  [
    'the first CAR, tried in vain',
    {
      values: weekly,
      facts: { empty: false },
      startedAt: NOON - FIRST_MS,
      runs: { export: { last: lastRun(), failures: 1, retryAt: NOON + MINUTE } },
    },
    `wait ${MINUTE / SECOND}`,
  ],
  [
    'the first drill, a while after the first CAR',
    {
      values: { ...weekly, drill_schedule: '0 6 1 * *' },
      facts: { empty: false },
      runs: { export: { successAt: NOON - FIRST_MS } },
    },
    'drill: first',
  ],
  ['no first CAR where exports are switched off', { values: {}, facts: { empty: false } }, 'rest'],

  // Missed while the process was down: once, when it has settled.
  [
    'missed, just started',
    { values: weekly, since: NOON - 30 * DAY, startedAt: NOON },
    `wait ${SETTLE_MS / SECOND}`,
  ],
  [
    'missed, settled',
    { values: weekly, since: NOON - 30 * DAY, startedAt: NOON - SETTLE_MS },
    'export: schedule',
  ],
  [
    'a missed build',
    { values: daily, facts: some(1, MINUTE), since: NOON - DAY, startedAt: NOON },
    `wait ${SETTLE_MS / SECOND}`,
  ],

  // On request: whatever else there is.
  ['asked for', { requests: ['shutdown'] }, 'build: shutdown'],
  [
    'asked for by two',
    { requests: ['user_disconnect:A', 'user_disconnect:B'] },
    'build: user_disconnect:B',
  ],
  ['asked for, though it cannot be looked at', { facts: null, requests: ['r'] }, 'build: r'],
  ['asked for during a build', { underWay: ['build'], requests: ['r'] }, 'build: r'],
  [
    'asked for after failures',
    { requests: ['r'], runs: { build: { failures: 9, retryAt: NOON + HOUR } } },
    'build: r',
  ],

  // Single flight.
  [
    'a build is under way',
    {
      underWay: ['build'],
      facts: { recentCount: 9999, thresholds },
      values: { ...interval, ...daily },
      now: NOON + DAY,
    },
    'rest',
  ],
  ['an export is under way', { underWay: ['export'], values: weekly, now: NOON + 9 * DAY }, 'rest'],
  [
    'an export does not hinder a build',
    { underWay: ['export'], facts: { recentCount: 50, thresholds } },
    'build: threshold',
  ],

  // Back-off.
  [
    'after a failure',
    {
      facts: { recentCount: 50, thresholds },
      runs: { build: { failures: 1, retryAt: NOON + 7000, last: lastRun() } },
    },
    'wait 7',
  ],
  [
    'when it is over',
    {
      facts: { recentCount: 50, thresholds },
      runs: { build: { failures: 1, retryAt: NOON, last: lastRun() } },
    },
    'build: threshold',
  ],
  [
    'an emergency just after a failure',
    {
      facts: { recentCount: 80, thresholds },
      runs: { build: { failures: 9, retryAt: NOON + HOUR, last: lastRun() } },
    },
    'wait 5',
  ],
  [
    'an emergency does not wait for it',
    {
      facts: { recentCount: 80, thresholds },
      runs: {
        build: { failures: 9, retryAt: NOON + HOUR, last: lastRun({ finishedAt: NOON - 5000 }) },
      },
    },
    'build: emergency',
  ],
  [
    'it is of one kind alone',
    {
      values: weekly,
      now: NOON + 9 * DAY,
      runs: { build: { failures: 9, retryAt: NOON + 99 * DAY } },
    },
    'export: schedule',
  ],
  [
    'an export that failed',
    {
      values: weekly,
      now: NOON + 9 * DAY,
      runs: { export: { failures: 1, retryAt: NOON + 9 * DAY + MINUTE } },
    },
    'wait 60',
  ],

  // A clock that was set back.
  [
    'a snapshot of tomorrow',
    {
      values: interval,
      facts: { recentCount: 1, snapshotTs: NOON + DAY, pendingSince: NOON - 120_000 },
    },
    'build: interval',
  ],
  [
    'then the last run is what counts',
    {
      values: rules,
      facts: { recentCount: 1, snapshotTs: NOON + DAY, pendingSince: NOON },
      runs: { build: { successAt: NOON - MINUTE } },
    },
    'wait 3540',
  ],
  ['an entry of tomorrow', { values: lag, facts: some(1, -DAY) }, 'wait 86400'],
  [
    'a back-off of next year',
    {
      facts: { recentCount: 50, thresholds },
      runs: { build: { failures: 1, retryAt: NOON + 365 * DAY, last: lastRun() } },
    },
    'wait 300',
  ],
])('%s', (_, given, expected) => {
  expect(outcome(given)).toBe(expected)
})

test('only an emergency is urgent, and only a request goes behind what runs', () => {
  const emergency = { recentCount: 80, thresholds }
  expect(decided({ facts: emergency }).start).toEqual([
    { kind: 'build', reason: 'emergency', urgent: true, follow: false },
  ])
  expect(decided({ facts: { ...emergency, recentCount: 50 } }).start).toEqual([
    { kind: 'build', reason: 'threshold', urgent: false, follow: false },
  ])
  expect(decided({ requests: ['r'] }).start).toEqual([
    { kind: 'build', reason: 'r', urgent: false, follow: true },
  ])
})

test('the moment of a build passes when nothing is new, but not when that is not known', () => {
  const later = { values: daily, now: NOON + DAY }
  expect(decided(later)).toMatchObject({ start: [], passed: ['build'] })
  expect(decided({ ...later, facts: null })).toMatchObject({ start: [], passed: [] })
  expect(decided({ ...later, underWay: ['build'] })).toMatchObject({ start: [], passed: [] })
})

test('what is to come is told, the soonest first', () => {
  const values = { ...daily, ...weekly, ...interval }
  const { next, wakeAt } = decided({ values, facts: some(1, 20 * SECOND) })
  expect(next.map(({ kind, reason }) => [kind, reason])).toEqual([
    ['build', 'interval'],
    ['export', 'schedule'],
  ])
  expect(wakeAt).toBe(next[0]?.at)
})
