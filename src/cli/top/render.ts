/** What `cairn top` knows, as lines that fit the terminal. Pure. */
import type { CairnError } from '../../errors.ts'
import { printable } from '../format.ts'
import { changeLines, factRows, jobRows } from './facts.ts'
import type { History } from './history.ts'
import { fitLine, lineWidth, paint, spread, type Line, type Part, type Tone } from './line.ts'
import type { Row, TopStyle } from './row.ts'
import type { Look } from './look.ts'
import { wrap } from '../text.ts'
import { clock, span } from './words.ts'

export interface TopState {
  readonly source: string
  readonly dataset: string
  readonly now: number
  /** The newest look; undefined before the first. */
  readonly look: Look | undefined
  readonly history: History
  /** Why the last try failed, and since when none succeeded. */
  readonly trouble: { readonly error: CairnError; readonly since: number } | undefined
  readonly paused: boolean
  readonly help: boolean
}

export function renderTop(state: TopState, style: TopStyle): string[] {
  const { columns, rows, utf8, color } = style
  const isScreen = Number.isFinite(rows)
  const all = state.help ? helpRows() : [...headRows(state, style), ...bodyRows(state, style)]
  const room = isScreen ? Math.max(0, rows - 1) : Infinity
  const lines = mostImportant(all, room)
  if (isScreen && rows > 0) {
    while (lines.length < room) lines.push([])
    lines.push(keysLine(state, columns))
  }
  const ellipsis = utf8 ? '…' : '~'
  return lines.map((line) => paint(fitLine(line, columns, ellipsis), color))
}

function mostImportant(rows: readonly Row[], room: number): Line[] {
  if (rows.length <= room) return rows.map(({ line }) => line)
  const kept = new Set(rows.toSorted((a, b) => a.rank - b.rank).slice(0, room))
  return rows.filter((row) => kept.has(row)).map(({ line }) => line)
}

/** Each is a row of its own: rows are told apart by identity. */
const gap = (): Row => ({ line: [], rank: 43 })

function bodyRows(state: TopState, style: TopStyle): Row[] {
  if (state.look === undefined) return []
  const { look, history } = state
  const seen = { look, history, now: state.now, style }
  const jobs = jobRows(seen)
  const changes = changeLines(seen).map((line, i) => ({ line, rank: 40 + i }))
  return [
    gap(),
    ...factRows(seen),
    ...(jobs.length > 0 ? [gap(), ...jobs] : []),
    ...(changes.length > 0 ? [gap(), ...changes] : []),
  ]
}

// --- The head ---------------------------------------------------------------------------------------

function headRows(state: TopState, { columns }: TopStyle): Row[] {
  const title: Line = [
    ['cairn top', 'strong'],
    [`  ${printable(state.dataset)}`, 'strong'],
    [`  ${printable(state.source)}`, 'faint'],
  ]
  const when: Part = [clock(state.look?.at ?? state.now), 'faint']
  return [{ line: spread(title, [when], columns), rank: 0 }, ...verdictRows(state, columns)]
}

function verdictRows(state: TopState, columns: number): Row[] {
  const { look, trouble, now, paused } = state
  if (trouble !== undefined) return troubleRows(trouble, look, now, columns)
  if (look === undefined) return [{ line: [['looking ...', 'faint']], rank: 0 }]
  const { level, alerts, checks } = look.slow
  const pausedPart: Line = paused ? [['  '], signOf('PAUSED', 'warn-sign')] : []
  return [
    { line: [...verdictOf(level, alerts.length, checks), ...pausedPart], rank: 0 },
    ...alerts.flatMap(({ check, level: how, message, hint }, i): Row[] => {
      const tone = how === 'critical' ? 'bad' : 'warn'
      const found = sayingRows(`${check}: `, message, tone, columns, i === 0 ? 1 : 30 + i)
      return hint === null ? found : [...found, hintRow(hint, 35 + i)]
    }),
  ]
}

