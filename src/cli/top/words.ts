/** Moments and amounts in few columns. */
import { formatCount, formatSpan } from '../format.ts'

export const clock = (ms: number): string => `${new Date(ms).toISOString().slice(11, 19)}Z`

/** `12 s`, `3 min`, `2 h`, `9 d`. */
export function span(ms: number): string {
  const seconds = Math.round(Math.max(0, ms) / 1000)
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h`
  return `${Math.floor(seconds / 86_400)} d`
}

export const ago = (ms: number): string => `${span(ms)} ago`

/** What a clock that is ahead of ours says is now. */
export const until = (ms: number): string => (ms <= 0 ? 'now' : `in ${span(ms)}`)

export function rate(perSecond: number): string {
  if (perSecond > 0 && perSecond < 10) return `${perSecond.toFixed(1)}/s`
  return `${formatCount(Math.round(perSecond))}/s`
}

export const took = (ms: number): string => (ms > 0 && ms < 1 ? '< 1 ms' : formatSpan(ms))
