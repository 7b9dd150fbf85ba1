/** The moment of the past that a read asks for. */
import type { At } from '../../engine/time.ts'
import { CairnError } from '../../errors.ts'
import { readTime } from '../../model/time.ts'
import type { MomentQuery } from '../schemas/page.ts'

export function momentOf(query: MomentQuery): At | undefined {
  const { at_snapshot: snapshot, at_commit: commit, at_time: time } = query
  const given = [snapshot, commit, time].filter((one) => one !== undefined)
  if (given.length === 0) return undefined
  if (given.length > 1) {
    throw new CairnError('usage', 'A read is about one moment.', {
      hint: 'Give just one of at_snapshot, at_commit and at_time.',
    })
  }
  return time === undefined ? { snapshot, commit } : { time: timeOf(time, 'at_time') }
}

/** Text or milliseconds, as a schema has let them through. */
export function timeOf(given: string | number, field: string): number {
  const digits = typeof given === 'string' && /^\d+$/.test(given)
  const time = readTime(digits ? Number(given) : given)
  if (time !== undefined) return time
  throw new CairnError('invalid_entry', `The field ${field} is no time.`, {
    hint: 'Use RFC 3339 with a zone, such as 2026-05-01T12:00:00Z, or milliseconds since 1970.',
  })
}