function troubleRows(
  { error, since }: NonNullable<TopState['trouble']>,
  look: Look | undefined,
  now: number,
  columns: number,
): Row[] {
  const isSilent = error.code === 'backend_unavailable' || error.code === 'backend_timeout'
  const sign = signOf(isSilent ? 'NO ANSWER' : 'FAILED', 'bad-sign')
  const rows: Row[] = [
    { line: [sign, [`  for ${span(now - since)}; trying again`]], rank: 0 },
    ...sayingRows('', error.message, 'bad', columns, 1),
  ]
  if (error.hint !== undefined) rows.push(hintRow(error.hint, 2))
  if (look !== undefined)
    rows.push({ line: [[`  what follows was seen at ${clock(look.at)}`, 'faint']], rank: 2 })
  return rows
}

const MOST_LINES = 3

/** What is wrong is worth some lines: its first words in a tone, the rest below each other. */
function sayingRows(lead: string, text: string, tone: Tone, columns: number, rank: number): Row[] {
  const lines = wrap(lead + printable(text), Math.max(10, columns - 2), MOST_LINES)
  return lines.map((line, i) => {
    const parts: Line =
      i > 0 || lead === ''
        ? [[`  ${line}`, lead === '' ? tone : 'plain']]
        : [[`  ${line.slice(0, lead.length)}`, tone], [line.slice(lead.length)]]
    return { line: parts, rank: rank + i / 10 }
  })
}

const hintRow = (hint: string, rank: number): Row => ({
  line: [[`  hint: ${printable(hint)}`, 'faint']],
  rank,
})

const signOf = (text: string, tone: Tone): Part => [` ${text} `, tone]

function verdictOf(level: Look['slow']['level'], alerts: number, checks: number): Line {
  if (level === 'ok') return [signOf('SAFE', 'good-sign'), [`  all ${checks} checks are well`]]
  const found = `  ${alerts} of ${checks} checks found something`
  return level === 'warning'
    ? [signOf('WARNING', 'warn-sign'), [found]]
    : [signOf('CRITICAL', 'bad-sign'), [found]]
}

// --- The foot ---------------------------------------------------------------------------------------

const KEYS: readonly (readonly [string, string])[] = [
  ['q', 'quit'],
  ['p', 'pause'],
  ['d', 'next dataset'],
  ['?', 'help'],
]

function keysLine({ paused }: TopState, columns: number): Line {
  const words = KEYS.map(([key, what]) => [key, key === 'p' && paused ? 'go on' : what] as const)
  const line = words.flatMap(([key, what]): Part[] => [
    [key, 'strong'],
    [` ${what}   `, 'faint'],
  ])
  return lineWidth(line) <= columns
    ? line
    : words.map(([key, what]) => [`${key} ${what.split(' ')[0]} `])
}

function helpRows(): Row[] {
  const lines: Line[] = [
    [
      ['cairn top', 'strong'],
      ['  what is what', 'faint'],
    ],
    [],
    [['q, Ctrl-C', 'strong'], ['  ends']],
    [['p', 'strong'], ['          holds the picture, or lets it go on']],
    [['d', 'strong'], ['          the next dataset']],
    [['?', 'strong'], ['          this help, or back']],
    [],
    [['entities', 'strong'], ['  live ones']],
    [['log', 'strong'], ['       entries ever accepted']],
    [['appends', 'strong'], ['   entries a second']],
    [['requests', 'strong'], ['  of others, in a second; p99: 99 of 100 took no longer']],
    [['chain', 'strong'], ['     entries since the last snapshot, of at most so many']],
    [['CAR', 'strong'], ['       the newest one, and what it lacks']],
    [['drill', 'strong'], ['     when a backup was last proved by restoring it']],
    [['store', 'strong'], ['     its size and how it grows']],
  ]
  return lines.map((line, i) => ({ line, rank: i }))
}
