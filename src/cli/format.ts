/** How values are written at the edge: times as RFC 3339, CIDs as text, sizes for people. */
import { printCid, type CidBytes } from '../model/cid.ts'
import type { Entry } from '../model/entry.ts'

/** RFC 3339 ends with the year 9999. */
const LAST_RFC_3339 = 253_402_300_799_999

/** RFC 3339; later than the year 9999, integer milliseconds. */
export function formatTime(ms: number): string | number {
  return ms > LAST_RFC_3339 ? ms : new Date(ms).toISOString()
}

export interface EntryRecord {
  readonly pi: string
  readonly ver: number
  readonly tip: string | null
  readonly ts: string | number
  readonly exp: string | number | null
}

/** An entry as every command prints it in JSON. */
export function entryRecord({ pi, ver, tip, ts, exp }: Entry): EntryRecord {
  return {
    pi,
    ver,
    tip: printOrNull(tip),
    ts: formatTime(ts),
    exp: exp === null ? null : formatTime(exp),
  }
}

export function printOrNull(cid: CidBytes | null): string | null {
  return cid === null ? null : printCid(cid)
}

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
