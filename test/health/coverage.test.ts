/** Coverage against a model that asks for one moment at a time: what is there from it or before it? */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  coverage,
  coverageFindings,
  type CoverageInput,
  type Interval,
  type StatePoint,
} from '../../src/health/coverage.ts'
import { reachOf } from '../../src/health/coverage-report.ts'
import { DAY, HOUR } from './seen.ts'

const LAST = 60

const point = (kind: StatePoint['kind'], ts: number, complete = false): StatePoint => ({
  kind,
  name: `${kind}-${ts}`,
  ts,
  complete,
  proof: { at: ts, by: 'export' },
})

const times = fc.uniqueArray(fc.integer({ min: 0, max: LAST + 5 }), { maxLength: 8 })
const inputs: fc.Arbitrary<CoverageInput> = fc
  .record({
    from: fc.integer({ min: 0, max: LAST - 1 }),
    commitsFrom: fc.option(fc.integer({ min: 0, max: LAST + 5 })),
    snapshots: times,
    cars: times,
    complete: fc.boolean(),
  })
  .map(({ from, commitsFrom, snapshots, cars, complete }) => ({
    from,
    now: LAST,
    commitsFrom,
    storeProof: null,
    snapshots: snapshots.map((ts) => point('snapshot', ts)),
    // Only what is newest can be all there is.
    cars: cars.map((ts) => point('car', ts, complete && ts === Math.max(...cars) && ts <= LAST)),
  }))

interface Truth {
  readonly state: number | null
  readonly exact: boolean
}

const newest = (points: readonly StatePoint[], t: number): StatePoint | undefined =>
  points.filter(({ ts }) => ts <= t).sort((a, b) => b.ts - a.ts)[0]

function truthOfStore({ commitsFrom, snapshots }: CoverageInput, t: number): Truth {
  if (commitsFrom !== null && t >= commitsFrom) return { state: t, exact: true }
  return { state: newest(snapshots, t)?.ts ?? null, exact: false }
}

function truthOfCars({ cars }: CoverageInput, t: number): Truth {
  const found = newest(cars, t)
  return found?.complete === true
    ? { state: t, exact: true }
    : { state: found?.ts ?? null, exact: false }
}

const holds = ({ from, to }: Interval, t: number): boolean => from <= t && t < to

const said = (recovery: Interval['store'], t: number): Truth => ({
  state: recovery === null ? null : (recovery.to ?? t),
  exact: recovery?.exact ?? false,
})

test('a moment can be brought back exactly when a commit, a snapshot or a CAR covers it', () => {
  fc.assert(
    fc.property(inputs, (input) => {
      const intervals = coverage(input)
      for (let t = input.from; t <= LAST; t += 1) {
        const inside = t === LAST ? intervals.slice(-1) : intervals.filter((one) => holds(one, t))
        expect(inside).toHaveLength(1)
        const [{ store, cars } = expect.fail('no interval')] = inside
        expect(said(store, t)).toEqual(truthOfStore(input, t))
        expect(said(cars, t)).toEqual(truthOfCars(input, t))
        for (const one of [store, cars])
          expect(one?.losesMs ?? 0).toBeGreaterThanOrEqual(t - (one?.to ?? t))
      }
    }),
    { numRuns: 200 },
  )
})

test('intervals follow each other from the first moment to now, and no two neighbours are alike', () => {
  fc.assert(
    fc.property(inputs, (input) => {
      const intervals = coverage(input)
      expect(intervals[0]?.from).toBe(input.from)
      expect(intervals.at(-1)?.to).toBe(LAST)
      for (const [i, one] of intervals.entries()) {
        const next = intervals[i + 1]
        if (next === undefined) continue
        expect(next.from).toBe(one.to)
        const same = (a: Interval['store'], b: Interval['store']): boolean =>
          a?.by === b?.by && a?.name === b?.name && a?.exact === b?.exact
        expect(same(one.store, next.store) && same(one.cars, next.cars)).toBe(false)
      }
    }),
  )
})

test('a hole is a finding exactly where neither the store nor a CAR has anything', () => {
  fc.assert(
    fc.property(inputs, (input) => {
      const holes = coverageFindings(coverage(input)).filter(({ kind }) => kind === 'hole')
      for (let t = input.from; t < LAST; t += 1) {
        const inHole = holes.some(({ from, to }) => Date.parse(from) <= t && t < Date.parse(to))
        const nothing =
          truthOfStore(input, t).state === null && truthOfCars(input, t).state === null
        expect(inHole).toBe(nothing)
      }
    }),
  )
})

const EMPTY: CoverageInput = {
  from: 0,
  now: LAST,
  commitsFrom: 10,
  storeProof: { at: 20, by: 'verify' },
  snapshots: [],
  cars: [point('car', 0)],
}

test('what stands on the store alone, and a store that was never proved, are findings', () => {
  const kinds = (change: Partial<CoverageInput>): string[] =>
    coverageFindings(coverage({ ...EMPTY, ...change })).map(({ kind }) => kind)
  expect(kinds({})).toEqual([])
  expect(kinds({ cars: [] })).toEqual(['hole', 'no_car'])
  expect(kinds({ storeProof: null })).toEqual(['unproved'])
})

test('of two CARs of one moment the complete one counts, then what was proved later', () => {
  const old = point('car', 5)
  const drilled: StatePoint = { ...old, name: 'drilled', proof: { at: 50, by: 'drill' } }
  const complete: StatePoint = { ...old, name: 'complete', complete: true }
  const nameOf = (...cars: StatePoint[]): unknown => coverage({ ...EMPTY, cars }).at(-1)?.cars?.name
  expect(nameOf(old, drilled)).toBe('drilled')
  expect(nameOf(drilled, old)).toBe('drilled')
  expect(nameOf(old, drilled, complete)).toBe('complete')
})

test('the retention rules reach as far back as they surely keep something', () => {
  expect(reachOf({ last: 10 })).toBe(0)
  expect(reachOf({ last: 10, hourly: 24, daily: 30 })).toBe(28 * DAY)
  expect(reachOf({ monthly: 1 })).toBe(0)
  expect(reachOf({ withinMs: 36 * HOUR, daily: 2 })).toBe(36 * HOUR)
})
