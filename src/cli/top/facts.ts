/** The body of `cairn top`: what there is, what goes on, what changed last. */
import { counted, formatBytes, formatCount, printable } from '../format.ts'
import { padEnd, padStart } from '../text.ts'
import { ratesOf, series, type Charted, type History, type Rates } from './history.ts'
import { fitLine, padLine, type Line, type Part, type Tone } from './line.ts'
import type { JobLook, Look } from './look.ts'
import type { Row, TopStyle } from './row.ts'
import { bar, spark } from './spark.ts'
import { ago, rate, span, took, until } from './words.ts'

export interface Seen {
  readonly look: Look
  readonly history: History
  readonly now: number
  readonly style: TopStyle
}

interface Fact {
  readonly label: string
  readonly value: Line
  readonly rank: number
  readonly chart?: Charted
  /** Needs the whole line. */
  readonly whole?: boolean
}

const LABEL = 10
/** From here on two facts share a line. */
const TWO_COLUMNS = 76
const LEAST_SPARK = 6
const MOST_SPARK = 40

export function factRows(seen: Seen): Row[] {
  const { columns } = seen.style
  const width = Number.isFinite(columns) ? columns : 100
  const half = width >= TWO_COLUMNS ? Math.floor((width - 2) / 2) : undefined
  const rows: Row[] = []
  let left: Fact | undefined
  const end = (): void => {
    if (left !== undefined)
      rows.push({ line: factLine(left, half ?? width, seen), rank: left.rank })
    left = undefined
  }
  for (const fact of factsOf(seen)) {
    if (fact.whole === true || half === undefined) {
      end()
      rows.push({ line: factLine(fact, width, seen), rank: fact.rank })
    } else if (left === undefined) left = fact
    else {
      const fitting = fitLine(factLine(left, half, seen), half, seen.style.utf8 ? '…' : '~')
      const first = padLine(fitting, half + 2)
      const line = [...first, ...factLine(fact, half, seen)]
      rows.push({ line, rank: Math.min(left.rank, fact.rank) })
      left = undefined
    }
  }
  end()
  return rows
}

function factLine({ label, value, chart }: Fact, width: number, { history, style }: Seen): Line {
  const line: Line = [[padEnd(label, LABEL), 'faint'], ...value]
  const used = line.reduce((sum, [text]) => sum + text.length, 0)
  // Where the value has its place, so that the charts stand below each other.
  const place = Math.max(LABEL + 22, used + 2)
  const room = Math.min(MOST_SPARK, width - place)
  if (chart === undefined || room < LEAST_SPARK || !Number.isFinite(style.rows)) return line
  const picture = spark(series(history, chart), room, {
    utf8: style.utf8,
    floating: chart === 'entities' || chart === 'storeBytes' || chart === 'memory',
  })
  return [...padLine(line, place), [picture, 'faint']]
}

function factsOf(seen: Seen): Fact[] {
  const { look } = seen
  const rates = ratesOf(seen.history)
  return [
    {
      label: 'entities',
      value: [[formatCount(look.entities), 'strong']],
      rank: 3,
      chart: 'entities',
    },
    { label: 'log', value: [[counted(look.next, 'entry', 'entries')]], rank: 14 },
    { label: 'appends', value: appendsOf(rates), rank: 5, chart: 'appends' },
    ...requestFacts(look, rates),
    { label: 'chain', value: chainOf(seen), rank: 4, whole: true },
    { label: 'build', value: buildOf(seen), rank: 6, whole: true },
    { label: 'snapshot', value: snapshotOf(seen), rank: 8 },
    { label: 'drill', value: drillOf(seen), rank: 10 },
    { label: 'CAR', value: carOf(seen), rank: 9, whole: true },
    { label: 'store', value: storeOf(look, rates), rank: 11, chart: 'storeBytes' },
    ...memoryFacts(look),
    ...upcomingFacts(seen),
  ]
}

function appendsOf({ appends, appendP99 }: Rates): Line {
  const p99: Line = appendP99 === null ? [] : [[`  p99 ${took(appendP99)}`, 'faint']]
  return [[appends === null ? 'not yet known' : rate(appends)], ...p99]
}

function requestFacts({ counters }: Look, { requests, reads, requestP99 }: Rates): Fact[] {
  if (counters === null) return []
  const unknown: Line = [['not yet known']]
  const p99: Line = requestP99 === null ? [] : [[`  p99 ${took(requestP99)}`, 'faint']]
  const value: Line = requests === null ? unknown : [[rate(Math.max(0, requests))], ...p99]
  const read: Line = reads === null ? unknown : [[rate(Math.max(0, reads))]]
  return [
    { label: 'requests', value, rank: 7, chart: 'requests' },
    { label: 'reads', value: read, rank: 13 },
  ]
}

/** As the check of the chain judges unless it was told otherwise. */
const CHAIN_WARN = 0.5
const CHAIN_BAD = 0.7

function chainOf({ look: { recent, chainLimit }, style: { columns, utf8 } }: Seen): Line {
  const part = recent / Math.max(1, chainLimit)
  const tone: Tone = part > CHAIN_BAD ? 'bad' : part > CHAIN_WARN ? 'warn' : 'good'
  const text = ` ${formatCount(recent)} of ${formatCount(chainLimit)}  ${Math.floor(part * 100)}%`
  const width = Math.min(50, (Number.isFinite(columns) ? columns : 100) - LABEL - text.length)
  return width < 4 ? [[text.trim(), tone]] : [[bar(part, width, utf8), tone], [text]]
}

