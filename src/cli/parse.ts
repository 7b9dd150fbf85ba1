/** Reading what people write on the command line. What cannot be read is a `usage` error. */
import { CairnError } from '../errors.ts'

const RFC_3339 =
  /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[Tt ](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/

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

export function parseTimeFlag(flag: string, text: string): number {
  const time = readTime(/^\d{1,16}$/.test(text) ? Number(text) : text)
  if (time !== undefined) return time
  throw new CairnError('usage', `${flag} cannot be "${text.slice(0, 60)}".`, {
    hint: 'Give a time with its zone, such as 2026-05-01T12:00:00Z, or milliseconds since 1970.',
  })
}

export function parseCount(flag: string, text: string, least = 0): number {
  const value = Number(text)
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(value) && value >= least) return value
  throw new CairnError('usage', `${flag} cannot be "${text.slice(0, 60)}".`, {
    hint: `Give a whole number from ${least} on.`,
  })
}

export function parseJsonObject(flag: string, text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    value = undefined
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  throw new CairnError('usage', `${flag} needs a JSON object.`, {
    hint: `For example ${flag} '{"owner":"me"}'.`,
  })
}
