/** How values are written at the edge: times as RFC 3339, CIDs as text, sizes for people. */
import type { Entry } from '../model/entry.ts'
import { printOrNull } from '../model/entry-record.ts'
import { formatTime } from '../model/time.ts'

/** An entry as a line for people: tab-separated, "-" for no content. */
export function entryRow({ pi, ver, tip, ts }: Entry): string {
  return [printable(pi), ver, printOrNull(tip) ?? '-', formatTime(ts)].join('\t')
}

/** Text from outside for a terminal: control characters are shown, not obeyed. */
export function printable(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replaceAll(
    /[\u0000-\u001F\u007F-\u009F\u2028\u2029\u202A-\u202E\u2066-\u2069]/g,
    (one) => {
      return `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`
    },
  )
}

export function formatCount(count: number): string {
  return count.toLocaleString('en-US')
}

/** `1 chunk`, `2 chunks`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`
}

const UNITS = ['KiB', 'MiB', 'GiB', 'TiB'] as const

export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 'B'
  for (const next of UNITS) {
    if (value < 1024) break
    value /= 1024
    unit = next
  }
  return unit === 'B' ? `${bytes} B` : `${value.toFixed(1)} ${unit}`
}

/** Name and value in two columns. */
export function columns(rows: readonly (readonly [string, string | number])[]): string[] {
  const width = Math.max(0, ...rows.map(([name]) => name.length))
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`)
}
