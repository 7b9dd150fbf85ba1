/** Every rule of health: silent in the best of health, and heard with its cause. Texts people look for stand here. */
import { expect, test } from 'vitest'
import { healthLimits, type HealthLimits } from '../../src/health/limits.ts'
import type { DatasetFacts, Observation, RunFacts } from '../../src/health/observation.ts'
import {
  CHECKS,
  findingLine,
  type Check,
  type Finding,
  type Level,
} from '../../src/health/report.ts'
import { judge } from '../../src/health/rules.ts'
import { backup, cidOf } from '../backup/backups.ts'
import type { Backup } from '../../src/backup/folder.ts'
import { BEST, DAY, FACTS, HOUR, LIMITS, NOW, valuesOf } from './seen.ts'

interface Case {
  readonly name: string
  readonly seen?: Partial<Observation>
  readonly facts?: Partial<DatasetFacts>
  readonly limits?: Partial<HealthLimits>
  /** Undefined: all is well. */
  readonly alert?: readonly [Check, Level, string | RegExp]
}

const RUN: RunFacts = {
  failed: false,
  finishedAt: NOW - HOUR,
  durationMs: 60_000,
  failuresInRow: 0,
  message: undefined,
}

const cars = (...backups: Backup[]): Partial<Observation> => ({
  backups: { value: { backups, unfinished: [], damaged: [] } },
})
const copies = (...backups: Backup[]): Partial<Observation> => ({
  offsite: { value: { place: 's3://b/p', backups } },
})
const build = (facts: Partial<RunFacts>): Partial<Observation> => ({
  automation: { value: { build: { ...RUN, ...facts }, export: undefined } },
})
const exported = (facts: Partial<RunFacts>): Partial<Observation> => ({
  automation: { value: { build: undefined, export: { ...RUN, ...facts } } },
})
const trouble = (message: string) =>
  ({ trouble: { code: 'backend_unavailable', message, hint: 'start it' } }) as const
const free = (freePercent: number): Partial<Observation> => ({
  space: {
    value: [
      { where: 'the store', freePercent: 90 },
      { where: 'the CARs', freePercent },
    ],
  },
})
const drilled = (change: object): Partial<Observation> => {
  if (!('value' in BEST.drill) || BEST.drill.value === undefined) throw new Error('no drill')
  return { drill: { value: { ...BEST.drill.value, ...change } } }
}

