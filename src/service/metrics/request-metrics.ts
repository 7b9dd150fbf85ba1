/** What is measured of every connection and request of a server. */
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { Metrics } from './metrics.ts'

/** URLs that no route answers are one route: anybody can think of any number of them. */
const NO_ROUTE = 'none'

export function measureRequests(app: FastifyInstance, metrics: Metrics): void {
  app.server.on('connection', (socket) => socket.once('close', metrics.connected()))
  app.addHook('onResponse', (request, reply, done) => {
    metrics.answered({
      route: request.routeOptions.url ?? NO_ROUTE,
      method: request.method,
      status: reply.statusCode,
      seconds: isEventStream(reply) ? undefined : reply.elapsedTime / 1000,
    })
    done()
  })
}

/** They last as long as their readers like. */
function isEventStream(reply: FastifyReply): boolean {
  const type = reply.getHeader('content-type') ?? reply.raw.getHeader('content-type')
  return String(type).startsWith('text/event-stream')
}
