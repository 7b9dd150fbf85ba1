/** What bodies may be: JSON in UTF-8, not compressed. A route that takes others adds its own parser. */
import { isUtf8 } from 'node:buffer'
import type { FastifyInstance } from 'fastify'
import { CairnError } from '../../errors.ts'
import { MAX_BLOCK_BYTES } from '../../model/node.ts'
import { excessOf } from './json-size.ts'

/** The validator goes down by calling itself, and so does what prints an answer. */
const MAX_NESTING = 200
/** Beside the value: the names of the fields around it, and theirs. */
const FIELDS_WEIGHT = 1000
/** What is heavier fits no block, and takes seconds to be refused for that. */
export const VALUE_WEIGHT: number = MAX_BLOCK_BYTES + FIELDS_WEIGHT
/** Ten thousand entries of a batch may have two hundred each. */
export const BATCH_WEIGHT: number = 2 * VALUE_WEIGHT
/** No route without values needs more: the longest is of a thousand keys of a map, their characters escaped. */
export const BODY_WITHOUT_VALUES: number = 2 << 20

export function useBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  const parse = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser<Buffer>(
    'application/json',
    { parseAs: 'buffer' },
    (request, body, done) => {
      // Where a body is needed, its schema says so.
      if (body.length === 0) return done(null, undefined)
      const text = utf8Of(body)
      refuseExcess(text, VALUE_WEIGHT)
      return parse(request, text, done)
    },
  )
  app.addHook('preParsing', (request, _, payload, done) => {
    const encoding = request.headers['content-encoding']
    done(encoding === undefined || encoding === 'identity' ? null : compressed(), payload)
  })
}

export function utf8Of(body: Buffer): string {
  if (isUtf8(body)) return body.toString('utf8')
  throw new CairnError('usage', 'The body is no text in UTF-8.', {
    hint: 'Send JSON in UTF-8; bytes go into a field `bytes` as base64, or as a body of their own.',
  })
}

export function refuseExcess(text: string, weight: number): void {
  const excess = excessOf(text, { levels: MAX_NESTING, weight })
  if (excess === 'weight') throw tooManyValues()
  if (excess === undefined) return
  throw new CairnError('usage', `The body is nested deeper than ${MAX_NESTING} levels.`, {
    hint: 'Put a deep value as a body of its own, or split it into several entities.',
  })
}

export function tooManyValues(): CairnError {
  return new CairnError('too_large', 'There are too many keys and values in the body.', {
    hint: 'Split it into several requests; a value that fits no block, into several entities.',
  })
}

function compressed(): CairnError {
  return new CairnError('unsupported_media', 'Compressed bodies are not taken.', {
    hint: 'Leave Content-Encoding out and send the body as it is.',
  })
}
