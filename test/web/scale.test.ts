/** The axes of charts. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { extent, linear, niceAxis, thinned, timeTicks } from '../../web/src/ui/chart/scale.ts'

const amount = fc.integer({ min: 0, max: 10 ** 13 })

test('an axis holds all values, in a few whole steps', () => {
  fc.assert(
    fc.property(fc.array(amount, { minLength: 1, maxLength: 50 }), fc.boolean(), (values, zero) => {
      const { ends, ticks } = niceAxis(extent(values, zero), 4)
      expect(ends[0]).toBeLessThanOrEqual(Math.min(...values))
      expect(ends[1]).toBeGreaterThanOrEqual(Math.max(...values))
      expect(Number.isInteger(ticks.step)).toBe(true)
      expect(ticks.values.length).toBeGreaterThanOrEqual(2)
      expect(ticks.values.length).toBeLessThanOrEqual(7)
      expect([ticks.values[0], ticks.values.at(-1)]).toEqual([...ends])
    }),
  )
})

test('marks of time are few, within, and evenly apart', () => {
  const at = fc.integer({ min: 0, max: 4 * 10 ** 12 })
  fc.assert(
    fc.property(at, fc.integer({ min: 1000, max: 10 ** 12 }), (low, span) => {
      const { step, values } = timeTicks(low, low + span, 6)
      expect(values.length).toBeLessThanOrEqual(8 + span / 3652 / 86_400_000)
      for (const [i, value] of values.entries()) {
        expect(value).toBeGreaterThanOrEqual(low)
        expect(value).toBeLessThanOrEqual(low + span)
        if (i > 0) expect(value - (values[i - 1] ?? 0)).toBe(step)
      }
    }),
  )
})

test('a scale leads there and back', () => {
  const { at, from } = linear([10, 30], [200, 0])
  expect([at(10), at(30), at(20)]).toEqual([200, 0, 100])
  expect(from(at(17))).toBeCloseTo(17)
})

test('what is thinned keeps its ends', () => {
  const items = Array.from({ length: 1000 }, (_, i) => i)
  const few = thinned(items, 25)
  expect([few.length, few[0], few.at(-1)]).toEqual([25, 0, 999])
  expect(thinned(few, 25)).toBe(few)
})
