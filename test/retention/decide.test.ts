import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decideRetention, type Candidate } from '../../src/retention/decide.ts'
import { checkPolicy, type RetentionPolicy } from '../../src/retention/policy.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const NOW = Date.parse('2026-11-20T14:30:00Z')

function backup(id: string, at: string, more: Partial<Candidate> = {}): Candidate {
  return { id, ts: Date.parse(at), tags: [], ...more }
}

function decided(
  candidates: readonly Candidate[],
  policy: RetentionPolicy,
  now = NOW,
): Record<string, readonly string[]> {
  const verdicts = decideRetention(candidates, policy, now)
  for (const { keep, reasons } of verdicts) expect(keep).toBe(reasons.length > 0)
  return Object.fromEntries(verdicts.map(({ item, reasons }) => [item.id, reasons]))
}

const idsKept = (candidates: readonly Candidate[], policy: RetentionPolicy, now = NOW): string[] =>
  decideRetention(candidates, policy, now)
    .filter(({ keep }) => keep)
    .map(({ item }) => item.id)

describe('each rule', () => {
  const lately = [
    backup('c', '2026-11-19T23:59:00Z'),
    backup('a', '2026-11-20T14:00:00Z'),
    backup('e', '2026-10-31T12:00:00Z'),
    backup('b', '2026-11-20T13:10:00Z', { tags: ['keep-me', 'other', 'keep-me'] }),
    backup('d', '2026-11-19T01:00:00Z', { pinned: 'current' }),
  ]

  test('says what it keeps, newest first', () => {
    expect(decided(lately, { last: 2, daily: 2, tags: ['keep-me', 'absent'] })).toEqual({
      a: ['newest', 'last 1/2', 'daily 2026-11-20'],
      b: ['last 2/2', 'tag keep-me'],
      c: ['daily 2026-11-19'],
      d: ['current'],
      e: [],
    })
    const order = decideRetention(lately, { last: 1 }, NOW).map(({ item }) => item.id)
    expect(order).toEqual(['a', 'b', 'c', 'd', 'e'])
  })

  test('counts periods that have a backup, not those of the calendar', () => {
    expect(idsKept(lately, { monthly: 2 })).toEqual(['a', 'd', 'e'])
    expect(idsKept(lately, { hourly: 3 })).toEqual(['a', 'b', 'c', 'd'])
  })

  test('keeps the oldest too while its count is not used up', () => {
    const twice = [backup('x', '2026-11-20T10:00:00Z'), backup('y', '2026-11-20T09:00:00Z')]
    expect(decided([...twice, backup('z', '2026-11-20T08:00:00Z')], { daily: 7 })).toEqual({
      x: ['newest', 'daily 2026-11-20'],
      y: [],
      z: ['oldest, daily 1/7'],
    })
    expect(idsKept(twice, { daily: 1 })).toEqual(['x'])
  })

  test.each([
    [36 * HOUR, 'within 36h'],
    [7 * DAY, 'within 7d'],
    [90 * 60_000, 'within 90m'],
    [1500, 'within 1500ms'],
    [61_000, 'within 61s'],
  ])('within %d ms is called "%s"', (withinMs, reason) => {
    expect(decided([backup('a', '2026-11-20T14:00:00Z')], { withinMs })).toEqual({
      a: ['newest', reason],
    })
  })
})

describe('within', () => {
  const policy = { withinMs: DAY }

  test('is measured from the newest, so that nothing goes while no new one is made', () => {
    const old = [
      backup('a', '2026-01-03T00:00:00Z'),
      backup('b', '2026-01-02T00:00:00Z'),
      backup('c', '2026-01-01T23:59:59.999Z'),
    ]
    expect(idsKept(old, policy)).toEqual(['a', 'b'])
  })

  test('is not measured from a backup of the future', () => {
    const jumped = [backup('a', '2036-01-01T00:00:00Z'), backup('b', '2026-11-20T14:00:00Z')]
    expect(idsKept([...jumped, backup('c', '2026-11-19T14:00:00Z')], policy)).toEqual([
      'a',
      'b',
      'c',
    ])
  })
})