const CASES: readonly Case[] = [
  { name: 'the best of health' },
  // store
  {
    name: 'a node that does not answer',
    seen: { status: trouble('The node is down.') },
    alert: ['store', 'critical', 'The node is down.'],
  },
  {
    name: 'a pointer that cannot be read',
    seen: { status: { trouble: { code: 'pointer_damaged', message: 'It is damaged.' } } },
    alert: ['store', 'critical', 'It is damaged.'],
  },
  { name: 'a clock a little behind', facts: { commitTs: NOW + 60_000 } },
  {
    name: 'a commit from the future',
    facts: { commitTs: NOW + HOUR },
    alert: ['store', 'critical', /later than this clock/],
  },
  // chain
  { name: 'a chain at the threshold', facts: { recentCount: 7000 } },
  {
    name: 'a chain above it',
    facts: { recentCount: 7001 },
    alert: ['chain', 'critical', 'Recent chain has 7001 entries (threshold: 7000)'],
  },
  {
    name: 'a small chain limit',
    facts: { chainLimit: 100, recentCount: 71 },
    alert: ['chain', 'critical', 'Recent chain has 71 entries (threshold: 70)'],
  },
  {
    name: 'a threshold that was raised',
    facts: { recentCount: 7500 },
    limits: { alertThreshold: 7500 },
  },
  {
    name: 'the emergency threshold, reached',
    facts: { recentCount: 8000 },
    limits: { alertThreshold: 9000 },
    alert: ['chain', 'critical', 'Recent chain has 8000 entries (threshold: 8000)'],
  },
  {
    name: 'no entries allowed',
    limits: { alertThreshold: 0 },
    alert: ['chain', 'critical', 'Recent chain has 10 entries (threshold: 0)'],
  },
  // snapshot
  {
    name: 'an old snapshot while entries wait',
    facts: { snapshotTs: NOW - 49 * HOUR },
    alert: ['snapshot', 'critical', /^Snapshot 7 is 2\.0 days old, 10 entries are waiting$/],
  },
  {
    name: 'an old snapshot with nothing to add',
    facts: { snapshotTs: NOW - 49 * HOUR, recentCount: 0 },
  },
  { name: 'a snapshot of 47 hours', facts: { snapshotTs: NOW - 47 * HOUR } },
  // car
  {
    name: 'no backup',
    seen: cars(),
    alert: ['car', 'critical', /^No backups found! No CAR of "main" in \/backups/],
  },
  {
    name: 'backups of another dataset alone',
    seen: cars(backup('b', { dataset: 'other', next: 100, at: NOW })),
    alert: ['car', 'critical', /No backups found!/],
  },
  {
    name: 'a CAR without its content',
    seen: cars(backup('b', { content: 'tips', next: 100, at: NOW })),
    alert: ['car', 'critical', /No backups found!/],
  },
  {
    name: 'one without content of a dataset that has none',
    seen: cars(backup('b', { content: 'index', tips: 'external', next: 100, at: NOW })),
  },
  {
    name: 'a delta without its base',
    seen: cars(backup('d', { since: cidOf('gone'), next: 100, at: NOW })),
    alert: ['car', 'critical', /No backups found!/],
  },
  {
    name: 'a delta with its base',
    seen: cars(
      backup('d', { since: cidOf('base'), next: 100, at: NOW }),
      backup('base', { next: 50, at: NOW - 90 * DAY }),
    ),
  },
  {
    name: 'an old CAR that has everything',
    seen: cars(backup('b', { next: 100, at: NOW - 900 * DAY })),
  },
  {
    name: 'a CAR that lacks entries since yesterday',
    seen: cars(backup('b', { next: 99, at: NOW - DAY })),
  },
  {
    name: 'one that lacks entries for three days',
    seen: cars(backup('b', { next: 99, at: NOW - 3 * DAY })),
    alert: [
      'car',
      'critical',
      'The newest CAR, b.car, is 3.0 days old and lacks the newest entries',
    ],
  },
  // offsite
  { name: 'a copy that has everything', seen: copies(backup('b', { next: 100, at: 0 })) },
  {
    name: 'no copy',
    seen: copies(),
    alert: ['offsite', 'critical', 'No copy of "main" in s3://b/p could be restored'],
  },
  {
    name: 'copies of a dataset that was made anew under the name',
    seen: copies(backup('b', { next: 100, identity: 'two', at: NOW })),
    alert: ['offsite', 'critical', /No copy/],
  },
  {
    name: 'a copy of a delta alone',
    seen: copies(backup('d', { since: cidOf('gone'), next: 100, at: NOW })),
    alert: ['offsite', 'critical', /No copy/],
  },
  {
    name: 'a copy of two days ago',
    seen: copies(backup('b', { next: 99, at: NOW - 48 * HOUR })),
  },
  {
    name: 'one of more than two days ago',
    seen: copies(backup('b', { next: 99, at: NOW - 49 * HOUR })),
    alert: [
      'offsite',
      'critical',
      'The newest copy in s3://b/p, /backups/b.car, is 2.0 days old and lacks the newest entries',
    ],
  },
  {
    name: 'another limit for copies',
    seen: copies(backup('b', { next: 99, at: NOW - 49 * HOUR })),
    limits: { maxOffsiteAgeMs: 50 * HOUR },
  },
  {
    name: 'a bucket that cannot be reached',
    seen: { offsite: trouble('It is away.') },
    alert: ['offsite', 'critical', 'cannot be checked: It is away.'],
  },
  {
    name: 'no copy of a dataset that holds nothing',
    seen: copies(),
    facts: { next: 0 },
  },
  {
    name: 'one of before a rollback',
    seen: cars(backup('b', { next: 100, generation: 1, at: NOW - 3 * DAY })),
    alert: ['car', 'critical', /lacks the newest entries/],
  },
  {
    name: 'a weekly schedule that nobody keeps',
    seen: cars(backup('b', { next: 99, at: NOW - 3 * DAY })),
    limits: { exportEveryMs: 7 * DAY },
    alert: ['car', 'critical', /lacks the newest entries/],
  },
  {
    name: 'a weekly schedule of a service',
    seen: { ...cars(backup('b', { next: 99, at: NOW - 13 * DAY })), ...exported({}) },
    limits: { exportEveryMs: 7 * DAY },
  },
  {
    name: 'twice its time',
    seen: { ...cars(backup('b', { next: 99, at: NOW - 15 * DAY })), ...exported({}) },
    limits: { exportEveryMs: 7 * DAY },
    alert: ['car', 'critical', /lacks the newest entries/],
  },
  {
    name: 'a limit that was given',
    seen: { ...cars(backup('b', { next: 99, at: NOW - 3 * HOUR })), ...exported({}) },
    limits: { maxCarAgeMs: 2 * HOUR, exportEveryMs: 7 * DAY },
    alert: ['car', 'critical', /3\.0 hours old/],
  },
  {
    name: 'a folder that cannot be read',
    seen: { backups: trouble('This user may not.') },
    alert: ['car', 'critical', 'cannot be checked: This user may not.'],
  },
  // disk
  { name: 'a fifth free', seen: free(20) },
  {
    name: 'less than a fifth',
    seen: free(19.4),
    alert: ['disk', 'warning', '19% of the disk is free for the CARs'],
  },
  { name: 'less than a tenth', seen: free(9.9), alert: ['disk', 'critical', /free for the CARs/] },
  // drill
  {
    name: 'no drill',
    seen: { drill: { value: undefined } },
    alert: ['drill', 'warning', 'There is no report of a drill of "main" in /backups'],
  },
  {
    name: 'the drill of another',
    seen: drilled({ dataset: 'b' }),
    alert: ['drill', 'warning', /no report/],
  },
  {
    name: 'a drill that failed',
    seen: drilled({ passed: false }),
    alert: ['drill', 'critical', /failed/],
  },
  {
    name: 'a drill of 36 days ago',
    seen: drilled({ finishedAt: NOW - 36 * DAY }),
    alert: ['drill', 'warning', /36\.0 days ago/],
  },
  { name: 'a drill of 34 days ago', seen: drilled({ finishedAt: NOW - 34 * DAY }) },
  {
    name: 'a report that cannot be read',
    seen: { drill: trouble('It is no report.') },
    alert: ['drill', 'critical', 'cannot be checked: It is no report.'],
  },
  // verify
  {
    name: 'nothing verified yet',
    seen: { proof: { value: { parts: 0, never: 0, problems: 0, oldest: undefined } } },
  },
  {
    name: 'damage',
    seen: { proof: { value: { parts: 5, never: 0, problems: 1234, oldest: NOW } } },
    alert: ['verify', 'critical', 'The ledger lists 1,234 damaged or missing blocks'],
  },
  // what the service does by itself
  { name: 'builds that succeed', seen: build({}) },
  {
    name: 'two builds that failed',
    seen: build({ failed: true, failuresInRow: 2, message: 'No.' }),
  },
  {
    name: 'three builds that failed',
    seen: build({ failed: true, failuresInRow: 3, message: 'The disk is full.' }),
    alert: ['build', 'critical', 'The last 3 builds failed: The disk is full.'],
  },
  { name: 'a build of half an hour', seen: build({ durationMs: 30 * 60_000 }) },
  {
    name: 'a slower one',
    seen: build({ durationMs: 30 * 60_000 + 1 }),
    alert: ['build', 'warning', 'The last build took 30.0 minutes'],
  },
  { name: 'an export that succeeded', seen: exported({}) },
  {
    name: 'one that failed',
    seen: exported({ failed: true, failuresInRow: 1, message: 'The hook ended with 1.' }),
    alert: ['export', 'critical', /failed: The hook ended with 1\.$/],
  },
  // backups
  { name: 'a folder at its limit', limits: { maxBackupsBytes: 1000 } },
  {
    name: 'a folder above its limit',
    seen: { backupsBytes: { value: 1_234_567_890 } },
    limits: { maxBackupsBytes: 1_000_000_000 },
    alert: ['backups', 'warning', 'Backup directory is 1.23 GB'],
  },
  // growth
  {
    name: 'a CAR that doubled',
    seen: cars(
      backup('b', { next: 100, at: NOW, size_bytes: 4 << 20 }),
      backup('a', { next: 90, at: NOW - DAY, size_bytes: 2 << 20 }),
    ),
    alert: ['growth', 'warning', /^b\.car has 4194304 bytes, the CAR before it 2097152$/],
  },
  {
    name: 'one that nearly did',
    seen: cars(
      backup('b', { next: 100, at: NOW, size_bytes: (4 << 20) - 1 }),
      backup('a', { next: 90, at: NOW - DAY, size_bytes: 2 << 20 }),
    ),
  },
  {
    name: 'a small one that doubled',
    seen: cars(
      backup('b', { next: 100, at: NOW, size_bytes: 4000 }),
      backup('a', { next: 90, at: NOW - DAY, size_bytes: 1000 }),
    ),
  },
  {
    name: 'a full one after a delta',
    seen: cars(
      backup('c', { next: 100, at: NOW, size_bytes: 5 << 20 }),
      backup('b', { next: 95, at: NOW - 1, size_bytes: 1 << 20, since: cidOf('a') }),
      backup('a', { next: 90, at: NOW - DAY, size_bytes: 4 << 20 }),
    ),
  },
  // durability
  { name: 'a store that does not sync, which nobody asked for', facts: { synced: false } },
  { name: 'a store that syncs, as was asked', limits: { requireSync: true } },
  {
    name: 'a store that does not sync, though it was asked',
    facts: { synced: false, notes: ['The node does not sync blocks to disk.'] },
    limits: { requireSync: true },
    alert: ['durability', 'critical', /may not survive a power cut: the store does not sync/],
  },
  {
    name: 'one that does not tell',
    facts: { synced: undefined },
    limits: { requireSync: true },
    alert: ['durability', 'critical', /does not tell/],
  },
]

