/** Names of files that say when they were made and are like no other: `<UTC time>-<random>`. */
import { randomBytes } from 'node:crypto'

const TIMED_NAME = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d\.\d{3})Z-[0-9a-f]{12}$/

export function timedName(now: number): string {
  const time = new Date(now).toISOString().replace(/[-:]/g, '')
  return `${time}-${randomBytes(6).toString('hex')}`
}

/** `undefined` for names of other people. */
export function timeOfName(name: string): number | undefined {
  const parts = TIMED_NAME.exec(name)
  if (parts === null) return undefined
  const [, year, month, day, hour, minute, second] = parts
  const time = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  return Number.isNaN(time) ? undefined : time
}
