/**
 * A strict reader of `.env` files: `KEY=value`, `KEY='value'`, `KEY="value"`, comments on lines of their
 * own. What other tools read in different ways (`export`, comments behind a value, line continuation,
 * `$VARIABLES`) is refused, so that nobody gets another value than the one they see.
 */
import { CairnError } from '../errors.ts'

export interface DotenvValue {
  readonly value: string
  readonly line: number
}

const LINE = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/
const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', '"': '"', '\\': '\\', $: '$' }

/** `isMistake` tells the names that only Cairn could have meant and that it does not know. */
export function parseDotenv(
  text: string,
  path: string,
  isMistake: (name: string) => boolean,
): Map<string, DotenvValue> {
  const values = new Map<string, DotenvValue>()
  for (const [index, raw] of text.split('\n').entries()) {
    const line = index + 1
    const trimmed = raw.trim()
    if (trimmed === '' || trimmed.startsWith('#')) continue
    const refuse = (why: string, hint: string): never => {
      throw new CairnError('config', `Line ${line} of ${path} cannot be read: ${why}.`, {
        hint,
        path,
        line,
      })
    }
    const [, name, given] = LINE.exec(trimmed) ?? []
    if (name === undefined || given === undefined) {
      return refuse(
        'it is not KEY=value',
        'Write KEY=value without spaces around "=" and without "export".',
      )
    }
    if (values.has(name)) refuse(`${name} is there twice`, 'Leave one of the two out.')
    if (isMistake(name))
      refuse(`there is no setting ${name}`, 'Run `cairn config` for the names there are.')
    values.set(name, { value: unquote(given, refuse), line })
  }
  return values
}

type Refuse = (why: string, hint: string) => never

function unquote(given: string, refuse: Refuse): string {
  const quote = given[0]
  if (quote === "'") {
    if (/^'[^']*'$/.test(given)) return given.slice(1, -1)
    return refuse('its quotes do not match', 'Close the quote at the end of the line.')
  }
  if (quote === '"') return unescape(given, refuse)
  if (/["'`\\$]/.test(given)) {
    return refuse('a value with quotes, backslashes or "$" needs quotes', "Put it into '...'.")
  }
  if (/\s/.test(given)) {
    return refuse(
      'a value with spaces needs quotes',
      'Put it into "..."; a comment stands on a line of its own.',
    )
  }
  return given
}

function unescape(given: string, refuse: Refuse): string {
  if (!/^"(?:[^"\\]|\\.)*"$/.test(given)) {
    return refuse('its quotes do not match', 'Close the quote at the end of the line.')
  }
  if (/(?<!\\)(?:\\\\)*\$/.test(given)) {
    return refuse('variables are not replaced', "Write \\$ for a dollar sign, or use '...'.")
  }
  return given.slice(1, -1).replaceAll(/\\(.)/g, (_, escaped: string) => {
    return (
      ESCAPES[escaped] ?? refuse(`"\\${escaped}" means nothing`, 'Use \\n, \\t, \\", \\$ or \\\\.')
    )
  })
}
