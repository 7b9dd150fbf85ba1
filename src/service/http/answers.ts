/** Answers that are errors: every one is a problem, of a handler, of Fastify, or for an unknown address. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { redactor } from '../../config/secrets.ts'
import { CairnError } from '../../errors.ts'
import type { KnownUrls } from './known-urls.ts'
import { withoutFolders } from './folders.ts'
import { errorOf, PROBLEM_TYPE, problemOf } from './problem.ts'
import type { Service } from '../service.ts'

export function useErrors(app: FastifyInstance, service: Service, known: KnownUrls): void {
  app.setErrorHandler((thrown, request, reply) => answerProblem(service, thrown, request, reply))
  app.setNotFoundHandler((request) => refuseUnknown(request, known))
  app.addHook('onSend', (request, reply, payload, done) => {
    // A connection on which the rest of a body may still come is of no use.
    if (reply.statusCode >= 400 && !request.raw.complete) reply.header('connection', 'close')
    else if (service.draining.aborted) reply.header('connection', 'close')
    done(null, payload)
  })
}

/** Sends what was thrown as a problem. */
export function answerProblem(
  service: Service,
  thrown: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const error = errorOf(thrown)
  const values = service.values()
  const status = statusOf(error, request)
  const problem = problemOf(error, request.id, status)
  if (status >= 500) logFailure(service, error, request)
  for (const [name, value] of Object.entries(headersOf(error))) reply.header(name, value)
  // It names what was asked for.
  reply.removeHeader('etag')
  return reply
    .code(status)
    .type(PROBLEM_TYPE)
    .header('cache-control', 'no-store')
    .send(withoutFolders(values)(redactor(values)(JSON.stringify(problem))))
}

/** A deadline that passed while the body was still coming is the sender's; an address is no body. */
function statusOf(error: CairnError, { raw }: FastifyRequest): number {
  if (error.code === 'deadline_exceeded' && !raw.complete) return 408
  const { statusCode } = (error.cause ?? {}) as { statusCode?: number }
  return error.code === 'too_large' && statusCode === 414 ? 414 : error.httpStatus
}

function headersOf({ code, details }: CairnError): Record<string, string> {
  if (code === 'method_not_allowed') return { allow: String(details['allow']) }
  if (code === 'unauthenticated') return { 'www-authenticate': 'Bearer realm="cairn"' }
  if (code === 'backend_unavailable' || code === 'busy') return { 'retry-after': '5' }
  return {}
}

function logFailure({ log }: Service, error: CairnError, request: FastifyRequest): void {
  const cause = error.cause instanceof Error ? error.cause : error
  log.error('request.failed', {
    request_id: request.id,
    code: error.code,
    message: error.message,
    ...(error.code === 'internal' ? { stack: cause.stack } : {}),
  })
}

/** Throws for an address that nobody serves. A body that was sent there is not read. */
export function refuseUnknown(request: FastifyRequest, known: KnownUrls): void {
  if (request.is404) throw notServed(request, known)
}

function notServed({ method, raw }: FastifyRequest, known: KnownUrls): CairnError {
  const allow = known.methodsOf(raw.url ?? '')
  if (allow.length === 0) {
    return new CairnError('not_found', 'Nothing is served at this address.', {
      hint: 'GET /openapi.json lists all addresses.',
    })
  }
  return new CairnError('method_not_allowed', `This address has no ${method.slice(0, 20)}.`, {
    hint: `It has ${allow.join(', ')}.`,
    allow: allow.join(', '),
  })
}
