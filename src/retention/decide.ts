/**
 * Which backups the retention rules keep, and why. Deletes nothing and knows no clock.
 *
 * - A candidate is kept if any rule names it. The rules and their counts are those of restic's
 *   `forget`: a period without a candidate uses up no count, of one period the newest stays, and where
 *   a count is not used up the oldest candidate stays too, so that the history is as long as it can be.
 * - Whatever the rules say, the newest stays, and so does what is pinned.
 * - A candidate later than `now` was made by a clock that ran ahead (or this one is behind). It counts
 *   as newest: it is kept, and uses up no count, else it would push out what was really made last.
 * - `withinMs` is measured back from `now` or from the newest candidate up to then, whichever is
 *   earlier. So nothing more goes while no new backups are made, nor when a clock jumped ahead.
 *
 * A policy with larger numbers keeps at least as much, and deciding again among what was kept keeps it.
 */
import { assert } from '../errors.ts'
import { PERIODS, periodLabel, type Period } from './calendar.ts'
import { checkPolicy, type RetentionPolicy } from './policy.ts'

export interface Candidate {
  readonly id: string
  /** Milliseconds. */
  readonly ts: number
  readonly tags: readonly string[]
  /** Must stay whatever the rules say, with the reason, such as `current` or `newest good`. */
  readonly pinned?: string
}

export interface Verdict<C extends Candidate> {
  readonly item: C
  readonly keep: boolean
  /** Such as `last 1/5`, `daily 2026-11-20`, `within 7d`, `tag keep-me`; empty if it may go. */
  readonly reasons: readonly string[]
}

/** Reasons by place among the candidates, newest first. */
type Reasons = ReadonlyMap<number, string>

/** Newest first. Of candidates with the same `ts` the one that was given first counts as newer. */
export function decideRetention<C extends Candidate>(
  candidates: readonly C[],
  policy: RetentionPolicy,
  now: number,
): Verdict<C>[] {
  checkPolicy(policy)
  const times = [now, ...candidates.map(({ ts }) => ts)]
  assert(times.every(Number.isSafeInteger), 'retention compares times in whole milliseconds')
  const items = [...candidates].sort((a, b) => b.ts - a.ts)
  const ahead = items.filter((item) => item.ts > now).length
  const judged = items.slice(ahead)
  const rules = [
    keptAsLast(judged, policy.last ?? 0),
    ...PERIODS.map((period) => keptByPeriod(judged, period, policy[period] ?? 0)),
    keptWithin(judged, policy.withinMs ?? 0),
  ]
  const tags = new Set(policy.tags)
  return items.map((item, index) => {
    const reasons = [
      ...(item.pinned === undefined ? [] : [item.pinned]),
      ...(index === 0 || index === ahead ? ['newest'] : []),
      ...(index < ahead ? ['later than now'] : []),
      ...rules.flatMap((kept) => kept.get(index - ahead) ?? []),
      ...[...new Set(item.tags)].filter((tag) => tags.has(tag)).map((tag) => `tag ${tag}`),
    ]
    return { item, keep: reasons.length > 0, reasons }
  })
}

function keptAsLast(items: readonly Candidate[], count: number): Reasons {
  return new Map(items.slice(0, count).map((_, index) => [index, `last ${index + 1}/${count}`]))
}

function keptByPeriod(items: readonly Candidate[], period: Period, count: number): Reasons {
  const kept = new Map<number, string>()
  if (count === 0) return kept
  let current: string | undefined
  for (const [index, { ts }] of items.entries()) {
    const label = periodLabel(period, ts)
    if (label === current) continue
    if (kept.size === count) return kept
    kept.set(index, `${period} ${label}`)
    current = label
  }
  const oldest = items.length - 1
  if (kept.size > 0 && kept.size < count && !kept.has(oldest)) {
    kept.set(oldest, `oldest, ${period} ${kept.size}/${count}`)
  }
  return kept
}

/** None of the items is later than now, so the newest of them is the earlier end to measure from. */
function keptWithin(items: readonly Candidate[], withinMs: number): Reasons {
  const [newest] = items
  if (withinMs === 0 || newest === undefined) return new Map()
  const reason = `within ${printDuration(withinMs)}`
  const kept = items.filter((item) => item.ts >= newest.ts - withinMs)
  return new Map(kept.map((_, index) => [index, reason]))
}

const UNITS: readonly (readonly [string, number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
]

function printDuration(ms: number): string {
  const [unit, size] = UNITS.find(([, each]) => ms % each === 0) ?? ['ms', 1]
  return `${ms / size}${unit}`
}