describe('clocks', () => {
  const future = [
    backup('a', '2036-01-02T00:00:00Z'),
    backup('b', '2036-01-01T00:00:00Z'),
    backup('c', '2026-11-20T14:30:00Z'),
    backup('d', '2026-11-19T14:00:00Z'),
  ]

  test('a backup later than now is kept and uses up no count', () => {
    expect(decided(future, { last: 1 })).toEqual({
      a: ['newest', 'later than now'],
      b: ['later than now'],
      c: ['newest', 'last 1/1'],
      d: [],
    })
  })

  test('a clock that went back before everything deletes nothing', () => {
    expect(idsKept(future, { last: 1 }, 0)).toEqual(['a', 'b', 'c', 'd'])
  })

  test('of backups of one moment the one given first is the newer', () => {
    const same = ['x', 'y', 'z'].map((id) => backup(id, '2026-11-20T00:00:00Z'))
    expect(idsKept(same, { last: 2 })).toEqual(['x', 'y'])
  })
})

test('no candidates, no verdicts', () => {
  expect(decideRetention([], { last: 1, daily: 1, withinMs: 1 }, NOW)).toEqual([])
})

const usage = expect.objectContaining({ code: 'usage' }) as unknown

test.each<RetentionPolicy>([
  {},
  { last: 0, tags: [] },
  { daily: -1, last: 5 },
  { weekly: 1.5 },
  { withinMs: Number.NaN },
  { yearly: Number.POSITIVE_INFINITY },
  { last: 1, tags: [''] },
])('the policy %j is refused', (policy) => {
  expect(() => checkPolicy(policy)).toThrow(usage)
  expect(() => decideRetention([], policy, NOW)).toThrow(usage)
})

test.each([
  [[backup('a', 'no time')], NOW],
  [[backup('a', '2026-11-20T00:00:00Z')], Number.NaN],
])('a time that is none is an error, not a reason to delete', (all, now) => {
  expect(() => decideRetention(all, { last: 1 }, now)).toThrow(/whole milliseconds/)
})

/** Times that crowd around edges of hours, days, weeks, months and years, and around now. */
const moment = fc.oneof(
  fc
    .tuple(
      fc.constantFrom('2026-11-20', '2026-11-16', '2026-11-01', '2026-01-01', '2024-12-30'),
      fc.integer({ min: -40, max: 40 }),
    )
    .map(([day, halfHours]) => Date.parse(day) + (halfHours * HOUR) / 2),
  fc.integer({ min: -60, max: 3 }).map((days) => NOW + days * DAY),
  fc.integer({ min: NOW - 1500 * DAY, max: NOW + DAY }),
  fc.constant(NOW),
)

const candidates = fc
  .array(
    fc.record({
      ts: moment,
      tags: fc.subarray(['t', 'u', 'v']),
      pinned: fc.option(fc.constant('current'), { nil: undefined, freq: 8 }),
    }),
    { maxLength: 40 },
  )
  .map((list) =>
    list.map(({ pinned, ...rest }, index): Candidate => {
      const item = { id: `${index}`, ...rest }
      return pinned === undefined ? item : { ...item, pinned }
    }),
  )

const count = fc.integer({ min: 0, max: 6 })
const policies: fc.Arbitrary<Required<RetentionPolicy>> = fc
  .record({
    last: count,
    hourly: count,
    daily: count,
    weekly: count,
    monthly: count,
    yearly: count,
    withinMs: fc.oneof(
      fc.constant(0),
      fc.integer({ min: 1, max: 100 }).map((n) => n * HOUR),
    ),
    tags: fc.subarray(['t', 'u']),
  })
  // Most rules off in most policies, so that each is seen alone.
  .chain((full) =>
    fc.subarray(Object.keys(full) as (keyof RetentionPolicy)[], { minLength: 1 }).map((on) => ({
      last: on.includes('last') ? full.last : 0,
      hourly: on.includes('hourly') ? full.hourly : 0,
      daily: on.includes('daily') ? full.daily : 0,
      weekly: on.includes('weekly') ? full.weekly : 0,
      monthly: on.includes('monthly') ? full.monthly : 0,
      yearly: on.includes('yearly') ? full.yearly : 0,
      withinMs: on.includes('withinMs') ? full.withinMs : 0,
      tags: on.includes('tags') ? full.tags : [],
    })),
  )
  .filter((policy) =>
    Object.values(policy).some((rule) => (Array.isArray(rule) ? rule.length : rule)),
  )

