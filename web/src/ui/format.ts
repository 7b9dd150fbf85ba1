/** Amounts and times as text. */

const UNITS = ['B', 'KB', 'MB', 'GB', 'TB', 'PB']

export function bytesText(bytes: number): string {
  let value = bytes
  let unit = 0
  while (Math.abs(value) >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000
    unit++
  }
  const digits = unit === 0 || Math.abs(value) >= 99.95 ? 0 : 1
  return `${value.toFixed(digits).replace(/\.0$/, '')} ${UNITS[unit]}`
}

export const countText = (value: number): string => value.toLocaleString('en-US')

/** `1 entry`, `2 entries`. */
export const pluralText = (value: number, one: string, many = `${one}s`): string =>
  `${countText(value)} ${value === 1 ? one : many}`

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** `850 ms`, `2.4 s`, `3 min`, `5 h`, `12 days`. */
export function durationText(ms: number): string {
  if (ms < SECOND) return `${Math.max(0, Math.round(ms))} ms`
  if (ms < 10 * SECOND) return `${(ms / SECOND).toFixed(1)} s`
  return roughText(ms)
}

/** In whole units, for ages. */
export function roughText(ms: number): string {
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s`
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`
  if (ms < 2 * DAY) return `${Math.floor(ms / HOUR)} h`
  return `${countText(Math.floor(ms / DAY))} days`
}

const JUST_NOW = 5 * SECOND

export function relativeText(at: number, now: number): string {
  const age = now - at
  if (Math.abs(age) < JUST_NOW) return 'just now'
  return age > 0 ? `${roughText(age)} ago` : `in ${roughText(-age)}`
}

const absolute = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' })
const clock = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' })
const shortClock = new Intl.DateTimeFormat('en-GB', { timeStyle: 'short' })
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' })
const dayOfYear = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium' })
const month = new Intl.DateTimeFormat('en-GB', { month: 'short', year: 'numeric' })

/** Further from 1970 no date can be. */
const MOST_MS = 8.64e15
export const isDate = (at: number): boolean => Math.abs(at) <= MOST_MS
const NO_DATE = 'at no date'

export const absoluteText = (at: number): string => (isDate(at) ? absolute.format(at) : NO_DATE)

/** With the day unless it is the same one as `now`, and with the year unless that is. */
export function momentText(at: number, now: number): string {
  if (!isDate(at)) return NO_DATE
  const isToday = new Date(at).toDateString() === new Date(now).toDateString()
  if (isToday) return clock.format(at)
  const isThisYear = new Date(at).getFullYear() === new Date(now).getFullYear()
  return `${(isThisYear ? day : dayOfYear).format(at)}, ${shortClock.format(at)}`
}

/** A mark on an axis whose marks lie `stepMs` apart. */
export function tickText(at: number, stepMs: number): string {
  if (!isDate(at)) return NO_DATE
  if (stepMs < MINUTE) return clock.format(at)
  if (stepMs < DAY) return shortClock.format(at)
  return stepMs < 28 * DAY ? day.format(at) : month.format(at)
}

/** Times of the service: a text, or milliseconds for what no text can say. */
export const timeOf = (time: string | number): number =>
  typeof time === 'number' ? time : Date.parse(time)
