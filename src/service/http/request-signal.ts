/**
 * `request.signal`: aborted when nobody waits for the answer any more, or when its deadline has passed. The
 * one of Fastify does for neither, once a request has a body: its 'close' comes when the body was read.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { CairnError } from '../../errors.ts'
import { whenClosed } from './connection-end.ts'

export function setSignal(request: FastifyRequest, reply: FastifyReply, deadlineMs: number): void {
  const ending = new AbortController()
  const isStream = request.routeOptions.config.stream === true
  const timer = isStream ? undefined : setTimeout(() => pass(request, reply, ending), deadlineMs)
  whenClosed(reply, () => {
    clearTimeout(timer)
    if (!reply.raw.writableFinished) ending.abort()
  })
  Object.defineProperty(request, 'signal', { value: ending.signal })
}

function pass(request: FastifyRequest, reply: FastifyReply, ending: AbortController): void {
  const error = new CairnError('deadline_exceeded', 'The request was not answered in its time.', {
    hint: 'Ask for less at once. Whether a write took effect shows in the entity.',
  })
  // What waits behind an answer that goes on would wait for as long as that: the connection ends.
  if (reply.raw.socket === null) request.raw.socket.destroy()
  // Before the handler hears of it: its own failure is not what the reader is told.
  else if (reply.raw.headersSent) reply.raw.destroy(error)
  else if (!reply.sent) void reply.send(error)
  ending.abort(error)
}
