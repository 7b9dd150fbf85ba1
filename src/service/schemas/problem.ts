/** The schema of `problem.ts`, for every answer that is an error. */
import { Type, type TSchema } from 'typebox'
import { ERROR_CODES, type ErrorCode } from '../../errors.ts'

const CODES = Object.keys(ERROR_CODES) as ErrorCode[]

export const ProblemSchema: TSchema = Type.Object(
  {
    type: Type.String({ description: 'the path of a page about this code' }),
    title: Type.String(),
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    code: Type.Enum(CODES, { description: 'stable; docs/ERRORS.md describes each' }),
    detail: Type.String({ description: 'what happened, for people' }),
    hint: Type.Optional(Type.String({ description: 'what to try next' })),
    instance: Type.String({ description: 'the id of the request' }),
    place: Type.Optional(Type.String({ description: 'the part of the request that was refused' })),
  },
  {
    // What is neither text nor number stays inside.
    additionalProperties: { type: ['string', 'number', 'boolean', 'null'] },
    description: 'An error (RFC 9457), with particulars of its code beside these fields.',
  },
)

/** An error's answer in the `response` of a route's schema. */
export const problemResponse = (description: string): Record<string, unknown> => ({
  description,
  content: { 'application/problem+json': { schema: { $ref: 'Problem#' } } },
})
