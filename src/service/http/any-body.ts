/**
 * Routes that take a body of any type, as the stream that it comes as. To the validator it is null: what
 * the schema of such a body says is for people.
 */
import type { FastifyInstance } from 'fastify'

declare module 'fastify' {
  interface FastifyRequest {
    /** The body, where it is not parsed. */
    bytes: AsyncIterable<Uint8Array> | null
  }
}

/** For all routes of a plugin. */
export function takeAnyBody(app: FastifyInstance): void {
  app.decorateRequest('bytes', null)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (request, payload, done) => {
    request.bytes = payload
    done(null)
  })
}