/** Says of one candidate at a time whether it stays, by comparing it with all others. */
function staysByOracle(all: readonly Candidate[], policy: RetentionPolicy, id: string): boolean {
  const place = (one: Candidate): number => all.indexOf(one)
  const newer = (a: Candidate, b: Candidate): boolean =>
    a.ts > b.ts || (a.ts === b.ts && place(a) < place(b))
  const one = all.find((other) => other.id === id) as Candidate
  if (one.pinned !== undefined || one.ts > NOW) return true
  if (one.tags.some((tag) => policy.tags?.includes(tag))) return true

  const past = all.filter((other) => other.ts <= NOW)
  const newerThanIt = past.filter((other) => newer(other, one))
  if (newerThanIt.length === 0 || newerThanIt.length < (policy.last ?? 0)) return true
  const newest = Math.max(...past.map(({ ts }) => ts))
  if ((policy.withinMs ?? 0) > 0 && newest - one.ts <= (policy.withinMs ?? 0)) return true

  const oldest = past.every((other) => other === one || newer(other, one))
  const rules: readonly [number | undefined, (date: Date) => string | number][] = [
    [policy.hourly, (date) => Math.floor(date.getTime() / HOUR)],
    [policy.daily, (date) => Math.floor(date.getTime() / DAY)],
    // 1970-01-05 was a Monday.
    [policy.weekly, (date) => Math.floor((date.getTime() - 4 * DAY) / (7 * DAY))],
    [policy.monthly, (date) => `${date.getUTCFullYear()} ${date.getUTCMonth()}`],
    [policy.yearly, (date) => date.getUTCFullYear()],
  ]
  return rules.some(([most = 0, bucketOf]) => {
    const bucket = (other: Candidate): string | number => bucketOf(new Date(other.ts))
    const newerBuckets = new Set(newerThanIt.map(bucket))
    if (!newerBuckets.has(bucket(one))) return newerBuckets.size < most
    return oldest && newerBuckets.size < most
  })
}

describe('for any candidates and any policy', () => {
  test('what is kept is what comparing each with all others says', () => {
    fc.assert(
      fc.property(candidates, policies, (all, policy) => {
        const expected = all.map(({ id }) => id).filter((id) => staysByOracle(all, policy, id))
        const newest = [...all].sort((a, b) => b.ts - a.ts).slice(0, 1)
        const kept = new Set([...expected, ...newest.map(({ id }) => id)])
        expect(new Set(idsKept(all, policy))).toEqual(kept)
      }),
      { numRuns: 2000 },
    )
  })

  test('each has one verdict, in the order of time, and the newest stays', () => {
    fc.assert(
      fc.property(candidates, policies, (all, policy) => {
        const verdicts = decideRetention(all, policy, NOW)
        expect(new Set(verdicts.map(({ item }) => item))).toEqual(new Set(all))
        expect(verdicts).toHaveLength(all.length)
        const times = verdicts.map(({ item }) => item.ts)
        expect(times).toEqual([...times].sort((a, b) => b - a))
        if (all.length > 0) expect(verdicts[0]).toMatchObject({ keep: true })
        if (all.length > 0) expect(verdicts[0]?.reasons).toContain('newest')
      }),
    )
  })

  test('deciding again among what was kept keeps all of it', () => {
    fc.assert(
      fc.property(candidates, policies, (all, policy) => {
        const once = decideRetention(all, policy, NOW).filter(({ keep }) => keep)
        const twice = decideRetention(
          once.map(({ item }) => item),
          policy,
          NOW,
        )
        expect(twice).toEqual(once)
      }),
      { numRuns: 1000 },
    )
  })

  test('a larger policy keeps at least as much', () => {
    const more = fc.record({
      last: count,
      hourly: count,
      daily: count,
      weekly: count,
      monthly: count,
      yearly: count,
      withinMs: fc.integer({ min: 0, max: 10 * DAY }),
    })
    fc.assert(
      fc.property(candidates, policies, more, (all, policy, extra) => {
        const larger = {
          last: policy.last + extra.last,
          hourly: policy.hourly + extra.hourly,
          daily: policy.daily + extra.daily,
          weekly: policy.weekly + extra.weekly,
          monthly: policy.monthly + extra.monthly,
          yearly: policy.yearly + extra.yearly,
          withinMs: policy.withinMs + extra.withinMs,
          tags: [...policy.tags, 'v'],
        }
        expect(idsKept(all, larger)).toEqual(expect.arrayContaining(idsKept(all, policy)))
      }),
      { numRuns: 1000 },
    )
  })

  test('time that passes without a new backup lets nothing go that was not of the future', () => {
    fc.assert(
      fc.property(candidates, policies, fc.nat({ max: 1000 }), (all, policy, days) => {
        const past = all.filter(({ ts }) => ts <= NOW)
        expect(idsKept(past, policy, NOW + days * DAY)).toEqual(idsKept(past, policy))
      }),
    )
  })
})