function findingsOf({ seen = {}, facts, limits = {} }: Case): Finding[] {
  const status = facts === undefined ? {} : { status: { value: { ...FACTS, ...facts } } }
  return judge({ ...BEST, ...status, ...seen }, { ...LIMITS, ...limits })
}

const alertsOf = (one: Case): Finding[] => findingsOf(one).filter(({ level }) => level !== 'ok')

for (const one of CASES) {
  test(`${one.name}: ${one.alert === undefined ? 'well' : one.alert.slice(0, 2).join(' ')}`, () => {
    const alerts = alertsOf(one)
    if (one.alert === undefined) return expect(alerts).toEqual([])
    const [check, level, message] = one.alert
    expect(alerts).toMatchObject([{ check, level }])
    expect(alerts[0]?.message).toMatch(message)
    // What failed when it was looked at brings its own hint, or none.
    return expect(alerts[0]?.hint === undefined).toBe(alerts[0]?.code === 'pointer_damaged')
  })
}

test('every check has a cause above', () => {
  const checked = new Set(CASES.flatMap(({ alert }) => (alert === undefined ? [] : [alert[0]])))
  expect([...checked].sort()).toEqual([...CHECKS].sort())
})

test('a store that cannot be read leaves nothing else to say', () => {
  const findings = judge({ ...BEST, status: trouble('No.'), backups: trouble('No.') }, LIMITS)
  expect(findings).toEqual([
    {
      check: 'store',
      level: 'critical',
      message: 'No.',
      hint: 'start it',
      code: 'backend_unavailable',
    },
  ])
})

