/** One line of NDJSON as an entry: `{"pi","ver"?,"tip"?,"ts"?,"exp"?,"value"?}`. */
import { needsDagJson, parseContent } from '../content/encode.ts'
import type { ImportEntry } from '../engine/import-entry.ts'
import { CairnError, toCairnError } from '../errors.ts'
import { parseCid } from '../model/cid.ts'
import { parseId } from '../model/entity-id.ts'
import { parseVersion } from '../model/entry.ts'
import type { Line } from './lines.ts'
import { TIME_HINT, readTime } from '../model/time.ts'

export interface ImportLine {
  readonly number: number
  readonly entry: ImportEntry
  readonly length: number
}

const FIELDS = new Set(['pi', 'ver', 'tip', 'ts', 'exp', 'value'])
/** Undefined for a line without anything on it. */
export function parseImportLine({ number, text }: Line): ImportLine | undefined {
  if (text.trim() === '') return undefined
  try {
    return { number, entry: entryOf(text), length: text.length }
  } catch (error) {
    throw atLine(toCairnError(error), number)
  }
}

/** The error, told as one of a line. */
export function atLine(error: CairnError, line: number): CairnError {
  const { code, message, hint, details } = error
  return new CairnError(code, `Line ${line}: ${message}`, {
    ...details,
    ...(hint === undefined ? {} : { hint }),
    line,
    cause: error,
  })
}

function entryOf(text: string): ImportEntry {
  const fields = parseFields(text)
  for (const name of Object.keys(fields)) {
    if (!FIELDS.has(name)) throw refused(`There is no field "${name.slice(0, 60)}"`)
  }
  const { pi, ver, tip, ts, exp } = fields
  parseId(pi)
  const rest = {
    pi: pi as string,
    ver: ver === undefined ? undefined : parseVersion(ver),
    ts: ts === undefined ? undefined : timeOf(ts, 'ts'),
    exp: exp === undefined || exp === null ? exp : timeOf(exp, 'exp'),
  }
  const hasValue = Object.hasOwn(fields, 'value')
  if (hasValue === (tip !== undefined)) {
    throw refused(hasValue ? 'It has both a tip and a value' : 'It has neither a tip nor a value')
  }
  if (hasValue) return { ...rest, value: fields['value'] }
  if (tip === null) return { ...rest, tip }
  if (typeof tip !== 'string') throw refused('Its tip is no text')
  return { ...rest, tip: parseCid(tip) }
}

function parseFields(text: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new CairnError('invalid_entry', 'It is not JSON.', { hint: HINT, cause })
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw refused('It is not an object')
  const fields = value as Record<string, unknown>
  if (!Object.hasOwn(fields, 'value') || !needsDagJson(text)) return fields
  return { ...fields, value: (parseContent(text) as Record<string, unknown>)['value'] }
}

function timeOf(given: unknown, field: string): number {
  const time = readTime(given)
  if (time !== undefined) return time
  throw new CairnError('invalid_entry', `Its ${field} is no time.`, {
    hint: TIME_HINT,
  })
}

const HINT =
  'A line is {"pi": ID, "tip": CID or null, or "value": JSON; and if wanted "ver", "ts", "exp"}.'

function refused(what: string): CairnError {
  return new CairnError('invalid_entry', `${what}.`, { hint: HINT })
}
