/** Which hour, day, ISO week, month and year a moment belongs to, in UTC, as a label for people. */

export type Period = 'hourly' | 'daily' | 'weekly' | 'monthly' | 'yearly'

export const PERIODS: readonly Period[] = ['hourly', 'daily', 'weekly', 'monthly', 'yearly']

const DAY_MS = 86_400_000

/** The same for all moments of one period, different for those of different ones. */
export function periodLabel(period: Period, ts: number): string {
  const iso = new Date(ts).toISOString()
  // The year has four digits, or a sign and six.
  const year = iso.lastIndexOf('-') - 3
  switch (period) {
    case 'hourly':
      return iso.slice(0, year + '-MM-DDTHH'.length)
    case 'daily':
      return iso.slice(0, year + '-MM-DD'.length)
    case 'weekly':
      return isoWeek(ts)
    case 'monthly':
      return iso.slice(0, year + '-MM'.length)
    case 'yearly':
      return iso.slice(0, year)
  }
}

/** A week belongs to the year of its Thursday. */
function isoWeek(ts: number): string {
  const day = Math.floor(ts / DAY_MS)
  // Day 0, 1970-01-01, was a Thursday, and weeks begin on Monday.
  const weekday = (((day + 3) % 7) + 7) % 7
  const thursday = (day - weekday + 3) * DAY_MS
  const year = periodLabel('yearly', thursday)
  const ofYear = (thursday - Date.parse(`${year}-01-01T00:00:00Z`)) / DAY_MS
  return `${year}-W${String(Math.floor(ofYear / 7) + 1).padStart(2, '0')}`
}
