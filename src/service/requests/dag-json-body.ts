/**
 * JSON bodies with values in them that are to be stored. Plain JSON has no links, bytes or numbers beyond
 * 2^53; where a body may hold one it is read a second time as DAG-JSON, and routes take the values from there.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { needsDagJson, parseContent } from '../../content/encode.ts'
import { refuseExcess, utf8Of } from '../http/bodies.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The body as DAG-JSON, where that is another than its JSON. */
    dagJson: unknown
  }
}

export interface BodyLimits {
  /** The setting. */
  readonly body_limit: number
  /** How much there may be in one, as `excessOf` weighs it. */
  readonly weight: number
}

/** For all routes that the plugin has from now on. */
export function useDagJsonBodies(app: FastifyInstance, { body_limit, weight }: BodyLimits): void {
  app.addHook('onRoute', (route) => {
    route.bodyLimit = body_limit
  })
  const parse = app.getDefaultJsonParser('error', 'error')
  app.decorateRequest('dagJson', null)
  app.removeContentTypeParser('application/json')
  app.addContentTypeParser<Buffer>(
    'application/json',
    { parseAs: 'buffer' },
    (request, body, done) => {
      if (body.length === 0) return done(null, undefined)
      const text = utf8Of(body)
      refuseExcess(text, weight)
      return parse(request, text, (error: Error | null, value?: unknown) => {
        if (error !== null || !needsDagJson(text)) return done(error, value)
        try {
          request.dagJson = parseContent(text)
          done(null, value)
        } catch (cause) {
          done(cause as Error)
        }
      })
    },
  )
}

/** The value of `plain`, exact. `path` leads to it from the body. */
export function exactValue(
  { dagJson }: FastifyRequest,
  plain: unknown,
  path: readonly (string | number)[],
): unknown {
  if (dagJson === null) return plain
  let at: unknown = dagJson
  for (const step of path) at = (at as Record<string | number, unknown>)[step]
  return at
}
