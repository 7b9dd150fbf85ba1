/** Schedules: their moments in a time zone, across the changes of its clocks, and what is refused. */
import { expect, test } from 'vitest'
import { parseSchedule, parseTimeZone, type Schedule } from '../../src/automation/cron.ts'

function schedule(cron: string, timeZone = 'UTC'): Schedule {
  const parsed = parseSchedule(cron, timeZone, 'build_schedule')
  if (parsed === undefined) throw new Error('never')
  return parsed
}

const iso = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString())

/** The moments from one time on, before another. */
function moments(cron: string, timeZone: string, from: string, to: string): string[] {
  const { next } = schedule(cron, timeZone)
  const found: string[] = []
  for (let at = next(Date.parse(from) - 1); at !== null && at < Date.parse(to); at = next(at))
    found.push(new Date(at).toISOString())
  return found
}

test('a moment is after the time that is asked from, to the millisecond', () => {
  const daily = schedule('0 2 * * *')
  const at = Date.parse('2026-01-01T02:00:00.000Z')
  expect(iso(daily.next(at - 1))).toBe('2026-01-01T02:00:00.000Z')
  expect(iso(daily.next(at))).toBe('2026-01-02T02:00:00.000Z')
  expect(iso(daily.next(at + 1))).toBe('2026-01-02T02:00:00.000Z')
  expect(iso(daily.previous(at))).toBe('2025-12-31T02:00:00.000Z')
  expect(iso(daily.previous(at + 1000))).toBe('2026-01-01T02:00:00.000Z')
})

test('the schedules that are the defaults', () => {
  const from = Date.parse('2026-07-29T12:00:00Z') // A Wednesday.
  const next = (cron: string): string | null => iso(schedule(cron).next(from))
  expect(next('0 2 * * *')).toBe('2026-07-30T02:00:00.000Z')
  expect(next('0 3 * * 0')).toBe('2026-08-02T03:00:00.000Z')
  expect(next('0 6 1 * *')).toBe('2026-08-01T06:00:00.000Z')
})

test('in Berlin 02:30 comes once a day, also when it is skipped or passed twice', () => {
  const spring = moments('30 2 * * *', 'Europe/Berlin', '2026-03-28T00:00Z', '2026-03-31T00:00Z')
  expect(spring).toEqual([
    '2026-03-28T01:30:00.000Z',
    '2026-03-29T01:00:00.000Z', // 03:00, the first moment after the gap.
    '2026-03-30T00:30:00.000Z',
  ])
  const autumn = moments('30 2 * * *', 'Europe/Berlin', '2026-10-24T00:00Z', '2026-10-27T00:00Z')
  expect(autumn).toEqual([
    '2026-10-24T00:30:00.000Z',
    '2026-10-25T00:30:00.000Z', // The first of the two.
    '2026-10-26T01:30:00.000Z',
  ])
})

test('in Berlin every half hour comes every half hour on both days', () => {
  for (const day of ['2026-03-29', '2026-10-25']) {
    const all = moments('*/30 * * * *', 'Europe/Berlin', `${day}T00:00Z`, `${day}T06:00Z`)
    const gaps = all.slice(1).map((at, i) => Date.parse(at) - Date.parse(all[i] ?? ''))
    expect(all).toHaveLength(12)
    expect(new Set(gaps)).toEqual(new Set([1_800_000]))
  }
})

test('in UTC no day is different', () => {
  const year = moments('30 2 * * *', 'UTC', '2026-01-01T00:00Z', '2027-01-01T00:00Z')
  expect(year).toHaveLength(365)
  expect(new Set(year.map((at) => at.slice(11)))).toEqual(new Set(['02:30:00.000Z']))
})

test('every moment of a year in Berlin is later than the one before, and a day has one', () => {
  const year = moments('30 2 * * *', 'Europe/Berlin', '2026-01-01T00:00Z', '2026-12-31T22:00Z')
  const days = year.map((at) =>
    new Date(at).toLocaleDateString('en', { timeZone: 'Europe/Berlin' }),
  )
  expect(new Set(days).size).toBe(365)
  expect(year).toEqual(year.toSorted())
})

test('never is no schedule', () => {
  expect(parseSchedule('never', 'UTC', 'drill_schedule')).toBeUndefined()
  expect(parseSchedule(' never ', 'UTC', 'drill_schedule')).toBeUndefined()
  expect(iso(schedule('@daily').next(0))).toBe('1970-01-02T00:00:00.000Z')
})

test.each([
  '',
  'daily',
  '* * * *',
  '0 0 0 0 * *',
  '61 * * * *',
  '* 24 * * *',
  '0 0 31 2 *',
  '2026-01-01T00:00:00',
  '@reboot',
  '* * * * MOONDAY',
])('refused: %j', (text) => {
  expect(() => parseSchedule(text, 'UTC', 'build_schedule')).toThrow(
    expect.objectContaining({
      code: 'config',
      hint: expect.stringMatching(/\.$/),
      details: expect.objectContaining({ setting: 'build_schedule' }),
    }),
  )
})

test('time zones', () => {
  expect(parseTimeZone('Europe/Berlin')).toBe('Europe/Berlin')
  expect(parseTimeZone('UTC')).toBe('UTC')
  for (const wrong of ['', 'Mars/Olympus', 'Berlin']) {
    expect(() => parseTimeZone(wrong)).toThrow(expect.objectContaining({ code: 'config' }))
  }
})