test('the line of the chain has the words that older programs look for', () => {
  const [alert] = alertsOf({ name: '', facts: { recentCount: 9000 } })
  if (alert === undefined) return expect.fail('no alert')
  expect(findingLine(alert)).toBe('CRITICAL: Recent chain has 9000 entries (threshold: 7000)')
  return expect(findingLine({ check: 'disk', level: 'warning', message: 'full' })).toBe(
    'WARNING: disk: full',
  )
})

test('limits: what is not set follows the dataset and the schedule, what is set stands', () => {
  const values = valuesOf({ export_schedule: '0 3 * * 1-5' })
  expect(healthLimits(values, undefined, NOW)).toEqual({
    ...LIMITS,
    // From Friday to Monday.
    exportEveryMs: 3 * DAY,
  })
  const set = valuesOf({ alert_threshold: 7000, max_car_age: 0, export_schedule: 'never' })
  const origins = { alert_threshold: 'environment ALERT_THRESHOLD', max_car_age: 'flag' }
  expect(healthLimits(set, { ...origins, emergency_threshold: 'default' }, NOW)).toEqual({
    ...LIMITS,
    alertThreshold: 7000,
    maxCarAgeMs: 0,
    exportEveryMs: undefined,
  })
  expect(healthLimits(valuesOf({ alert_threshold: 6000 }), undefined, NOW).alertThreshold).toBe(
    6000,
  )
})
