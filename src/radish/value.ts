/**
 * Values of live maps as text of a file, and back. A value is printed only in a form that, read again, becomes the very
 * content that it was; what no form can say is refused. Pure.
 */
import { encodeJson, parseContent, printContent, type ContentValue } from '../content/encode.ts'
import { decodeContent } from '../content/links.ts'
import { CairnError, isCairnError } from '../errors.ts'
import { bytesEqual, cborBlock, CODEC_DAG_CBOR, type CidBytes } from '../model/cid.ts'
import type { Encoding } from './format.ts'

/** Of a value that is bytes. More is for a CAR. */
export const MAX_VALUE_BYTES: number = 32 << 20
/** As text: base64 of that, and more than any JSON that fits a block. */
export const MAX_VALUE_TEXT: number = 48 << 20
const MAX_DEPTH = 1000

export interface PrintedValue {
  readonly text: string
  /** Not given: plain JSON. */
  readonly encoding?: Encoding
}

export function printBytes(bytes: Uint8Array): PrintedValue {
  return { text: base64Text(bytes), encoding: 'base64' }
}

const base64Text = (bytes: Uint8Array): string =>
  `"${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64')}"`

/** The value that the CID names. Plain JSON where that says all of it. */
export function printValue(tip: CidBytes, value: unknown): PrintedValue {
  const forms: readonly (() => PrintedValue)[] = [
    () => ({ text: JSON.stringify(value) }),
    () => ({ text: printContent(value) }),
    () => ({ text: printContent(value), encoding: 'dag-json' }),
    () => ({ text: base64Text(encodeJson(value).bytes), encoding: 'dag-cbor' }),
  ]
  for (const print of forms) {
    const printed = attempt(print)
    const read = printed && attempt(() => encodeJson(parseValue(printed.text, printed.encoding)))
    if (printed !== undefined && read !== undefined && bytesEqual(read.cid, tip)) return printed
  }
  throw new CairnError('invalid_content', 'A value cannot be said in JSON without loss.', {
    hint: 'Carry the dataset in a CAR (`cairn export-car`), or leave this map out (--exclude).',
  })
}

function attempt<T>(make: () => T): T | undefined {
  try {
    return make()
  } catch {
    return undefined
  }
}

/** The value that a text of `data` stands for; what stands for none is `invalid_content`. */
export function parseValue(text: string, encoding?: Encoding): ContentValue {
  if (encoding === 'base64') return parseBase64(text)
  if (encoding === 'dag-cbor') {
    const { cid, bytes } = cborBlock(parseBase64(text))
    return decodeContent(cid, CODEC_DAG_CBOR, bytes)
  }
  const members = checkNesting(text)
  if (encoding === 'dag-json') return parseContent(text)
  const value = parseJson(text)
  const seen = { members: 0, beyond: false, slash: false }
  look(value, seen)
  if (seen.members !== members) throw refused('it names a key of a map twice')
  if (!seen.beyond) return value
  // Whole numbers beyond 2^53 are read without loss by DAG-JSON alone, which takes the key "/" for its own.
  if (seen.slash) throw refused('it has a whole number beyond 2^53 beside a map with the key "/"')
  return parseContent(text)
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    const hint = /\b(?:NaN|Infinity)\b/.test(text)
      ? 'NaN and Infinity are no JSON: write null, or a text.'
      : 'A file that was cut off or edited by hand is like that: take another one.'
    throw new CairnError('invalid_content', 'The text is not JSON.', { hint, cause })
  }
}

interface Seen {
  members: number
  beyond: boolean
  slash: boolean
}

function look(value: unknown, seen: Seen): void {
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw refused('it has a number that is too large')
    if (Number.isInteger(value) && !Number.isSafeInteger(value)) seen.beyond = true
  }
  if (typeof value !== 'object' || value === null) return
  const parts: readonly unknown[] = Array.isArray(value) ? value : Object.values(value)
  if (!Array.isArray(value)) {
    seen.members += parts.length
    seen.slash ||= Object.hasOwn(value, '/')
  }
  for (const part of parts) look(part, seen)
}

const [QUOTE, BACKSLASH, COLON] = [0x22, 0x5c, 0x3a]
const [LIST, LIST_END, MAP, MAP_END] = [0x5b, 0x5d, 0x7b, 0x7d]

/** Refuses what is nested too deeply before anything recurses; says how many members its maps have. */
function checkNesting(text: string): number {
  let depth = 0
  let members = 0
  let quoted = false
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at)
    if (quoted) {
      if (char === BACKSLASH) at += 1
      else if (char === QUOTE) quoted = false
    } else if (char === QUOTE) quoted = true
    else if (char === COLON) members += 1
    else if (char === LIST || char === MAP) depth += 1
    else if (char === LIST_END || char === MAP_END) depth -= 1
    if (depth > MAX_DEPTH) throw refused(`it is nested more than ${MAX_DEPTH} levels deep`)
  }
  return members
}

function parseBase64(text: string): Uint8Array {
  const value = parseJson(text)
  const bytes = typeof value === 'string' ? Buffer.from(value, 'base64') : undefined
  if (bytes === undefined || bytes.toString('base64') !== value)
    throw refused('its encoding is base64, and it is no text in base64')
  if (bytes.length > MAX_VALUE_BYTES) throw tooLarge()
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
}

export function tooLarge(): CairnError {
  return new CairnError('too_large', `A value has more than ${MAX_VALUE_BYTES} bytes.`, {
    hint: 'Carry the dataset in a CAR (`cairn export-car`).',
  })
}

function refused(why: string): CairnError {
  return new CairnError('invalid_content', `A value is refused: ${why}.`, {
    hint: 'Correct the file, or leave the value out.',
  })
}

/** The error, told as one of a key of a map. */
export function atKey(error: unknown, map: string, key: string): unknown {
  if (!isCairnError(error)) return error
  const { code, message, hint, details } = error
  const place = `${JSON.stringify(key).slice(0, 100)} of the map "${map}"`
  return new CairnError(code, `The key ${place}: ${message}`, {
    ...details,
    ...(hint === undefined ? {} : { hint }),
    map,
    key,
    cause: error,
  })
}
