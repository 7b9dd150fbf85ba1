/**
 * The kept snapshots as a graph, newest first: a line down from each to the one that it was built on. One that
 * others were built on again, after a rollback, has several lines coming in.
 */
import { formatCount, printable } from './format.ts'
import type { GenerationMark, HistoryNode } from './snapshot-history.ts'
import { cut, padEnd, padStart } from './text.ts'

export interface GraphStyle {
  readonly utf8: boolean
  /** Lines are cut to it; not given: they are whole. */
  readonly width?: number | undefined
  readonly bold: (text: string) => string
}

interface Glyphs {
  readonly node: string
  readonly current: string
  readonly line: string
  readonly gap: string
  readonly mark: string
  readonly car: string
  readonly corner: string
  readonly tee: string
  readonly dash: string
  readonly cross: string
  readonly join: string
  readonly ellipsis: string
}

const UNICODE: Glyphs = {
  node: '○',
  current: '●',
  line: '│',
  gap: '┊',
  mark: '↶',
  car: '▣',
  corner: '╯',
  tee: '├',
  dash: '─',
  cross: '┼',
  join: '┴',
  ellipsis: '…',
}

const ASCII: Glyphs = {
  node: 'o',
  current: '*',
  line: '|',
  gap: ':',
  mark: '<',
  car: '#',
  corner: "'",
  tee: '|',
  dash: '-',
  cross: '+',
  join: "'",
  ellipsis: '~',
}

export function legend({ utf8 }: Pick<GraphStyle, 'utf8'>): string {
  const { node, current, car, mark } = utf8 ? UNICODE : ASCII
  return `${current} current  ${node} kept  ${car} in a CAR  ${mark} restore or rollback`
}

interface Row {
  readonly picture: string
  readonly words: string
  readonly strong?: boolean
}

/** Pictures up to here are made equally wide, so that the words stand in columns. */
const MOST_PADDED = 12

export function graphLines(nodes: readonly HistoryNode[], style: GraphStyle): string[] {
  const { utf8, width, bold } = style
  const glyphs = utf8 ? UNICODE : ASCII
  const rows = rowsOf(nodes, style, glyphs)
  const widest = Math.max(0, ...rows.map(({ picture }) => picture.length))
  return rows.map(({ picture, words, strong }) => {
    const line = `${padEnd(picture, Math.min(widest, MOST_PADDED))} ${words}`.trimEnd()
    const fitting = cut(line, width, glyphs.ellipsis)
    return strong === true ? bold(fitting) : fitting
  })
}

function rowsOf(nodes: readonly HistoryNode[], style: GraphStyle, glyphs: Glyphs): Row[] {
  const text = columnsOf(nodes, style, glyphs)
  const below = new Set(nodes.map(({ cid }) => cid))
  /** What each line leads down to; undefined: a place that is free. */
  const lanes: (string | undefined)[] = []
  const rows: Row[] = []
  for (const node of nodes) {
    const { cid, prev, current } = node
    for (const mark of node.followed_by)
      rows.push({ picture: pictureOf(lanes, glyphs, -1, glyphs.mark), words: markText(mark) })
    const at = laneFor(lanes, cid)
    const joins = joinRow(lanes, cid, at, glyphs)
    if (joins !== undefined) rows.push({ picture: joins, words: '' })
    const sign = current ? glyphs.current : glyphs.node
    rows.push({ picture: pictureOf(lanes, glyphs, at, sign), words: text(node), strong: current })
    below.delete(cid)
    const leads = prev !== null && below.has(prev)
    lanes[at] = leads ? prev : undefined
    if (prev !== null && !leads)
      rows.push({ picture: pictureOf(lanes, glyphs, at, glyphs.gap), words: '' })
    while (lanes.length > 0 && lanes.at(-1) === undefined) lanes.pop()
  }
  return rows
}

/** The first line that leads to it; else a free place. */
function laneFor(lanes: (string | undefined)[], cid: string): number {
  const there = lanes.indexOf(cid)
  if (there >= 0) return there
  const free = lanes.indexOf(undefined)
  const at = free < 0 ? lanes.length : free
  lanes[at] = cid
  return at
}

/** The lines right of `at` that lead to the same snapshot run into it. */
function joinRow(
  lanes: (string | undefined)[],
  cid: string,
  at: number,
  glyphs: Glyphs,
): string | undefined {
  const last = lanes.lastIndexOf(cid)
  if (last <= at) return undefined
  const signs = lanes.map((lane, i) => {
    if (i === at) return glyphs.tee
    if (i > at && lane === cid) return i === last ? glyphs.corner : glyphs.join
    if (lane === undefined) return i > at && i < last ? glyphs.dash : ' '
    return i > at && i < last ? glyphs.cross : glyphs.line
  })
  for (let i = at + 1; i <= last; i++) if (lanes[i] === cid) lanes[i] = undefined
  return signs
    .map((sign, i) => sign + (i >= at && i < last ? glyphs.dash : ' '))
    .join('')
    .trimEnd()
}

function pictureOf(
  lanes: readonly (string | undefined)[],
  { line }: Glyphs,
  at: number,
  sign: string,
): string {
  const signs = lanes.map((lane, i) => (i === at ? sign : lane === undefined ? ' ' : line))
  while (signs.length > 0 && signs.at(-1) === ' ') signs.pop()
  if (at < 0 || at >= signs.length) {
    while (signs.length < at) signs.push(' ')
    signs.push(sign)
  }
  return signs.join(' ')
}

// --- Words ------------------------------------------------------------------------------------------

const NARROW = 72

function columnsOf(
  nodes: readonly HistoryNode[],
  { width = Infinity }: GraphStyle,
  glyphs: Glyphs,
): (node: HistoryNode) => string {
  const narrow = width < NARROW
  const wide = (texts: readonly string[]): number =>
    Math.max(0, ...texts.map(({ length }) => length))
  const seqs = wide(nodes.map(({ seq }) => String(seq)))
  const lives = wide(nodes.map(({ live }) => formatCount(live)))
  const changes = wide(nodes.map(changeText))
  return (node) => {
    const { seq, ts, live, cars, reason, tags, cid } = node
    const held = cars.length === 0 ? '' : `${glyphs.car}${cars.length > 1 ? cars.length : ''}`
    const notes = printable([...tags.map((tag) => `[${tag}]`), reason].join(' '))
    return [
      padStart(String(seq), seqs),
      timeText(ts, narrow),
      padStart(formatCount(live), lives),
      padEnd(changeText(node), changes),
      ...(narrow ? [held === '' ? notes : `${held} ${notes}`] : [padEnd(held, 2), cid, notes]),
    ].join('  ')
  }
}

/** `+12 ~3 -1`; without a count nothing. */
function changeText({ changes }: HistoryNode): string {
  if (changes === null) return ''
  const parts = [
    ['+', changes.added],
    ['~', changes.changed],
    ['-', changes.removed],
  ] as const
  const said = parts.filter(([, count]) => count > 0)
  return said.length === 0 ? '=' : said.map(([sign, n]) => `${sign}${formatCount(n)}`).join(' ')
}

function timeText(ts: string | number, narrow: boolean): string {
  if (typeof ts === 'number') return String(ts)
  return narrow ? `${ts.slice(5, 10)} ${ts.slice(11, 16)}` : `${ts.slice(0, 19)}Z`
}

function markText({ generation, ts, reason, seq }: GenerationMark): string {
  return `generation ${generation}  ${timeText(ts, false)}  ${printable(reason)}, to snapshot ${seq}`
}
