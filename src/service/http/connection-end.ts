/**
 * Answers that wait behind another one on their connection. Node keeps them aside until it is their turn, and
 * when the connection ends before that, it tells only the one that was being sent: the others never get their
 * 'close', and what is freed there would be held for good.
 */
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Logger } from '../../engine/logger.ts'

/** Browsers and common clients let no request wait behind another. */
const MOST_WAITING = 16
/** Whatever frees something listens for itself. */
const MOST_LISTENERS = 20

/** Of each connection the answers that are not over. */
const unended = new WeakMap<Socket, Set<ServerResponse>>()

/** Gives the answer its 'close', whatever it waits for. What listens for that comes after this. */
export function closeWithConnection(
  { raw: { socket } }: FastifyRequest,
  { raw }: FastifyReply,
): void {
  const answers = unended.get(socket) ?? follow(socket)
  answers.add(raw)
  raw.setMaxListeners(MOST_LISTENERS)
  raw.once('close', () => answers.delete(raw))
}

function follow(socket: Socket): Set<ServerResponse> {
  const answers = new Set<ServerResponse>()
  unended.set(socket, answers)
  // Node closes the one that was being sent by itself, and one that was sent has its 'close' on the way.
  socket.once('close', () => setImmediate(closeAll, answers))
  return answers
}

/** Should Node come to close one after all, nobody listens any more: all of it is once. */
function closeAll(answers: ReadonlySet<ServerResponse>): void {
  for (const answer of answers) {
    answer.destroy()
    answer.emit('close')
  }
}

/** Does the work when the answer is over, however it ends; at once when it is. */
export function whenClosed({ raw }: FastifyReply, work: () => void): void {
  if (raw.destroyed) work()
  else raw.once('close', work)
}

/**
 * Ends the connection of a request behind too many others. True when it has none any more, and is to be left: an
 * answer would wait as well, and so use memory.
 */
export function endCrowded(log: Logger, request: FastifyRequest, reply: FastifyReply): boolean {
  const { socket } = request.raw
  const waiting = (unended.get(socket)?.size ?? 0) - 1
  if (waiting > MOST_WAITING && !socket.destroyed) {
    log.info('connection.crowded', { request_id: request.id, waiting })
    socket.destroy()
  }
  if (!socket.destroyed) return false
  reply.hijack()
  return true
}
