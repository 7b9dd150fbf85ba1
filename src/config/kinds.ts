/** How the text of a setting becomes its value, and what is said when it does not. */
import { CairnError } from '../errors.ts'

export interface Kind<T> {
  /** For the documents: what may be written. */
  readonly shape: string
  /** Throws an Error whose message says what was expected. */
  readonly parse: (text: string) => T
}

const SIZE = /^(\d{1,15})\s*(|B|KiB|MiB|GiB|TiB)$/
const SIZE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
const DURATION = /^(\d{1,12})\s*(ms|s|m|h)$/
const DURATION_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

export const text: Kind<string> = {
  shape: 'text',
  parse: (given) => given,
}

export const optionalText: Kind<string | null> = {
  shape: 'text',
  parse: (given) => given,
}

export function wholeNumber(least: number, most: number): Kind<number> {
  return {
    shape: `${least} to ${most}`,
    parse: (given) => {
      const value = Number(given)
      if (/^\d{1,16}$/.test(given) && value >= least && value <= most) return value
      throw new Error(`a whole number from ${least} to ${most}`)
    },
  }
}

export function oneOf<T extends string>(...words: readonly T[]): Kind<T> {
  return {
    shape: words.join(', '),
    parse: (given) => {
      const word = words.find((one) => one === given)
      if (word !== undefined) return word
      throw new Error(`one of ${words.join(', ')}`)
    },
  }
}

export const bytes: Kind<number> = {
  shape: 'bytes, such as 134217728 or 128MiB',
  parse: (given) => {
    const [, count = '', unit = ''] = SIZE.exec(given) ?? []
    const value = Number(count) * 1024 ** Math.max(0, SIZE_UNITS.indexOf(unit))
    if (count !== '' && Number.isSafeInteger(value)) return value
    throw new Error('a number of bytes, such as 134217728 or 128MiB')
  },
}

/** Milliseconds. */
export const duration: Kind<number> = {
  shape: 'a time such as 500ms, 30s, 5m',
  parse: (given) => {
    const [, count = '', unit = ''] = DURATION.exec(given) ?? []
    const value = Number(count) * (DURATION_UNITS[unit] ?? 0)
    // The longest time that a timer of Node can wait.
    if (value >= 1 && value <= 2 ** 31 - 1) return value
    throw new Error('a time such as 500ms, 30s or 5m')
  },
}

const DAY_MS = 86_400_000
const SPAN = /^(\d{1,6})\s*(s|m|h|d|w|y)$/
const SPAN_UNITS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: DAY_MS,
  w: 7 * DAY_MS,
  y: 366 * DAY_MS,
}

/** Milliseconds of a time that may be long, or 0. */
export const span: Kind<number> = {
  shape: 'a time such as 30s, 36h, 30d, 8w, or 0',
  parse: (given) => {
    if (given === '0') return 0
    const [, count = '', unit = ''] = SPAN.exec(given) ?? []
    const value = Number(count) * (SPAN_UNITS[unit] ?? 0)
    if (count !== '') return value
    throw new Error('a time such as 30s, 36h, 30d or 8w, or 0 for none')
  },
}

/** Words between commas. */
export const list: Kind<readonly string[]> = {
  shape: 'words between commas',
  parse: (given) =>
    given
      .split(',')
      .map((one) => one.trim())
      .filter((one) => one !== ''),
}

/** Parses what `origin` gave for `name`; a secret's text stays out of the message. */
export function parseAs<T>(
  kind: Kind<T>,
  given: string,
  name: string,
  origin: string,
  secret: boolean,
): T {
  try {
    return kind.parse(given)
  } catch (cause) {
    const expected = cause instanceof Error ? cause.message : kind.shape
    const shown = secret ? 'a value' : `"${given.slice(0, 100)}"`
    throw new CairnError('config', `The setting ${name} cannot be ${shown} (${origin}).`, {
      hint: `Give ${expected}.`,
      setting: name,
      origin,
    })
  }
}
