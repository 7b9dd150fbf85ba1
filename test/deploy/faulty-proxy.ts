/** A proxy before the service that breaks one thing: for what is to find it. */
import { once } from 'node:events'
import { createServer, request, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

export interface Asked {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
}

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
}

export interface Fault {
  /** What is told of it. */
  readonly fails: RegExp
  /** It is seen without writing. */
  readonly reading?: true
  /** Before it is handed on. */
  readonly ask?: (asked: Asked) => void
  readonly answer?: (answer: Answer, asked: Asked) => void
}

/** Between the checks and the service, with a fault. Streams are handed on as they come. */
export async function proxy(
  { url, token }: { readonly url: string; readonly token: string },
  { ask, answer }: Fault,
): Promise<string> {
  const server = createServer((incoming, outgoing) => {
    const asked = {
      method: incoming.method ?? '',
      path: incoming.url ?? '',
      headers: { ...incoming.headers },
    }
    ask?.(asked)
    const { headers } = asked
    headers.authorization = headers.authorization?.replace('TOKEN', token)
    headers.connection = 'close'
    if (headers.authorization === undefined) delete headers.authorization
    const passed = request(new URL(url), { ...asked, headers }, (from) => {
      const type = from.headers['content-type'] ?? ''
      if (type.startsWith('text/event-stream')) {
        outgoing.writeHead(from.statusCode ?? 0, from.headers)
        from.pipe(outgoing)
        return
      }
      const parts: Buffer[] = []
      from.on('data', (part: Buffer) => parts.push(part))
      from.on('end', () => {
        const reply = {
          status: from.statusCode ?? 0,
          headers: { ...from.headers },
          body: Buffer.concat(parts),
        }
        answer?.(reply, asked)
        finish(outgoing, reply)
      })
    })
    passed.on('error', () => outgoing.destroy())
    outgoing.on('close', () => passed.destroy())
    // A length that is too large is refused before anything of it comes.
    passed.flushHeaders()
    incoming.pipe(passed)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function finish(outgoing: ServerResponse, { status, headers, body }: Answer): void {
  delete headers['transfer-encoding']
  headers['content-length'] = String(body.length)
  if (status === 304) delete headers['content-length']
  outgoing.writeHead(status, headers)
  outgoing.end(body)
}
