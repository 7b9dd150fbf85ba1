/** What is remembered: over the ends of jobs, changes of schedules, restarts, damage and full disks. */
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PACES } from '../../src/automation/back-off.ts'
import { lookUpMemory, readMemory, writeMemory } from '../../src/automation/memory-file.ts'
import {
  freshMemory,
  lacksCopiesOnly,
  NO_RUNS,
  withBegun,
  withDone,
  withEnded,
  withInterrupted,
  withSchedules,
  type AutomationMemory,
} from '../../src/automation/memory.ts'
import { policyOf, SCHEDULED } from '../../src/automation/policy.ts'
import { parseState, printState } from '../../src/automation/state.ts'
import { JOB_KINDS, type Job } from '../../src/jobs/job.ts'
import { tempDir } from '../helpers/engine.ts'
import { keptLog } from '../jobs/helpers.ts'
import { DAY, HOUR, lastRun, MINUTE, NOON } from './situations.ts'
import { quietValues } from './values.ts'

const iso = (ms: number): string => new Date(ms).toISOString()

function job(given: Partial<Job>): Job {
  return {
    id: 'a1',
    dataset: 'main',
    kind: 'export',
    state: 'succeeded',
    reason: 'schedule',
    reasons: ['schedule'],
    created_at: iso(NOON),
    started_at: iso(NOON),
    finished_at: iso(NOON + MINUTE),
    progress: null,
    stuck: false,
    result: null,
    error: null,
    ...given,
  }
}

const AT_ONCE = { now: NOON + MINUTE, random: 0, ending: false }
const weekly = policyOf(quietValues({ export_schedule: '0 3 * * 0' }))
const remembered = withSchedules(freshMemory('main'), weekly, NOON - 30 * DAY)

test('a success is remembered, and ends back-off and what was missed', () => {
  const failing = { ...NO_RUNS, failures: 3, retryAt: NOON, begunAt: NOON }
  const before = { ...remembered, runs: { export: failing } }
  const result = { path: 'a.car', size_bytes: 5, encrypted: false, since: null, removed: ['b.car'] }
  const { runs, schedules } = withEnded(before, job({ result }), AT_ONCE)
  expect(runs.export).toEqual({
    last: {
      job: 'a1',
      state: 'succeeded',
      reason: 'schedule',
      reasons: ['schedule'],
      startedAt: NOON,
      finishedAt: NOON + MINUTE,
      result: { path: 'a.car', size_bytes: 5, encrypted: false, since: null },
      error: null,
    },
    successAt: NOON,
    failures: 0,
    retryAt: null,
    begunAt: null,
  })
  expect(schedules.export?.since).toBe(NOON)
})

const failed = (code: string, fields: Partial<Job> = {}): Job =>
  job({ state: 'failed', error: { code, message: 'No.' }, ...fields })

test('a failure that may pass is tried again; damage waits for the next time', () => {
  const ended = withEnded(remembered, failed('backend_unavailable'), AT_ONCE)
  expect(ended.runs.export).toMatchObject({
    failures: 1,
    retryAt: NOON + MINUTE + PACES.export.firstMs / 2,
    successAt: null,
  })
  expect(ended.schedules).toBe(remembered.schedules)
  for (const code of ['damage_found', 'blocks_missing', 'config', 'block_missing'])
    expect(withEnded(remembered, failed(code), AT_ONCE).schedules.export?.since).toBe(NOON)
})

test('a hook that fails is tried again five times', () => {
  let memory = remembered
  for (let failures = 1; failures <= 6; failures++) {
    memory = withEnded(memory, failed('hook_failed'), AT_ONCE)
    expect(memory.schedules.export?.since === NOON, `after ${failures}`).toBe(failures === 6)
  }
})

test('copies that failed are tried again alone, until another export comes due', () => {
  const lacks = (memory: AutomationMemory, now: number): boolean =>
    lacksCopiesOnly(memory, weekly, now)
  let memory = remembered
  expect(lacks(memory, NOON)).toBe(false)
  for (let failures = 1; failures <= 30; failures++)
    memory = withEnded(memory, failed('offsite_failed'), AT_ONCE)
  expect(memory.runs.export?.failures).toBe(30)
  expect(memory.schedules.export?.since).not.toBe(NOON)
  const next = weekly.schedules.export?.next(NOON) ?? 0
  expect(lacks(memory, next - 1)).toBe(true)
  expect(lacks(memory, next)).toBe(false)
  expect(lacks(withEnded(memory, failed('hook_failed'), AT_ONCE), next - 1)).toBe(false)
  expect(lacks(withEnded(memory, job({}), AT_ONCE), next - 1)).toBe(false)
})

