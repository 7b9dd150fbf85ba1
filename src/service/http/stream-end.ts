/** When an answer that goes on by itself is to end. */
import type { FastifyReply } from 'fastify'
import { whenClosed } from './connection-end.ts'

/** How soon the stream of a revoked token ends. */
const LOOK_EVERY_MS = 5000

/** Aborts when the answer is over, whoever ends it, or is to be: also when its reader may not read on. */
export function endOf(
  reply: FastifyReply,
  draining: AbortSignal,
  mayReadOn: () => boolean,
): AbortSignal {
  const ending = new AbortController()
  const end = (): void => ending.abort()
  const look = setInterval(() => (mayReadOn() ? undefined : end()), LOOK_EVERY_MS)
  draining.addEventListener('abort', end, { once: true })
  whenClosed(reply, () => {
    clearInterval(look)
    draining.removeEventListener('abort', end)
    end()
  })
  return ending.signal
}
