/** The rules by which backups are kept: their shape, and which of them make no sense. */
import { CairnError } from '../errors.ts'

/** Each rule keeps what it names; what no rule names may go. A rule that is absent or 0 keeps nothing. */
export interface RetentionPolicy {
  /** The newest so many. */
  readonly last?: number
  /** Of each of the newest so many hours, days, ... that have a candidate, the newest one. */
  readonly hourly?: number
  readonly daily?: number
  readonly weekly?: number
  readonly monthly?: number
  readonly yearly?: number
  /** All that are at most so much older than the newest. */
  readonly withinMs?: number
  /** All that carry one of these tags. */
  readonly tags?: readonly string[]
}

const AMOUNTS = [
  'last',
  'hourly',
  'daily',
  'weekly',
  'monthly',
  'yearly',
  'withinMs',
] as const satisfies readonly (keyof RetentionPolicy)[]

/** Refuses a policy that keeps nothing, so that a forgotten option never deletes everything. */
export function checkPolicy(policy: RetentionPolicy): void {
  for (const rule of AMOUNTS) {
    const amount = policy[rule] ?? 0
    if (!Number.isSafeInteger(amount) || amount < 0) {
      throw new CairnError('usage', `The retention rule ${rule} cannot be ${amount}.`, {
        hint: 'Give a whole number, 0 or more.',
        rule,
      })
    }
  }
  if (policy.tags?.includes('') === true) {
    throw new CairnError('usage', 'A retention rule names an empty tag.', {
      hint: 'Give the tag of the backups to keep.',
      rule: 'tags',
    })
  }
  const keepsSome =
    AMOUNTS.some((rule) => (policy[rule] ?? 0) > 0) || (policy.tags ?? []).length > 0
  if (!keepsSome) {
    throw new CairnError('usage', 'The retention rules keep nothing.', {
      hint: 'Say what to keep, such as the last 7 or one a day for 30 days.',
    })
  }
}
