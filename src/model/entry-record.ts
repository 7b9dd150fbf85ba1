/** An entry as it is written in JSON wherever Cairn is asked from outside: CIDs as text, times as RFC 3339. */
import { printCid, type CidBytes } from './cid.ts'
import type { Entry } from './entry.ts'
import { formatTime } from './time.ts'

export interface EntryRecord {
  readonly pi: string
  readonly ver: number
  readonly tip: string | null
  readonly ts: string | number
  readonly exp: string | number | null
}

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
