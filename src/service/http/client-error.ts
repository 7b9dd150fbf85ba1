/** What cannot even be read as a request: answered on the socket itself, which is then closed. */
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { randomUUID } from 'node:crypto'
import type { Logger } from '../../engine/logger.ts'
import { CairnError } from '../../errors.ts'
import { PROBLEM_TYPE, problemOf } from './problem.ts'

export function answerClientError(
  log: Logger,
  error: Error & { readonly code?: string },
  socket: Socket,
): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return
  const [status, refusal] = refusalOf(error.code)
  const id = randomUUID()
  log.debug('request.unreadable', { request_id: id, status, cause: error.code ?? error.message })
  if (socket.writable)
    socket.write(rawAnswer(status, JSON.stringify(problemOf(refusal, id, status)), id))
  socket.destroySoon()
}

function refusalOf(code: string | undefined): [status: number, error: CairnError] {
  if (code === 'HPE_HEADER_OVERFLOW') {
    const hint = 'Send less in the headers, and long things in the body.'
    return [431, new CairnError('too_large', 'The headers are too large.', { hint })]
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    const hint = 'Send it in one go.'
    return [408, new CairnError('deadline_exceeded', 'The request did not come in time.', { hint })]
  }
  const hint = 'Check what sends it, and what lies between.'
  return [400, new CairnError('usage', 'This is no request of HTTP/1.1.', { hint })]
}

function rawAnswer(status: number, body: string, id: string): string {
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    `Content-Type: ${PROBLEM_TYPE}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    `X-Request-Id: ${id}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n')
}
