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

/** How long, for people: `850 ms`, `12 s`, `3 min 20 s`, `2 h 05 min`, `3 d 4 h`. */
export function formatSpan(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`
  const seconds = Math.round(ms / 1000)
  if (ms < 9950) return `${(ms / 1000).toFixed(1).replace('.0', '')} s`
  if (seconds < 60) return `${seconds} s`
  const two = (value: number): string => String(value).padStart(2, '0')
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`
  const hours = Math.floor(minutes / 60)
  return `${Math.floor(hours / 24)} d ${hours % 24} h`
}

/** Name and value in two columns. */
export function columns(rows: readonly (readonly [string, string | number])[]): string[] {
  const width = Math.max(0, ...rows.map(([name]) => name.length))
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`)
}
