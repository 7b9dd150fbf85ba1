/**
 * Days of a dataset under `decide`, made at random and driven by nothing but what it answers: it is asked
 * when something happens and at the moment it named, never in between.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { EMERGENCY_PAUSE_MS, failedHold, PACES } from '../../src/automation/back-off.ts'
import { decide, type Decision } from '../../src/automation/decide.ts'
import {
  freshMemory,
  withDone,
  withEnded,
  withSchedules,
  type AutomationMemory,
} from '../../src/automation/memory.ts'
import { policyOf, type AutomationPolicy } from '../../src/automation/policy.ts'
import { JOB_KINDS, type Job } from '../../src/jobs/job.ts'
import { DAY, HOUR, MINUTE, NOON, SECOND } from './situations.ts'
import { quietValues } from './values.ts'

const THRESHOLDS = { rebuild: 500, alert: 700, emergency: 800 }

interface Run {
  readonly at: number
  readonly reason: string
}

/** A dataset, one build at a time, and the automation's memory of it. */
class Day {
  now = NOON
  recentCount = 0
  pendingSince: number | null = null
  snapshotTs = NOON
  running: (Run & { readonly folds: number }) | undefined
  builds: Run[] = []
  /** When the build ended that failed, while no other was started since. */
  failedAt: number | undefined
  memory: AutomationMemory
  readonly policy: AutomationPolicy

  constructor(policy: AutomationPolicy) {
    this.policy = policy
    this.memory = withSchedules(freshMemory('main'), policy, this.now)
  }

  ask(requests: readonly string[] = []): Decision {
    const { now, recentCount, snapshotTs, pendingSince, policy, memory } = this
    const facts = { recentCount, snapshotTs, pendingSince, empty: true, thresholds: THRESHOLDS }
    const underWay = new Set(this.running === undefined ? [] : (['build'] as const))
    const observed = { facts, underWay, requests, startedAt: NOON }
    const decision = decide({ policy, memory, now, observed })
    for (const kind of decision.passed) this.memory = withDone(this.memory, kind, now)
    const [start] = decision.start
    if (start !== undefined) this.begin(start.reason, start.follow)
    return decision
  }

  begin(reason: string, follow: boolean): void {
    // One that was asked for waits behind the running one, which the tests of jobs are about.
    if (follow && this.running !== undefined) return
    expect(this.running, 'a second build').toBeUndefined()
    if (!follow) expect(this.recentCount, 'a build of nothing').toBeGreaterThan(0)
    this.running = { at: this.now, reason, folds: this.recentCount }
    this.builds.push(this.running)
  }

  append(count: number): void {
    if (count === 0) return
    this.recentCount += count
    this.pendingSince ??= this.now
  }

  end(state: 'succeeded' | 'failed', random: number): void {
    const { running, now } = this
    if (running === undefined) return
    this.running = undefined
    if (state === 'succeeded') {
      this.recentCount -= running.folds
      this.snapshotTs = running.at
      this.pendingSince = this.recentCount === 0 ? null : running.at
    }
    this.failedAt = state === 'failed' ? now : undefined
    this.memory = withEnded(this.memory, jobOf(running, state, now), { now, random, ending: false })
  }

  /** Time goes on to `until`, with every moment that was named on the way. */
  pass(until: number): void {
    for (let rings = 0; ; rings++) {
      expect(rings, 'it names moments that do not help').toBeLessThan(5000)
      const { wakeAt } = this.ask()
      if (this.running !== undefined || wakeAt === null || wakeAt > until) break
      expect(wakeAt).toBeGreaterThan(this.now)
      this.now = wakeAt
    }
    this.now = Math.max(this.now, until)
  }
}

function jobOf({ at, reason }: Run, state: 'succeeded' | 'failed', now: number): Job {
  const iso = (ms: number): string => new Date(ms).toISOString()
  return {
    id: 'a',
    dataset: 'main',
    kind: 'build',
    state,
    reason,
    reasons: [reason],
    created_at: iso(at),
    started_at: iso(at),
    finished_at: iso(now),
    progress: null,
    stuck: false,
    result: null,
    error: state === 'failed' ? { code: 'backend_unavailable', message: 'No.' } : null,
  }
}

