/** What the parts of the screen are made of, and what for. */
import type { Line } from './line.ts'

export interface TopStyle {
  readonly columns: number
  /** Infinity: all of it, without the line of keys. */
  readonly rows: number
  readonly utf8: boolean
  readonly color: boolean
}

/** What is less important goes first where there is no room: the higher the rank, the earlier. */
export interface Row {
  readonly line: Line
  readonly rank: number
}
