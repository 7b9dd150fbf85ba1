/** How moments are written wherever Cairn is asked from outside. */

/** RFC 3339 ends with the year 9999. */
const LAST_RFC_3339 = 253_402_300_799_999

/** RFC 3339; later than the year 9999, integer milliseconds. */
export function formatTime(ms: number): string | number {
  return ms > LAST_RFC_3339 ? ms : new Date(ms).toISOString()
}

const RFC_3339 =
  /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[Tt ](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/

export const TIME_HINT =
  'Use RFC 3339 with a zone, such as "2026-05-01T12:00:00Z", or milliseconds since 1970.'

/** RFC 3339 or integer milliseconds since 1970; undefined when it is neither. */
export function readTime(given: unknown): number | undefined {
  if (typeof given === 'number')
    return Number.isSafeInteger(given) && given >= 0 ? given : undefined
  if (typeof given !== 'string' || !RFC_3339.test(given)) return undefined
  const ms = Date.parse(given.toUpperCase().replace(' ', 'T'))
  const day = Number(given.slice(8, 10))
  const lastDay = new Date(
    Date.UTC(Number(given.slice(0, 4)), Number(given.slice(5, 7)), 0),
  ).getUTCDate()
  return Number.isFinite(ms) && ms >= 0 && day <= lastDay ? ms : undefined
}
