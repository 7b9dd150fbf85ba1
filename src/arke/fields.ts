/** Fields of old records: times, versions, ids; what cannot be read is told apart from what is absent. */
import { isCairnError } from '../errors.ts'
import { parseId } from '../model/entity-id.ts'

/** Milliseconds since 1970; undefined when it is no time. */
export function readTime(value: unknown): number | undefined {
  if (typeof value !== 'string' || value.length > 64) return undefined
  const ms = Date.parse(value)
  return Number.isSafeInteger(ms) && ms >= 0 ? ms : undefined
}

export function isVersion(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 1
}

/** The id as a key of the tree; undefined when Cairn does not take it. */
export function readId(value: unknown): string | undefined {
  try {
    return parseId(value)
  } catch (error) {
    if (isCairnError(error, 'invalid_entry')) return undefined
    throw error
  }
}

export function textOr(value: unknown, fallback: string): string {
  return typeof value === 'string' ? value.slice(0, 100) : fallback
}
