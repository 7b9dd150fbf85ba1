/** From values to places, and the marks on axes. Pure. */

export interface Scale {
  readonly at: (value: number) => number
  readonly from: (place: number) => number
}

export function linear(
  [low, high]: readonly [number, number],
  [start, end]: readonly [number, number],
): Scale {
  const span = high - low || 1
  return {
    at: (value) => start + ((value - low) / span) * (end - start),
    from: (place) => low + ((place - start) / (end - start || 1)) * span,
  }
}

export interface Ticks {
  readonly step: number
  readonly values: readonly number[]
}

/** An axis of whole numbers that begins and ends at round ones, with about as many steps as wanted. */
export function niceAxis(
  [low, high]: readonly [number, number],
  wanted: number,
): { readonly ends: readonly [number, number]; readonly ticks: Ticks } {
  const rough = Math.max(1, (high - low) / Math.max(1, wanted))
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = power * ([1, 2, 5, 10].find((one) => one * power >= rough * 0.999) ?? 10)
  const ends = [Math.floor(low / step) * step, Math.ceil(high / step) * step] as const
  return { ends, ticks: { step, values: multiples(...ends, step) } }
}

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const TIME_STEPS = [
  ...[1, 5, 15, 30].map((n) => n * SECOND),
  ...[1, 5, 10, 30].map((n) => n * MINUTE),
  ...[1, 3, 6, 12].map((n) => n * HOUR),
  ...[1, 2, 7, 14, 28, 91, 182, 365, 730, 1826].map((n) => n * DAY),
]

/** Full minutes, hours and days of the time zone that is looked at. */
export function timeTicks(low: number, high: number, wanted: number): Ticks {
  const rough = (high - low) / Math.max(1, wanted)
  const step = TIME_STEPS.find((one) => one >= rough) ?? 3652 * DAY
  const shift = new Date(low).getTimezoneOffset() * MINUTE
  return { step, values: multiples(low - shift, high - shift, step).map((value) => value + shift) }
}

function multiples(low: number, high: number, step: number): number[] {
  const first = Math.ceil(low / step)
  const count = Math.max(0, Math.floor(high / step) - first + 1)
  return Array.from({ length: Math.min(count, 100) }, (_, i) => (first + i) * step)
}

/** From the lowest to the highest value; what hardly moves is not made to look wild. */
export function extent(values: readonly number[], fromZero: boolean): readonly [number, number] {
  let [low, high] = [Infinity, -Infinity]
  for (const value of values) {
    low = Math.min(low, value)
    high = Math.max(high, value)
  }
  if (low > high) return [0, 1]
  if (fromZero) return [Math.min(0, low), Math.max(high, 1)]
  const least = Math.max(1, Math.abs(high) * 0.02)
  if (high - low >= least) return [low, high]
  const middle = (low + high) / 2
  return [Math.max(low >= 0 ? 0 : -Infinity, middle - least / 2), middle + least / 2]
}

/** About `most` of them, evenly, the last one always. */
export function thinned<T>(items: readonly T[], most: number): readonly T[] {
  if (items.length <= most) return items
  const step = (items.length - 1) / (most - 1)
  return Array.from({ length: most }, (_, i) => items[Math.round(i * step)] as T)
}
