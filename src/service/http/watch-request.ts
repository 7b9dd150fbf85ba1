/** The line in the log that tells of a request when its answer has ended. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Logger } from '../../engine/logger.ts'
import { whenClosed } from './connection-end.ts'

export function watchRequest(log: Logger, request: FastifyRequest, reply: FastifyReply): void {
  whenClosed(reply, () => {
    const cut = !reply.raw.writableFinished
    const status = reply.raw.statusCode
    const fields = {
      request_id: request.id,
      method: request.method,
      route: request.routeOptions.url ?? 'none',
      status,
      ms: Math.round(reply.elapsedTime * 1e3) / 1e3,
    }
    if (cut) log.info('request.cut', fields)
    else if (status >= 500 && !isProbe(fields.route)) log.error('request.done', fields)
    else if (status >= 400) log.info('request.done', fields)
    else log.debug('request.done', fields)
  })
}

/** Its 503 is an answer, and what is wrong has a line of its own. */
const isProbe = (route: string): boolean => route === '/healthz' || route === '/readyz'
