/** What bodies may be: JSON in UTF-8, not compressed. A route that takes others adds its own parser. */
import { isUtf8 } from 'node:buffer'
import type { FastifyInstance } from 'fastify'
import { CairnError } from '../../errors.ts'
import { isDeeper } from './json-depth.ts'

/** The validator goes down by calling itself, and so does what prints an answer. */
const MAX_NESTING = 200

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
      refuseDeepBody(text)
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

export function refuseDeepBody(text: string): void {
  if (!isDeeper(text, MAX_NESTING)) return
  throw new CairnError('usage', `The body is nested deeper than ${MAX_NESTING} levels.`, {
    hint: 'Put a deep value as a body of its own, or split it into several entities.',
  })
}

function compressed(): CairnError {
  return new CairnError('unsupported_media', 'Compressed bodies are not taken.', {
    hint: 'Leave Content-Encoding out and send the body as it is.',
  })
}
