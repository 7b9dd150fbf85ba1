/**
 * What the node answered, as JSON of the shape that is expected. A proxy may put its own page, half an
 * answer or another request's answer in the place of the node's: that is an error, never "nothing".
 */
import { CairnError, isCairnError } from '../../errors.ts'
import { parseCid, type CidBytes } from '../../model/cid.ts'

export type JsonMap = Readonly<Record<string, unknown>>

export function jsonOf(command: string, answer: Uint8Array | string): unknown {
  const text = typeof answer === 'string' ? answer : Buffer.from(answer).toString()
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw notAnAnswer(command, text, { cause })
  }
}

export function mapOf(command: string, answer: Uint8Array | string): JsonMap {
  const value = jsonOf(command, answer)
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonMap
  throw notAnAnswer(command, JSON.stringify(value))
}

export function notAnAnswer(
  command: string,
  said: string,
  details: { readonly cause?: unknown; readonly sent?: boolean } = {},
): CairnError {
  return new CairnError(
    'backend_refused',
    `What came back for ${command} is no answer of a Kubo node: ${said.trim().slice(0, 120)}.`,
    { hint: 'Is there a proxy before the node that changes what it says?', ...details },
  )
}

/** A CID that the node names; `undefined` for one of a kind that Cairn has no use for. */
export function knownCid(text: unknown): CidBytes | undefined {
  try {
    return parseCid(String(text))
  } catch (error) {
    if (isCairnError(error, 'invalid_entry')) return undefined
    throw error
  }
}

/** A number that is one: JSON can also say 1e999. */
export function knownNumber(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}

/** What is at a path within an answer, if that has such a place. */
export function at(value: unknown, ...path: readonly string[]): unknown {
  let current = value
  for (const key of path) {
    if (typeof current !== 'object' || current === null) return undefined
    current = (current as Record<string, unknown>)[key]
  }
  return current
}