test('a build that lost against another one did not fail', () => {
  const ended = withEnded(remembered, failed('conflict', { kind: 'build' }), AT_ONCE)
  expect(ended.runs.build).toMatchObject({ failures: 0, retryAt: NOON + MINUTE + 1000 })
})

test('what someone cancelled is over; what the end of the service cancelled is not', () => {
  const cancelled = job({ state: 'cancelled', error: { code: 'aborted', message: 'Stopped.' } })
  const stopped = withEnded(remembered, cancelled, AT_ONCE)
  expect(stopped.schedules.export?.since).toBe(NOON)
  expect(stopped.runs.export).toMatchObject({ failures: 0, retryAt: NOON + 2 * MINUTE })
  const ending = withEnded(remembered, cancelled, { ...AT_ONCE, ending: true })
  expect(ending.schedules).toBe(remembered.schedules)
  expect(ending.runs.export).toMatchObject({ failures: 0, retryAt: null })
})

test('schedules: a new or changed one begins now, one of another clock too', () => {
  const since = (memory: AutomationMemory): number | undefined => memory.schedules.export?.since
  expect(withSchedules(remembered, weekly, NOON)).toBe(remembered)
  const daily = policyOf(quietValues({ export_schedule: '0 3 * * *' }))
  expect(since(withSchedules(remembered, daily, NOON))).toBe(NOON)
  const berlin = quietValues({ export_schedule: '0 3 * * 0', time_zone: 'Europe/Berlin' })
  expect(since(withSchedules(remembered, policyOf(berlin), NOON))).toBe(NOON)
  expect(since(withSchedules(remembered, policyOf(quietValues()), NOON))).toBeUndefined()
  const more = quietValues({ export_schedule: '0 3 * * 0', drill_schedule: '0 6 1 * *' })
  expect(withSchedules(remembered, policyOf(more), NOON).schedules).toMatchObject({
    export: { since: NOON - 30 * DAY },
    drill: { since: NOON },
  })
  const ahead = withDone(remembered, 'export', NOON)
  expect(since(withSchedules(ahead, weekly, NOON - HOUR))).toBe(NOON)
  expect(since(withSchedules(ahead, weekly, NOON - HOUR - 1))).toBe(NOON - HOUR - 1)
})

test('what was running when the process died counts as a failure, each time longer', () => {
  let memory = withBegun(remembered, 'export', NOON)
  memory = withInterrupted(memory, NOON + MINUTE, () => 0)
  expect(memory.runs.export).toMatchObject({
    last: { state: 'interrupted', error: { code: 'interrupted' }, startedAt: NOON },
    failures: 1,
    retryAt: NOON + MINUTE + PACES.export.firstMs / 2,
    begunAt: null,
  })
  memory = withInterrupted(withBegun(memory, 'export', NOON + HOUR), NOON + HOUR, () => 0)
  expect(memory.runs.export).toMatchObject({
    failures: 2,
    retryAt: NOON + HOUR + PACES.export.firstMs,
  })
  // It was due, and still is.
  expect(memory.schedules).toBe(remembered.schedules)
  expect(withInterrupted(memory, NOON + HOUR, () => 0)).toBe(memory)
})

test('what is remembered of a result is bounded', () => {
  const result = Object.fromEntries(
    Array.from({ length: 1000 }, (_, i) => [`field_${i}`, 'x'.repeat(10_000)]),
  )
  const { runs } = withEnded(remembered, job({ result }), AT_ONCE)
  expect(JSON.stringify(runs).length).toBeLessThan(30_000)
})

