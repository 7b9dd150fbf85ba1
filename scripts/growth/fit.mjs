/** Orders of growth: which simple law the points follow, and what it says of sizes that were not tried. */
import { printShort } from '../charts/numbers.mjs'

/** What a law's variable part is, for n entities; the constant part is fitted too. */
const LAWS = [
  { name: '1', of: () => 0 },
  { name: 'log n', of: (n) => Math.log2(n) },
  { name: 'n', of: (n) => n },
  { name: 'n log n', of: (n) => n * Math.log2(n) },
]

/** A richer law must fit that much better than the plainer one: noise always does a little. */
const WORTH = 0.75

/** A bound shows only where this many sizes lie beyond it. */
const BEYOND = 2

/**
 * `points` are `[n, value]`. The law `a + b f(n)` with the least relative error, and the slope on
 * double-logarithmic paper over the last two decades, where what is constant no longer hides it.
 * `known` is a law that the design gives.
 */
export function fitGrowth(points, known) {
  const laws = known ? [known] : [...LAWS, ...boundedLaws(points)]
  const fits = laws.flatMap((law) => fitLaw(law, points))
  const best = fits.reduce((plain, next) => (next.error < plain.error * WORTH ? next : plain))
  return { ...best, ...slopeOf(points) }
}

/** What grows until a cache is full, and what costs more once it is. */
function boundedLaws(points) {
  return points.slice(2, -BEYOND).flatMap(([most]) => [
    { name: `n up to ${printShort(most)}`, of: (n) => Math.min(n, most) },
    { name: `1, another above ${printShort(most)}`, of: (n) => (n > most ? 1 : 0) },
  ])
}

/** Least squares of relative errors, so that small sizes count as much as large ones; nothing shrinks. */
function fitLaw({ name, of }, points) {
  const rows = points.map(([n, value]) => ({ one: 1 / value, f: of(n) / value }))
  const sum = (term) => rows.reduce((total, row) => total + term(row), 0)
  const [oneOne, oneF, fF] = [sum((r) => r.one ** 2), sum((r) => r.one * r.f), sum((r) => r.f ** 2)]
  const [one, f] = [sum((r) => r.one), sum((r) => r.f)]
  const determinant = oneOne * fF - oneF ** 2
  // One size cannot tell a constant from what grows.
  const flat = name === '1' || points.length === 1
  let b = flat ? 0 : (oneOne * f - oneF * one) / determinant
  let a = flat ? one / oneOne : (one - b * oneF) / oneOne
  if (a < 0) [a, b] = [0, f / fF]
  if (b < 0) return []
  const error = Math.sqrt(sum((r) => (a * r.one + b * r.f - 1) ** 2) / rows.length)
  return [{ law: name, a, b, error, at: (n) => a + b * of(n) }]
}

function slopeOf(points) {
  const largest = Math.max(...points.map(([n]) => n))
  const logs = points
    .filter(([n]) => n >= largest / 110)
    .map(([n, value]) => [Math.log10(n), Math.log10(value)])
  const mean = (pick) => logs.reduce((sum, point) => sum + pick(point), 0) / logs.length
  const [mx, my] = [mean(([x]) => x), mean(([, y]) => y)]
  const sxy = mean(([x, y]) => (x - mx) * (y - my))
  const [sxx, syy] = [mean(([x]) => (x - mx) ** 2), mean(([, y]) => (y - my) ** 2)]
  const slope = sxx === 0 ? 0 : sxy / sxx
  return { slope, r2: sxx === 0 || syy === 0 ? 1 : sxy ** 2 / (sxx * syy) }
}
