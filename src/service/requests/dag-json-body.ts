/**
 * JSON bodies with values in them that are to be stored. Plain JSON has no links, bytes or numbers beyond
 * 2^53; where a body may hold one it is read a second time as DAG-JSON, and routes take the values from there.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { needsDagJson, parseContent } from '../../content/encode.ts'
import { CairnError } from '../../errors.ts'
import { utf8Of } from '../http/bodies.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The body as DAG-JSON, where that is another than its JSON. */
    dagJson: unknown
  }
}

/** Deeper values are for a body of their own. The validator goes down by calling itself. */
const MAX_NESTING = 200

export function useDagJsonBodies(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.decorateRequest('dagJson', null)
  app.removeContentTypeParser('application/json')
  app.addContentTypeParser<Buffer>(
    'application/json',
    { parseAs: 'buffer' },
    (request, body, done) => {
      if (body.length === 0) return done(null, undefined)
      const text = utf8Of(body)
      refuseDeep(text)
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

const QUOTE = 34
const BACKSLASH = 92

function refuseDeep(text: string): void {
  if (text.length <= MAX_NESTING) return
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i)
    if (char === QUOTE) i = endOfString(text, i)
    // [ and {, ] and }
    else if (char === 91 || char === 123) {
      if (++depth > MAX_NESTING) throw tooDeep()
    } else if (char === 93 || char === 125) depth--
  }
}

function endOfString(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let slashes = 0
    while (text.charCodeAt(at - 1 - slashes) === BACKSLASH) slashes++
    if (slashes % 2 === 0) return at
  }
  return text.length
}

function tooDeep(): CairnError {
  return new CairnError('usage', `The body is nested deeper than ${MAX_NESTING} levels.`, {
    hint: 'Put a deep value as a body of its own, or split it into several entities.',
  })
}
