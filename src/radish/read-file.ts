/** Reading a file of one map: what it says of itself, and of each key. Pure. */
import { CairnError } from '../errors.ts'
import { foreignKind } from './foreign.ts'
import {
  ENCODINGS,
  parseHeader,
  PLACE_FIELDS,
  SECTIONS,
  type Encoding,
  type FileHeader,
  type Section,
} from './format.ts'
import { TIME_HINT, readTime } from '../model/time.ts'
import { Scanner } from './scanner.ts'
import { MAX_VALUE_TEXT, parseJson } from './value.ts'

const MAX_FIELD_TEXT = 64 << 10
/** Of the names that a file has beside its sections. */
const MAX_FIELDS = 100

/** One member of a section: the text of its value. */
type TakeMember = (section: Section, key: string, text: string) => Promise<void> | void

/** The whole file; each member of its sections goes to `take`, in the order of the file. */
export async function readFile(
  source: AsyncIterable<Uint8Array>,
  take: TakeMember,
): Promise<FileHeader> {
  const scanner = new Scanner(source)
  try {
    await refuseForeign(scanner)
    const fields = new Map<string, unknown>()
    const sections = new Map<Section, number>()
    for await (const name of scanner.members()) {
      const section = SECTIONS.find((one) => one === name)
      if (section === undefined) await readField(scanner, fields, name)
      else if (sections.has(section)) throw twice(name)
      else sections.set(section, await readSection(scanner, section, take))
    }
    await scanner.end()
    const header = parseHeader(fields)
    checkCount(header, sections.get('data'))
    return header
  } finally {
    await scanner.close()
  }
}

/** Reads no further than to where the fields are that say what file it is. Undefined: it is JSON of another kind. */
export async function peekHeader(
  source: AsyncIterable<Uint8Array>,
): Promise<FileHeader | undefined> {
  const scanner = new Scanner(source)
  try {
    await refuseForeign(scanner)
    if (!(await scanner.isObject())) return undefined
    const fields = new Map<string, unknown>()
    let sections = 0
    for await (const name of scanner.members()) {
      const section = SECTIONS.find((one) => one === name)
      if (section !== undefined) {
        sections += 1
        await readSection(scanner, section, () => {})
      } else await readField(scanner, fields, name)
      if (PLACE_FIELDS.every((field) => fields.has(field))) return placeOf(fields)
    }
    const ours = sections > 0 || ['type', 'cache_name'].some((field) => fields.has(field))
    return ours ? placeOf(fields) : undefined
  } finally {
    await scanner.close()
  }
}

/** What counts is read later, with all of the file. */
function placeOf(fields: ReadonlyMap<string, unknown>): FileHeader {
  const place = [...fields].filter(([name]) => PLACE_FIELDS.includes(name))
  return parseHeader(new Map<string, unknown>([...place, ['item_count', 0]]))
}

async function readField(
  scanner: Scanner,
  fields: Map<string, unknown>,
  name: string,
): Promise<void> {
  if (fields.has(name)) throw twice(name)
  if (fields.size === MAX_FIELDS) {
    throw new CairnError('invalid_content', `It has more than ${MAX_FIELDS} fields.`, {
      hint: 'Keys and values belong into its "data".',
    })
  }
  fields.set(name, parseJson(await scanner.value(MAX_FIELD_TEXT)))
}

async function readSection(scanner: Scanner, section: Section, take: TakeMember): Promise<number> {
  if (!(await scanner.isObject())) {
    throw new CairnError('invalid_content', `Its "${section}" is not an object.`, {
      hint: 'It has to be an object with a member for each key.',
    })
  }
  let count = 0
  for await (const key of scanner.members()) {
    const most = section === 'data' ? MAX_VALUE_TEXT : MAX_FIELD_TEXT
    await take(section, key, await scanner.value(most))
    count += 1
  }
  return count
}

function checkCount({ itemCount }: FileHeader, count: number | undefined): void {
  if (count === itemCount) return
  const found = count === undefined ? 'it has no "data"' : `its "data" has ${count}`
  throw new CairnError('invalid_content', `It says that it has ${itemCount} items; ${found}.`, {
    hint: 'A part of it is missing, or it was edited: take another file, or correct its "item_count".',
  })
}

async function refuseForeign(scanner: Scanner): Promise<void> {
  const kind = foreignKind(await scanner.start(64))
  if (kind !== undefined) {
    throw new CairnError('invalid_content', `It is no JSON: it is ${kind.what}.`, {
      hint: kind.hint,
      found: kind.name,
    })
  }
}

function twice(name: string): CairnError {
  return new CairnError('invalid_content', `It has the field "${name.slice(0, 60)}" twice.`, {
    hint: 'Which of them is meant cannot be known: correct the file.',
  })
}

export function parseExpiry(text: string): number {
  const time = readTime(parseJson(text))
  if (time !== undefined) return time
  throw new CairnError('invalid_content', 'When it expires is no time.', {
    hint: TIME_HINT,
  })
}

export function parseEncoding(text: string): Encoding {
  const encoding = ENCODINGS.find((one) => one === parseJson(text))
  if (encoding !== undefined) return encoding
  throw new CairnError('invalid_content', 'Its encoding is none that there is.', {
    hint: `It can be ${ENCODINGS.join(' or ')}; a value without one is plain JSON.`,
  })
}
