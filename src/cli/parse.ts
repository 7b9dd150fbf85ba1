/** Reading what people write on the command line. What cannot be read is a `usage` error. */
import { CairnError } from '../errors.ts'
import { readTime } from '../model/time.ts'

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
