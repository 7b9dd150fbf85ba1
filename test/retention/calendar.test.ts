import fc from 'fast-check'
import { expect, test } from 'vitest'
import { periodLabel } from '../../src/retention/calendar.ts'

test.each([
  // The ISO year differs from the calendar's at both ends of a year.
  ['2026-11-20T14:59:59.999Z', '2026-11-20T14', '2026-11-20', '2026-W47', '2026-11', '2026'],
  ['2021-01-03T23:59:59.999Z', '2021-01-03T23', '2021-01-03', '2020-W53', '2021-01', '2021'],
  ['2021-01-04T00:00:00.000Z', '2021-01-04T00', '2021-01-04', '2021-W01', '2021-01', '2021'],
  ['2024-12-30T00:00:00.000Z', '2024-12-30T00', '2024-12-30', '2025-W01', '2024-12', '2024'],
  ['2024-02-29T12:00:00.000Z', '2024-02-29T12', '2024-02-29', '2024-W09', '2024-02', '2024'],
  ['1970-01-01T00:00:00.000Z', '1970-01-01T00', '1970-01-01', '1970-W01', '1970-01', '1970'],
  ['1969-12-28T23:00:00.000Z', '1969-12-28T23', '1969-12-28', '1969-W52', '1969-12', '1969'],
])('%s belongs to %s, %s, %s, %s and %s', (moment, ...labels) => {
  const ts = Date.parse(moment)
  const periods = ['hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const
  expect(periods.map((period) => periodLabel(period, ts))).toEqual(labels)
})

test('a week is seven days from Monday and has the number that its Thursday gives it', () => {
  const monday = Date.UTC(1990, 0, 1)
  const day = 86_400_000
  fc.assert(
    fc.property(fc.nat({ max: 5000 }), fc.nat({ max: 7 * day - 1 }), (week, within) => {
      const start = monday + week * 7 * day
      const label = periodLabel('weekly', start)
      expect(periodLabel('weekly', start + within)).toBe(label)
      expect(periodLabel('weekly', start + 7 * day)).not.toBe(label)
      const thursday = new Date(start + 3 * day)
      const thursdays = Math.ceil(
        (thursday.getTime() + 1 - Date.UTC(thursday.getUTCFullYear(), 0, 1)) / (7 * day),
      )
      expect(label).toBe(`${thursday.getUTCFullYear()}-W${thursdays < 10 ? '0' : ''}${thursdays}`)
    }),
  )
})
