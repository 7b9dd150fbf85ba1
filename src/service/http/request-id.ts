/** The id of a request: the client's own where it is sane, in every log line about it and every problem. */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

/** No spaces, quotes or control characters: it goes into logs and headers as it is. */
const SANE = /^[\w.:@+=/-]{1,128}$/

export function requestId({ headers }: Pick<IncomingMessage, 'headers'>): string {
  const given = headers['x-request-id']
  return typeof given === 'string' && SANE.test(given) ? given : randomUUID()
}
