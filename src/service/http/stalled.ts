/**
 * Readers that take nothing any more. An answer that goes on has no deadline, and what it holds (a lease on what
 * it reads, a place among those under way) would be held for as long as its connection is.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Logger } from '../../engine/logger.ts'

/** Ends the connection of an answer of which nothing was taken for `ms`, while something waits to be. */
export function endStalled(
  log: Logger,
  request: FastifyRequest,
  reply: FastifyReply,
  ms: number,
): void {
  if (request.routeOptions.config.stream !== true) return
  const { raw } = reply
  // Node calls this when nothing was sent or came for so long, parts of what waits included.
  raw.setTimeout(ms, () => {
    if (raw.writableLength === 0) return void raw.setTimeout(ms)
    log.info('request.stalled', { request_id: request.id, waiting_bytes: raw.writableLength })
    raw.destroy()
  })
}