function buildOf({ look: { jobs, slow }, now }: Seen): Line {
  const running = jobs?.find(({ kind, running }) => kind === 'build' && running)
  if (running !== undefined) return [['running', 'strong'], [` ${progressText(running)}`]]
  const { build } = slow
  if (build === null) return [['none since the service keeps count', 'faint']]
  const { at, ok, ms, folded } = build
  const what = folded === null ? '' : `, folded ${formatCount(folded)}`
  const time = ms === null ? '' : ` in ${took(ms)}`
  return [[ok ? 'done' : 'failed', ok ? 'good' : 'bad'], [` ${ago(now - at)}${what}${time}`]]
}

function snapshotOf({ look: { snapshotSeq, snapshotTs }, now }: Seen): Line {
  return [[`${formatCount(snapshotSeq)}, ${ago(now - snapshotTs)}`]]
}

function drillOf({ look, now }: Seen): Line {
  const { drill, alerts } = look.slow
  if (drill)
    return [
      [drill.ok ? 'passed' : 'failed', drill.ok ? 'good' : 'bad'],
      [` ${ago(now - drill.at)}`],
    ]
  const isMissing = alerts.some(({ check }) => check === 'drill')
  return isMissing ? [['none', 'warn']] : [['well', 'good']]
}

function carOf({ look: { next, generation, slow }, now }: Seen): Line {
  const { car } = slow
  if (!car) return [['none', 'warn']]
  const lacks = car.generation === generation ? Math.max(0, next - car.next) : next
  const missing: Part =
    lacks === 0
      ? ['has everything', 'good']
      : [`lacks ${counted(lacks, 'entry', 'entries')}`, 'warn']
  return [
    [`${ago(now - car.at)}, `],
    missing,
    [`, ${formatBytes(car.bytes)}, ${counted(car.count, 'CAR')}`],
  ]
}

function storeOf({ storeBytes, freeBytes }: Look, { growth }: Rates): Line {
  if (storeBytes === null) return [['does not tell', 'faint']]
  const grows = growth === null || Math.abs(growth) < 1 ? '' : ` ${signed(growth)}/min`
  const free = freeBytes === null ? '' : `, ${formatBytes(freeBytes)} free`
  return [[`${formatBytes(storeBytes)}${grows}${free}`]]
}

const signed = (bytes: number): string =>
  `${bytes < 0 ? '-' : '+'}${formatBytes(Math.round(Math.abs(bytes)))}`

function memoryFacts({ counters }: Look): Fact[] {
  if (counters === null || counters.memoryBytes === null) return []
  const { memoryBytes, heapBytes } = counters
  const heap: Line = heapBytes === null ? [] : [[`, heap ${formatBytes(heapBytes)}`, 'faint']]
  return [
    { label: 'memory', value: [[formatBytes(memoryBytes)], ...heap], rank: 12, chart: 'memory' },
  ]
}

function upcomingFacts({ look: { slow }, now }: Seen): Fact[] {
  if (slow.upcoming.length === 0) return []
  const text = slow.upcoming.slice(0, 4).map(({ kind, at }) => `${kind} ${until(at - now)}`)
  return [{ label: 'next', value: [[text.join(', ')]], rank: 15, whole: true }]
}

// --- What goes on -----------------------------------------------------------------------------------

export function jobRows({ look, now, style }: Seen): Row[] {
  return (look.jobs ?? []).map((job, i) => {
    const since = job.startedAt === null ? 'waits' : span(now - job.startedAt)
    const stuck: Line = job.stuck ? [['  no progress', 'bad']] : []
    const label = padEnd(job.kind, LABEL)
    const line: Line = [[label, 'strong'], [padEnd(since, 7)], [jobText(job, style)], ...stuck]
    return { line, rank: 20 + i }
  })
}

function jobText(job: JobLook, { columns, utf8 }: TopStyle): string {
  const { done, total } = job.progress ?? { done: 0, total: null }
  if (total === null || columns < 60) return progressText(job)
  return `${bar(done / total, 20, utf8)} ${progressText(job)}`
}

function progressText({ progress }: JobLook): string {
  if (progress === null) return ''
  const { step, done, total } = progress
  if (total === null || total === 0) return `${printable(step)} ${formatCount(done)}`
  const percent = Math.min(100, Math.floor((done / total) * 100))
  return `${printable(step)} ${percent}%`
}

// --- What changed -----------------------------------------------------------------------------------

export function changeLines({ look: { changes }, now }: Seen): Line[] {
  const wide = Math.max(0, ...changes.map(({ position }) => formatCount(position).length))
  return changes.map(({ position, pi, ver, deleted, ts }) => [
    [padStart(formatCount(position), wide), 'faint'],
    [`  ${padEnd(span(now - ts), 6)}  `, 'faint'],
    deleted ? ['deleted  ', 'warn'] : [padEnd(`v${ver}`, 9)],
    [printable(pi)],
  ])
}
