/** What routes answer beside their own: problems by code, and that nothing is new. */
import { Type } from 'typebox'
import { problemResponse } from './problem.ts'

const TEXTS = {
  404: 'There is no such thing, or it is not kept.',
  406: 'It is not given in that form.',
  409: 'It is not as expected, or someone else is at it.',
  412: 'It is not here, and was wanted only if it is.',
  413: 'The content is too large to be followed.',
  416: 'No such range of bytes.',
  422: 'What was sent cannot be stored.',
  501: 'The path ends within a block.',
  507: 'There is no space left.',
} as const

/** The problems of these statuses, for a route's `response`. */
export function problems(...statuses: readonly (keyof typeof TEXTS)[]): Record<number, unknown> {
  return Object.fromEntries(statuses.map((status) => [status, problemResponse(TEXTS[status])]))
}

export const NOT_MODIFIED: Type.TNull = Type.Null({ description: 'You have it already.' })

/** Bytes as they are. Without a type, since a body that is a stream is none for the validator. */
export const BINARY: Readonly<Record<string, unknown>> = { format: 'binary' }

/** An answer that is no JSON of a schema. */
export const streamOf = (type: string, description: string, schema: unknown = BINARY): unknown => ({
  description,
  content: { [type]: { schema } },
})
