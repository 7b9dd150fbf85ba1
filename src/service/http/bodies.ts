/** What bodies may be: JSON in UTF-8, not compressed. A route that takes others adds its own parser. */
import { isUtf8 } from 'node:buffer'
import type { FastifyInstance } from 'fastify'
import { CairnError } from '../../errors.ts'

export function useBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  const parse = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser<Buffer>(
    'application/json',
    { parseAs: 'buffer' },
    (request, body, done) => {
      // Where a body is needed, its schema says so.
      if (body.length === 0) return done(null, undefined)
      return parse(request, utf8Of(body), done)
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

function compressed(): CairnError {
  return new CairnError('unsupported_media', 'Compressed bodies are not taken.', {
    hint: 'Leave Content-Encoding out and send the body as it is.',
  })
}