const policies = fc
  .record({
    save_interval: fc.constantFrom(0, 30, 120, 3600),
    save_rules: fc.constantFrom('never', '3600:1', '300:100,60:400', '3600:1,300:100'),
    max_lag: fc.constantFrom(0, 10 * MINUTE, DAY),
    build_schedule: fc.constantFrom('never', '0 2 * * *', '*/15 * * * *'),
  })
  .map((values) => policyOf(quietValues(values)))

const gap = fc.oneof(
  fc.integer({ min: 1, max: 2000 }),
  fc.integer({ min: 1, max: 10 * MINUTE }),
  fc.integer({ min: 1, max: 5 * HOUR }),
)
const count = fc.constantFrom(1, 1, 5, 90, 450)

/** By when a build must have begun, told from the settings alone; the times are counted from `from`. */
function latest({ policy, recentCount }: Day, from: number): number {
  const times = [Number.POSITIVE_INFINITY]
  if (recentCount === 0) return times[0] ?? 0
  if (recentCount >= THRESHOLDS.rebuild) times.push(from)
  if (policy.saveIntervalMs > 0) times.push(from + policy.saveIntervalMs)
  if (policy.maxLagMs > 0) times.push(from + policy.maxLagMs)
  for (const { afterMs, entries } of policy.saveRules)
    if (recentCount >= entries) times.push(from + afterMs)
  const scheduled = policy.schedules.build?.next(from)
  if (scheduled !== undefined && scheduled !== null) times.push(scheduled)
  return Math.min(...times)
}

test('what is new is built within the smallest time due, one build at a time', () => {
  const takes = fc.integer({ min: 2, max: 2 * MINUTE })
  const step = fc.record({ count, gap, takes, meanwhile: fc.constantFrom(0, 1, 900) })
  fc.assert(
    fc.property(policies, fc.array(step, { maxLength: 30 }), (policy, steps) => {
      const day = new Day(policy)
      let freeSince = day.now
      for (const { count: more, gap: wait, takes, meanwhile } of steps) {
        day.append(more)
        const until = day.now + wait
        const due = latest(day, Math.max(day.pendingSince ?? 0, freeSince))
        day.pass(until)
        if (day.running === undefined) {
          expect(due, 'it starves').toBeGreaterThan(until)
          continue
        }
        expect(day.running.at).toBeLessThanOrEqual(Math.max(due, until - wait))
        const endsAt = Math.max(day.now, day.running.at) + takes
        day.now = endsAt - 1
        day.append(meanwhile)
        expect(day.ask().start, 'started beside a build').toEqual([])
        day.now = endsAt
        day.end('succeeded', 0)
        freeSince = day.now
      }
    }),
    { numRuns: 1000 },
  )
})

test('after each failure it waits, longer and longer, and then tries again', () => {
  const values = quietValues({ save_rules: '1:1' })
  const step = fc.record({
    random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    more: fc.constantFrom(0, 1, 200),
  })
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 15 }), (steps) => {
      const day = new Day(policyOf(values))
      day.append(1)
      day.pass(day.now + 2 * SECOND)
      for (const [i, { random, more }] of steps.entries()) {
        day.end('failed', random)
        const failedAt = day.now
        if (more > 0) day.append(more)
        const emergency = day.recentCount >= THRESHOLDS.emergency
        day.pass(failedAt + PACES.build.capMs)
        const waited = (day.running?.at ?? Number.NaN) - failedAt
        const whole = Math.min(PACES.build.capMs, PACES.build.firstMs * 2 ** i)
        expect(waited).toBeGreaterThanOrEqual(emergency ? 0 : Math.floor(whole / 2))
        expect(waited).toBeLessThanOrEqual(emergency ? Math.min(whole, EMERGENCY_PAUSE_MS) : whole)
      }
      day.end('succeeded', 0)
      expect(day.memory.runs.build).toMatchObject({ failures: 0, retryAt: null })
    }),
    { numRuns: 300 },
  )
})

test('the back-off of every kind lies within its bounds, and grows up to the cap', () => {
  const kind = fc.constantFrom(...JOB_KINDS)
  const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
  fc.assert(
    fc.property(kind, fc.integer({ min: 1, max: 1e6 }), random, (one, failures, chance) => {
      const { firstMs, capMs } = PACES[one]
      const hold = failedHold(one, failures, chance)
      expect(hold).toBeGreaterThanOrEqual(firstMs / 2)
      expect(hold).toBeLessThanOrEqual(capMs)
      expect(failedHold(one, failures + 1, chance)).toBeGreaterThanOrEqual(hold)
    }),
  )
})
