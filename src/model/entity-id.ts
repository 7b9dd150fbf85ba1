/**
 * Entity ids. An id is 1..512 bytes of UTF-8, and ids sort by those bytes.
 *
 * Inside, an id is its *key*: a string with one char per UTF-8 byte. JavaScript compares such strings
 * byte by byte, which is the order of the tree; for an ASCII id the key is the id itself.
 */
import { CairnError } from '../errors.ts'

export const MAX_ID_BYTES = 512

const ASCII = /^[\u0000-\u007f]*$/

export function keyOf(pi: string): string {
  return ASCII.test(pi) ? pi : Buffer.from(pi, 'utf8').toString('latin1')
}

export function idOfKey(key: string): string {
  return ASCII.test(key) ? key : Buffer.from(key, 'latin1').toString('utf8')
}

/** The key of an id that came from outside; what is no id is `invalid_entry`. */
export function parseId(pi: unknown): string {
  if (typeof pi !== 'string') throw refused('it is not a text')
  if (pi.length === 0) throw refused('it is empty')
  if (!pi.isWellFormed()) throw refused('it is not valid Unicode')
  const key = keyOf(pi)
  if (key.length > MAX_ID_BYTES) throw refused(`it has more than ${MAX_ID_BYTES} bytes`)
  return key
}

function refused(why: string): CairnError {
  return new CairnError('invalid_entry', `An entity id was refused: ${why}.`, {
    hint: `An id is 1 to ${MAX_ID_BYTES} bytes of UTF-8.`,
  })
}

/** The first key that sorts behind every key that begins with `prefix`; undefined when none does. */
export function prefixEnd(prefix: string): string | undefined {
  for (let i = prefix.length - 1; i >= 0; i--) {
    const code = prefix.charCodeAt(i)
    if (code < 0xff) return prefix.slice(0, i) + String.fromCharCode(code + 1)
  }
  return undefined
}
