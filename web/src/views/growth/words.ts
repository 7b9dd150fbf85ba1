/** What a line shows, in a sentence. */
import type { Point } from '../../ui/chart/line.tsx'
import { absoluteText, roughText } from '../../ui/format.ts'

export function trendText(
  points: readonly Point[],
  format: (value: number) => string,
  since: (first: Point, last: Point) => string,
): string {
  const [first, last] = [points[0], points.at(-1)]
  if (first === undefined || last === undefined) return 'Nothing is known.'
  const change =
    last.value === first.value
      ? `It is ${format(last.value)}, as at the beginning`
      : `It went from ${format(first.value)} to ${format(last.value)}`
  return `${change}, ${since(first, last)}.`
}

export const sinceText = (first: Point, last: Point): string =>
  `within ${roughText(last.at - first.at)}`

export const untilText = (first: Point): string => `since ${absoluteText(first.at)}`

/** For axes: 12k, 1.5M. */
export function shortCount(value: number): string {
  const size = Math.abs(value)
  if (size >= 1e6) return `${trim(value / 1e6)}M`
  return size >= 1e4 ? `${trim(value / 1e3)}k` : value.toLocaleString('en-US')
}

const trim = (value: number): string => value.toLocaleString('en-US', { maximumFractionDigits: 2 })
