/** Prometheus' text format, as far as tests look at it. */

/** Of one line that is no comment: `name{label="value"}` and its value. */
export function samplesOf(text: string): ReadonlyMap<string, number> {
  const samples = new Map<string, number>()
  for (const line of text.split('\n')) {
    const [, series, value] = /^([a-z_]\w*(?:\{.*\})?) (\S+)$/i.exec(line) ?? []
    if (series !== undefined) samples.set(series, Number(value))
  }
  return samples
}

/** The series of a metric. */
export function seriesOf(text: string, name: string): Readonly<Record<string, number>> {
  const own = [...samplesOf(text)].filter(
    ([series]) => series === name || series.startsWith(`${name}{`),
  )
  return Object.fromEntries(own)
}
