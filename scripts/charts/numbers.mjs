/** Numbers for people, and what a handful of measurements say. */

export function median(values) {
  const sorted = values.toSorted((a, b) => a - b)
  const half = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2
}

/** Three digits, thousands set apart. */
export function printNumber(value) {
  if (value >= 100) return Math.round(value).toLocaleString('en')
  return String(Number(value.toPrecision(value >= 10 ? 3 : 2)))
}

const SCALES = [
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
]

/** For axes: 10k, 1M. */
export function printShort(value) {
  const [scale, letter] = SCALES.find(([size]) => value >= size) ?? [1, '']
  return `${Number((value / scale).toPrecision(3))}${letter}`
}
