/** Progress: the estimates on a clock of the test's own, and the lines. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatSpan } from '../../src/cli/format.ts'
import { ProgressReporter } from '../../src/cli/progress.ts'
import { amount, doneLine, progressLine } from '../../src/cli/progress-line.ts'
import { RateEstimator } from '../../src/cli/progress-rate.ts'

describe('the estimator', () => {
  test('a constant rate is found exactly, and the time left counts down with the clock', () => {
    const estimator = new RateEstimator(0, 0)
    for (let s = 1; s <= 60; s++) {
      estimator.add(s * 1000, s * 500)
      expect(estimator.rate(s * 1000)).toBeCloseTo(500, 6)
      const left = estimator.left(s * 1000, 50_000)
      if (s < 2) expect(left).toBeUndefined()
      else expect(left).toBeCloseTo((100 - s) * 1000, 3)
    }
    expect(estimator.left(60_700, 50_000)).toBeCloseTo(39_300, 3)
  })

  test('bursts do not make the estimate jump', () => {
    // 3,000 at once, then nothing for three seconds.
    const estimator = new RateEstimator(0, 0)
    const shown: number[] = []
    for (let t = 100; t <= 90_000; t += 100) {
      if (t % 3000 === 0) estimator.add(t, t)
      const left = estimator.left(t, 120_000)
      if (left !== undefined && t > 6000) shown.push(left + t)
    }
    expect(Math.max(...shown) - Math.min(...shown)).toBeLessThan(3200)
  })

  test('small changes of pace do not move the end that was foretold', () => {
    const estimator = new RateEstimator(0, 0)
    const ends = new Set<number>()
    let done = 0
    for (let s = 1; s <= 60; s++) {
      estimator.add(s * 1000, (done += s % 2 === 0 ? 950 : 1050))
      const left = estimator.left(s * 1000, 100_000)
      if (left !== undefined) ends.add(Math.round(left + s * 1000))
    }
    expect(ends.size).toBe(1)
  })

  test('it follows a change of pace within half a minute', () => {
    const estimator = new RateEstimator(0, 0)
    let done = 0
    for (let s = 1; s <= 60; s++) estimator.add(s * 1000, (done += 1000))
    for (let s = 61; s <= 91; s++) estimator.add(s * 1000, (done += 100))
    expect(estimator.rate(91_000)).toBeLessThan(300)
    expect(estimator.left(91_000, done + 10_000)).toBeGreaterThan(30_000)
  })

  test('what stands still becomes slower and slower, and its end goes further away', () => {
    const estimator = new RateEstimator(0, 0)
    for (let s = 1; s <= 10; s++) estimator.add(s * 1000, s * 100)
    const before = estimator.rate(12_000) ?? 0
    expect(before).toBeCloseTo(100, 6)
    expect(estimator.rate(40_000)).toBeLessThan(30)
    const left = [20, 40, 80, 160].map((s) => estimator.left(s * 1000, 2000) ?? 0)
    expect(left).toEqual(left.toSorted((a, b) => a - b))
    expect(left[0]).toBeGreaterThan(10_000)
  })

  test('whatever comes, a rate is between the slowest and the fastest part', () => {
    const parts = fc.array(fc.tuple(fc.integer({ min: 1, max: 2900 }), fc.nat(10_000)), {
      minLength: 1,
      maxLength: 50,
    })
    fc.assert(
      fc.property(parts, (all) => {
        const estimator = new RateEstimator(0, 0)
        let [at, done] = [0, 0]
        for (const [ms, more] of all) estimator.add((at += ms), (done += more))
        const rates = all.map(([ms, more]) => (more * 1000) / ms)
        const rate = estimator.rate(at) ?? Number.NaN
        expect(rate).toBeGreaterThanOrEqual(Math.min(...rates) * 0.999 - 1e-9)
        expect(rate).toBeLessThanOrEqual(Math.max(...rates) * 1.001 + 1e-9)
      }),
    )
  })
})

describe('the line', () => {
  const pace = { rate: 2345.4, leftMs: 83_000, elapsedMs: 12_300 }

  test('it never is wider than the terminal, and says less where there is less room', () => {
    const progress = { step: 'verify tree', done: 12_345, total: 36_000 }
    expect(progressLine(progress, pace, 79)).toBe(
      'verify tree: [#####...........] 34%  12,345/36,000  2,345/s  1 min 23 s left',
    )
    expect(progressLine(progress, pace, 39)).toBe('verify tree: 34%  1 min 23 s left')
    expect(progressLine(progress, pace, 12)).toBe('34%')
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.nat(), fc.nat(), (width, done, total) => {
        const line = progressLine({ step: 'look for holds', done, total }, pace, width)
        expect(line.length).toBeLessThanOrEqual(width)
      }),
    )
  })

  test('without a total there is no time left, but that which has passed', () => {
    expect(progressLine({ step: 'mark', done: 5000 }, pace, 79)).toBe('mark: 5,000  2,345/s  13 s')
    expect(progressLine({ step: 'mark', done: 0, total: 0 }, pace, 79)).not.toContain('left')
  })

  test('bytes are sizes', () => {
    const progress = { step: 'hash', done: 3 << 20, total: 12 << 20, unit: 'bytes' } as const
    expect(progressLine(progress, { ...pace, rate: 1 << 20, leftMs: 9000 })).toBe(
      'hash: 25%  3.0 MiB/12.0 MiB  1.0 MiB/s  9 s left',
    )
    expect(amount(1500, undefined)).toBe('1,500')
  })

  test('the last line names the steps that took longest', () => {
    const steps = ['a', 'b', 'c', 'd', 'e'].map((step, i) => ({
      step,
      unit: undefined,
      done: 1000 * (i + 1),
      ms: i * 1000,
    }))
    expect(doneLine(steps, 12_000)).toBe(
      'took 12 s: b 2,000 at 2,000/s, c 3,000 at 1,500/s, d 4,000 at 1,333/s, e 5,000 at 1,250/s',
    )
    expect(doneLine([], 3000)).toBe('took 3 s')
  })

  test.each([
    [-5, '0 ms'],
    [850, '850 ms'],
    [9949, '9.9 s'],
    [59_400, '59 s'],
    [59_600, '1 min 00 s'],
    [3_599_900, '1 h 00 min'],
    [7_500_000, '2 h 05 min'],
    [277_200_000, '3 d 5 h'],
  ])('%d ms are %s', (ms, text) => {
    expect(formatSpan(ms)).toBe(text)
  })
})

describe('the reporter', () => {
  interface Screen {
    readonly reporter: ProgressReporter
    readonly lines: string[]
    readonly notes: string[]
    at: number
  }

  function screen({ terminal = true, json = false, quiet = false, enabled = true } = {}): Screen {
    const lines: string[] = []
    const notes: string[] = []
    const output = {
      quiet,
      json,
      stderrIsTerminal: terminal,
      stderrColumns: 60,
      transient: (text: string): void => void lines.push(text),
      note: (text: string): void => void notes.push(text),
    }
    const made = { lines, notes, at: 0 }
    const now = (): number => made.at
    return Object.assign(made, { reporter: new ProgressReporter(output, enabled, now) })
  }

  /** 100 updates a second. */
  function work(one: Screen, seconds: number, step = 'merge', total: number | undefined = 10_000) {
    const began = one.at
    for (let i = 1; i <= seconds * 100; i++) {
      one.at = began + i * 10
      one.reporter.update({ step, done: i * 10, ...(total === undefined ? {} : { total }) })
    }
  }

  test('on a terminal ten times a second, and within its width', () => {
    const one = screen()
    work(one, 10)
    one.reporter.done()
    expect(one.lines.length).toBeGreaterThan(90)
    expect(one.lines.length).toBeLessThan(105)
    expect(Math.max(...one.lines.map(({ length }) => length))).toBeLessThan(60)
    expect(one.lines.at(-1)).toBe('')
    expect(one.notes).toEqual(['took 10 s: merge 10,000 at 1,001/s'])
  })

  test('what is over at once leaves nothing behind', () => {
    const one = screen()
    work(one, 1)
    one.reporter.done()
    expect(one.notes).toEqual([])
  })

  test('elsewhere a line now and then, less often the longer it takes', () => {
    const one = screen({ terminal: false })
    work(one, 1000, 'merge', 1_000_000)
    one.reporter.done()
    expect(one.notes.length).toBeGreaterThan(15)
    expect(one.notes.length).toBeLessThan(45)
    expect(one.notes[0]).toBe('merge: 0%  5,000/1,000,000  1,000/s  16 min 35 s left')
    expect(one.notes.at(-1)).toMatch(/^took 16 min 40 s: merge/)
    expect(one.lines.filter((line) => line !== '')).toEqual([])
  })

  test('with --json events', () => {
    const one = screen({ terminal: false, json: true })
    work(one, 6)
    one.reporter.done()
    expect(one.notes.map((note) => JSON.parse(note) as unknown)).toEqual([
      {
        progress: {
          step: 'merge',
          done: 5000,
          total: 10_000,
          unit: 'count',
          per_second: 1000,
          left_ms: 5000,
          elapsed_ms: 4990,
        },
      },
      {
        progress_done: {
          elapsed_ms: 6000,
          steps: [{ step: 'merge', done: 6000, unit: 'count', ms: 5990 }],
        },
      },
    ])
  })

  test('a step that comes again is measured anew and summed up once', () => {
    const one = screen()
    work(one, 2, 'scan')
    work(one, 3, 'hash')
    work(one, 2, 'scan')
    work(one, 2, 'scan')
    one.reporter.done()
    expect(one.notes).toEqual(['took 9 s: scan 6,000 at 1,005/s, hash 3,000 at 1,003/s'])
  })

  test.each([{ quiet: true }, { enabled: false }])('nothing with %o', (options) => {
    const one = screen(options)
    work(one, 10)
    one.reporter.done()
    expect([...one.lines.filter((line) => line !== ''), ...one.notes]).toEqual([])
  })
})
