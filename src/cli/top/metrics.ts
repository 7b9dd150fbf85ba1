/** What is read from the metrics of a service: a few sums over series in Prometheus' text format. */

/** Counted since the service began. */
export interface Counters {
  /** Of the process; another one counts from the beginning. */
  readonly startedAt: number
  /** Requests of others, and those of them that read; good for differences alone. */
  readonly requests: number
  readonly reads: number
  /** Entries that this dataset took, by this process. */
  readonly appended: number
  readonly requestTimes: Histogram
  readonly appendTimes: Histogram
  readonly memoryBytes: number | null
  readonly heapBytes: number | null
}

/** Upper limits in seconds with the counts up to them. */
export type Histogram = ReadonlyMap<number, number>

interface Series {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const LINE = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g
const WANTED =
  /^(?:cairn_(?:http_request|append|entries_appended)|process_(?:resident|start)|nodejs_heap_size_used)/

/** What is asked for to show it: its times would hide those of others. */
const OWN_ROUTES: ReadonlySet<string> = new Set([
  '/metrics',
  '/v1/datasets',
  '/v1/datasets/:dataset',
  ...['health', 'automation', 'backups', 'jobs', 'entries'].map(
    (name) => `/v1/datasets/:dataset/${name}`,
  ),
])

/** `own`: how many requests of this program are among those that were counted. */
export function readCounters(text: string, dataset: string, own: number): Counters {
  let requests = 0 - own
  let reads = 0 - own
  let appended = 0
  const requestTimes = new Map<number, number>()
  const appendTimes = new Map<number, number>()
  const gauges = new Map<string, number>()
  for (const { name, labels, value } of seriesOf(text)) {
    const { route = '', method, le } = labels
    if (name === 'cairn_http_requests_total') {
      requests += value
      if (method === 'GET' || method === 'HEAD') reads += value
    } else if (name === 'cairn_entries_appended_total') {
      if (labels['dataset'] === dataset) appended += value
    } else if (name === 'cairn_http_request_seconds_bucket') {
      if (!OWN_ROUTES.has(route)) addTo(requestTimes, le, value)
    } else if (name === 'cairn_append_seconds_bucket') addTo(appendTimes, le, value)
    else gauges.set(name, value)
  }
  return {
    startedAt: gauges.get('process_start_time_seconds') ?? 0,
    requests,
    reads,
    appended,
    requestTimes,
    appendTimes,
    memoryBytes: gauges.get('process_resident_memory_bytes') ?? null,
    heapBytes: gauges.get('nodejs_heap_size_used_bytes') ?? null,
  }
}

function* seriesOf(text: string): Generator<Series> {
  for (const line of text.split('\n')) {
    if (!WANTED.test(line)) continue
    const [, name, labelText = '', number] = LINE.exec(line.trimEnd()) ?? []
    const value = Number(number)
    if (name === undefined || !Number.isFinite(value)) continue
    const labels: Record<string, string> = {}
    for (const [, label = '', said = ''] of labelText.matchAll(LABEL)) labels[label] = said
    yield { name, labels, value }
  }
}

function addTo(histogram: Map<number, number>, le: string | undefined, count: number): void {
  const limit = le === '+Inf' ? Infinity : Number(le)
  if (!Number.isNaN(limit)) histogram.set(limit, (histogram.get(limit) ?? 0) + count)
}

/**
 * Seconds that the given part of what came between two moments did not exceed; undefined if nothing came. Within
 * a bucket it is taken to be spread evenly; what is beyond the last limit is said to be that limit.
 */
export function quantile(before: Histogram, after: Histogram, part: number): number | undefined {
  const limits = [...after.keys()].toSorted((a, b) => a - b)
  const counts = limits.map((limit) => (after.get(limit) ?? 0) - (before.get(limit) ?? 0))
  const all = counts.at(-1) ?? 0
  if (all <= 0) return undefined
  const wanted = all * part
  const at = counts.findIndex((count) => count >= wanted)
  const upper = limits[at] ?? Infinity
  const lower = at > 0 ? (limits[at - 1] ?? 0) : 0
  if (!Number.isFinite(upper)) return lower
  const below = at > 0 ? (counts[at - 1] ?? 0) : 0
  const inside = (counts[at] ?? 0) - below
  return lower + (inside <= 0 ? 0 : ((wanted - below) / inside) * (upper - lower))
}
