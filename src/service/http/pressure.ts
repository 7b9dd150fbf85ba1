/**
 * Back-pressure: how much may be under way at once. What is beyond is refused at once and cheaply, before
 * its body is read, so that memory stays bounded and what was begun is ended in time.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { CairnError } from '../../errors.ts'
import { whenClosed } from './connection-end.ts'

export interface PressureLimits {
  /** Requests that are answered in one go. */
  readonly requests: number
  /** Answers that go on: change streams, downloads, uploads. */
  readonly streams: number
  /** Bytes of bodies that are being read or worked on. */
  readonly bodyBytes: number
  /** Bytes of answers in one go that their readers have yet to take; small ones do not count. */
  readonly answerBytes: number
}

export const LIMITS: PressureLimits = {
  requests: 1000,
  streams: 1000,
  bodyBytes: 128 << 20,
  answerBytes: 128 << 20,
}

/** So much for each of all requests is no danger. */
const SMALL_ANSWER = 64 << 10

export interface Pressure {
  /** Counts a request in until its answer's end, or throws `overloaded`. */
  readonly enter: (request: FastifyRequest, reply: FastifyReply, bodyLimit: number) => void
  /** Counts an answer in until it was taken; one that only tells of things is refused with `overloaded`. */
  readonly leave: (request: FastifyRequest, reply: FastifyReply, payload: unknown) => void
  readonly counts: () => { readonly requests: number; readonly streams: number }
}

export function pressure(limits: PressureLimits): Pressure {
  const under = { requests: 0, streams: 0, bodyBytes: 0, answerBytes: 0 }
  const enter = (request: FastifyRequest, reply: FastifyReply, bodyLimit: number): void => {
    const kind = request.routeOptions.config.stream === true ? 'streams' : 'requests'
    const bytes = kind === 'streams' ? 0 : announced(request, bodyLimit)
    // One large body alone is always let in: the limit of a body judges it.
    const full = under.bodyBytes > 0 && under.bodyBytes + bytes > limits.bodyBytes
    if (full || under[kind] >= limits[kind]) throw overloaded(reply)
    under[kind]++
    under.bodyBytes += bytes
    whenClosed(reply, () => {
      under[kind]--
      under.bodyBytes -= bytes
    })
  }
  const leave = (request: FastifyRequest, reply: FastifyReply, payload: unknown): void => {
    const bytes = typeof payload === 'string' || Buffer.isBuffer(payload) ? payload.length : 0
    if (bytes <= SMALL_ANSWER) return
    const full = under.answerBytes > 0 && under.answerBytes + bytes > limits.answerBytes
    // Of what was written the writer must hear.
    if (full && request.method === 'GET') throw overloaded(reply)
    under.answerBytes += bytes
    whenClosed(reply, () => {
      under.answerBytes -= bytes
    })
  }
  return { enter, leave, counts: () => under }
}

/** The bytes that a body may come to; one that does not say may be as large as any. */
function announced({ headers }: FastifyRequest, bodyLimit: number): number {
  const length = headers['content-length']
  if (length !== undefined) return Math.min(Number(length), bodyLimit)
  return headers['transfer-encoding'] === undefined ? 0 : bodyLimit
}

function overloaded(reply: FastifyReply): CairnError {
  reply.header('retry-after', '1')
  return new CairnError('overloaded', 'Too many requests are under way.', {
    hint: 'Wait as long as Retry-After says, and send fewer at once.',
  })
}
