/** Figures, and the limits that some of them have. */
export interface Row {
  readonly where: string
  readonly what: string
  readonly value: string | number | boolean
  readonly unit?: string
  /** What must be, in words, and whether it is. */
  readonly limit?: { readonly text: string; readonly met: boolean }
}

export const failedOf = (rows: readonly Row[]): Row[] =>
  rows.filter(({ limit }) => limit?.met === false)

export function tableOf(rows: readonly Row[]): string {
  const lines = rows.map(({ where, what, value, unit, limit }) => {
    const shown = typeof value === 'number' ? rounded(value) : String(value)
    const text = limit === undefined ? '' : limit.text
    const verdict = limit === undefined ? '' : limit.met ? 'met' : 'NOT MET'
    return `| ${where} | ${what} | ${shown}${unit === undefined ? '' : ` ${unit}`} | ${text} | ${verdict} |`
  })
  return [
    '| where | what | measured | limit | |',
    '| --- | --- | --- | --- | --- |',
    ...lines,
  ].join('\n')
}

const rounded = (value: number): string =>
  value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(1)

/** The times of one backend over those of another in the same run. */
export function multiplesOf(rows: readonly Row[], backend: string, beside: string): Row[] {
  return rows.flatMap(({ where, what, value, unit }) => {
    if (!where.startsWith(`${backend}, `) || (unit !== 's' && unit !== 'ms')) return []
    const place = where.replace(backend, beside)
    const other = rows.find((row) => row.where === place && row.what === what)?.value
    if (typeof value !== 'number' || typeof other !== 'number') return []
    return [{ where: `${where} / ${beside}`, what, value: value / other, unit: 'times' }]
  })
}

/** Two figures that must be the same. */
export function same(where: string, what: string, actual: unknown, expected: unknown): Row {
  const met = actual === expected
  const value = met ? String(actual) : `${String(actual)}, not ${String(expected)}`
  return { where, what, value, limit: { text: 'the same', met } }
}

/** A figure that may be at most a tenth above another. */
export function withinTenth(where: string, what: string, actual: number, fresh: number): Row {
  const text = `at most 110% of ${Math.round(fresh).toLocaleString('en')}`
  const met = actual > 0 && actual <= fresh * 1.1
  return { where, what, value: actual, unit: 'bytes', limit: { text, met } }
}