const time = fc.integer({ min: 0, max: 8e12 })
const orNull = <T>(one: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(one, { nil: null })
const run = fc.record({
  last: orNull(
    fc.record({
      job: orNull(fc.string()),
      state: fc.constantFrom(
        'succeeded' as const,
        'failed' as const,
        'cancelled' as const,
        'interrupted' as const,
      ),
      reason: fc.string(),
      reasons: fc.array(fc.string(), { maxLength: 3 }),
      startedAt: orNull(time),
      finishedAt: time,
      result: orNull(
        fc.dictionary(
          fc.stringMatching(/^[a-z_]{1,9}$/),
          fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null)),
        ),
      ),
      error: orNull(
        fc.record(
          { code: fc.string(), message: fc.string(), hint: fc.string() },
          { requiredKeys: ['code', 'message'] },
        ),
      ),
    }),
  ),
  successAt: orNull(time),
  failures: fc.nat(),
  retryAt: orNull(time),
  begunAt: orNull(time),
})
const schedule = fc.record({ cron: fc.string(), timeZone: fc.string(), since: time })
const memories: fc.Arbitrary<AutomationMemory> = fc.record({
  dataset: fc.constant('main'),
  runs: fc.record(Object.fromEntries(JOB_KINDS.map((kind) => [kind, run])), { requiredKeys: [] }),
  schedules: fc.record(Object.fromEntries(SCHEDULED.map((kind) => [kind, schedule])), {
    requiredKeys: [],
  }),
})

test('every memory comes back from its file as it was', () => {
  fc.assert(
    fc.property(memories, (memory) => {
      const text = JSON.stringify(printState(memory, [], NOON))
      expect(JSON.stringify(parseState(text, 'main'))).toBe(JSON.stringify(memory))
    }),
  )
})

test('whatever a file holds, it is taken as a memory or refused, never half', () => {
  const good = JSON.stringify(printState({ ...remembered, runs: { build: NO_RUNS } }, [], NOON))
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.string({ maxLength: 4 }), (at, put) => {
      const text = good.slice(0, at) + put + good.slice(at + put.length)
      let memory: AutomationMemory
      try {
        memory = parseState(text, 'main')
      } catch (error) {
        expect(error).toBeInstanceOf(Error)
        return
      }
      expect(() => printState(memory, [], NOON)).not.toThrow()
    }),
    { numRuns: 500 },
  )
})

test('a memory outlives its process, in a file that only its owner reads', async () => {
  const folder = join(await tempDir(), 'a', 'service')
  const memory = { ...remembered, runs: { export: { ...NO_RUNS, last: lastRun() } } }
  await writeMemory(folder, printState(memory, [], NOON))
  await writeMemory(folder, printState({ ...memory, schedules: {} }, [], NOON))
  const { log, lines } = keptLog()
  expect(await readMemory(folder, 'main', { log, now: NOON })).toEqual({ ...memory, schedules: {} })
  expect(await lookUpMemory(join(folder, '..'), 'main')).toEqual({ ...memory, schedules: {} })
  expect(lines).toEqual([])
  expect(await readdir(folder)).toEqual(['main.json'])
  expect((await stat(join(folder, 'main.json'))).mode & 0o777).toBe(0o600)
})

test('where there is none, one begins', async () => {
  const { log, lines } = keptLog()
  const dir = await tempDir()
  expect(await readMemory(join(dir, 'no'), 'main', { log, now: NOON })).toEqual(freshMemory('main'))
  expect(await lookUpMemory(dir, 'main')).toBeUndefined()
  expect(lines).toEqual([])
})

const good = JSON.stringify(printState(remembered, [], NOON))
test.each([
  ['cut off', good.slice(0, 40)],
  ['empty', ''],
  ['no map', '[]'],
  ['of another version', good.replace('automation@v1', 'automation@v9')],
  ['of another dataset', good.replace('"main"', '"other"')],
  ['with an impossible time', good.replace(iso(NOON - 30 * DAY), 'yesterday')],
  ['too large', `${good}${' '.repeat(2 << 20)}`],
])('a file that is %s is set aside and told of', async (_, text) => {
  const folder = await tempDir()
  const path = join(folder, 'main.json')
  await writeFile(path, text)
  const { log, lines } = keptLog()
  expect(await readMemory(folder, 'main', { log, now: NOON })).toEqual(freshMemory('main'))
  expect(await readFile(`${path}.damaged-${NOON}`, 'utf8')).toBe(text)
  expect(await readdir(folder)).toEqual([`main.json.damaged-${NOON}`])
  expect(lines).toMatchObject([{ level: 'error', event: 'automation.memory_damaged' }])
})

test('a folder in its place is set aside as well', async () => {
  const folder = await tempDir()
  await mkdir(join(folder, 'main.json'))
  const { log, lines } = keptLog()
  expect(await readMemory(folder, 'main', { log, now: NOON })).toEqual(freshMemory('main'))
  await writeMemory(folder, printState(remembered, [], NOON))
  expect(await readMemory(folder, 'main', { log, now: NOON })).toEqual(remembered)
  expect(lines).toHaveLength(1)
  await rm(folder, { recursive: true })
})
