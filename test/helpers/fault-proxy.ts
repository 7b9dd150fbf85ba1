/** A proxy before a service, which loses, repeats, delays and damages what passes. Loopback only. */
import { once } from 'node:events'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { onTestFinished } from 'vitest'

/**
 * What becomes of a request:
 *   pass      it is answered
 *   lose      the service does not get it, and the connection is cut
 *   mute      the service gets it and answers, and the connection is cut before any of that comes
 *   late      the connection is cut, and some time later the service gets it all the same
 *   twice     the service gets it twice, one after the other; the second answer comes
 *   half      half of the answer's body comes, then the connection is cut
 *   hang      the service gets it, and nothing comes
 *   damage    a byte of the answer's body is another one
 *   refuse    503 `overloaded`; the service does not get it
 *   gateway   the service gets it, and what comes is a 502 of somebody in between, in HTML
 */
export type Fate =
  'pass' | 'lose' | 'mute' | 'late' | 'twice' | 'half' | 'hang' | 'damage' | 'refuse' | 'gateway'

export interface FaultProxy {
  readonly url: string
  /** `METHOD PATH`, in the order in which they came. */
  readonly seen: string[]
  /** When the ones that are late have come. */
  settled(): Promise<void>
  close(): Promise<void>
  /** Cuts all that is under way. */
  cut(): void
}

export async function startFaultProxy(
  target: () => string,
  decide: (call: string) => Fate,
): Promise<FaultProxy> {
  const seen: string[] = []
  const late: Promise<unknown>[] = []
  const server = http.createServer((request, response) => {
    const call = `${request.method ?? ''} ${request.url ?? ''}`
    seen.push(call)
    const fate = decide(call)
    void handle(fate, request, response).catch(() => response.destroy())
  })
  const handle = async (
    fate: Fate,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> => {
    if (fate === 'pass') return pipe(target(), request, response)
    const body = await bodyOf(request)
    const send = (): Promise<Whole> => sendWhole(target(), request, body)
    switch (fate) {
      case 'lose':
        return void response.destroy()
      case 'mute':
        await send()
        return void response.destroy()
      case 'late':
        late.push(delay(50).then(send))
        return void response.destroy()
      case 'twice':
        await send()
        return answer(response, await send())
      case 'hang':
        return void (await send())
      case 'refuse': {
        const text = JSON.stringify({ code: 'overloaded', detail: 'Too much.', status: 503 })
        const headers = { 'content-type': 'application/problem+json', 'retry-after': '0' }
        return answer(response, { status: 503, headers, body: Buffer.from(text) })
      }
      case 'gateway':
        await send()
        return answer(response, { status: 502, headers: {}, body: Buffer.from('<h1>Bad</h1>') })
      case 'half': {
        const whole = await send()
        response.writeHead(whole.status, whole.headers)
        response.write(whole.body.subarray(0, whole.body.length >> 1), () => response.destroy())
        return
      }
      case 'damage': {
        const whole = await send()
        whole.body[whole.body.length >> 1] = (whole.body[whole.body.length >> 1] ?? 0) ^ 1
        return answer(response, whole)
      }
    }
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = async (): Promise<void> => {
    const closed = server.listening ? once(server, 'close') : undefined
    server.close()
    server.closeAllConnections()
    await closed
  }
  onTestFinished(close)
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    settled: async () => {
      await Promise.allSettled(late)
    },
    close,
    cut: () => server.closeAllConnections(),
  }
}

interface Whole {
  readonly status: number
  readonly headers: http.OutgoingHttpHeaders
  readonly body: Buffer
}

async function bodyOf(stream: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of stream) parts.push(part as Buffer)
  return Buffer.concat(parts)
}

function answer(response: ServerResponse, { status, headers, body }: Whole): void {
  response.writeHead(status, { ...headers, 'content-length': body.length }).end(body)
}

function onward(target: string, { url, method, headers }: IncomingMessage): http.ClientRequest {
  return http.request(new URL(url ?? '/', target), { method, headers, agent: false })
}

async function sendWhole(target: string, request: IncomingMessage, body: Buffer): Promise<Whole> {
  const ahead = onward(target, request)
  ahead.end(body)
  const [response] = (await once(ahead, 'response')) as [IncomingMessage]
  const { 'transfer-encoding': _, connection: __, ...headers } = response.headers
  return { status: response.statusCode ?? 502, headers, body: await bodyOf(response) }
}

/** As it comes; what ends on one side ends on the other. */
function pipe(target: string, request: IncomingMessage, response: ServerResponse): void {
  const ahead = onward(target, request)
  ahead.on('error', () => response.destroy())
  response.on('close', () => ahead.destroy())
  ahead.on('response', (from) => {
    response.writeHead(from.statusCode ?? 502, from.headers)
    from.on('error', () => response.destroy())
    from.on('close', () => from.complete || response.destroy())
    from.pipe(response)
  })
  request.pipe(ahead)
}
