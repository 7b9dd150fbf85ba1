/**
 * A proxy before a real node that misbehaves on request, one way at a time, for the commands that it is
 * told. Loopback only. Every command that passes is noted, so that a test can break each of them.
 */
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

/**
 * The node gets the request, and then:
 *   cut       its answer ends in the middle, and so does the connection
 *   short     its answer ends in the middle as if that were all, and trailers get lost
 *   flipped   one bit of its answer is another
 *   stale     what it last answered to the same command with other arguments comes instead
 *   mute      nothing comes, ever
 *   late      the answer comes after the caller's deadline
 * The node gets nothing, and what comes is:
 *   reset     the end of the connection, while the request is being sent
 *   hang      nothing, ever
 *   error     500 and JSON, as Kubo refuses
 *   page      500 and HTML
 *   limit     429
 *   away      503
 *   fine      200 and HTML
 *   void      200 and nothing: what a change of MFS is answered with, whichever it was
 * And with no harm:
 *   slow      the answer comes late, but within the deadline
 */
export const FAULTS = [
  'cut',
  'short',
  'flipped',
  'stale',
  'mute',
  'late',
  'reset',
  'hang',
  'error',
  'page',
  'limit',
  'away',
  'fine',
  'void',
  'slow',
] as const
export type Fault = (typeof FAULTS)[number]

export interface FaultProxy {
  readonly url: string
  /** How often each command came, such as `block/get`, or `files/cp intents` for one in that folder. */
  readonly seen: Map<string, number>
  /** How many requests the fault has hit. */
  readonly hits: () => number
  /** From now on: `fault` for the requests of `command`, only for its `nth` where given; or for none. */
  readonly misbehave: (command?: string, fault?: Fault, nth?: number) => void
  readonly pointAt: (target: string) => void
  readonly close: () => Promise<void>
}

export interface FaultDelays {
  readonly slowMs: number
  readonly lateMs: number
}

const HTML = '<html><body><h1>It works!</h1></body></html>\n'

export async function startFaultProxy(
  first: string,
  { slowMs, lateMs }: FaultDelays = { slowMs: 50, lateMs: 1_000 },
): Promise<FaultProxy> {
  let target = first
  let now: { readonly command: string; readonly fault: Fault; readonly nth?: number } | undefined
  let hits = 0
  const seen = new Map<string, number>()
  /** Of each command two answers to different requests, the last one last. */
  const answers = new Map<string, { readonly query: string; readonly body: Buffer }[]>()
  const agent = new http.Agent({ keepAlive: true })

  const onward = (request: http.IncomingMessage): Promise<http.IncomingMessage> =>
    new Promise((resolve, reject) => {
      const { method, headers, url = '' } = request
      const out = http.request(new URL(url, target), { method, headers, agent })
      out.on('error', reject).on('response', resolve)
      request.on('error', () => out.destroy()).pipe(out)
    })

  const instead = (response: http.ServerResponse, socket: Socket, fault: Fault): boolean => {
    if (fault === 'reset') socket.destroy()
    else if (fault === 'hang') return true
    else if (fault === 'error')
      refuse(response, 500, JSON.stringify({ Message: 'something broke', Code: 0, Type: 'error' }))
    else if (fault === 'page') refuse(response, 500, HTML)
    else if (fault === 'limit') refuse(response, 429, HTML)
    else if (fault === 'away') refuse(response, 503, HTML)
    else if (fault === 'fine') refuse(response, 200, HTML)
    else if (fault === 'void') refuse(response, 200, '')
    else return false
    return true
  }

  const handle = async (
    request: http.IncomingMessage,
    response: http.ServerResponse,
  ): Promise<void> => {
    const { pathname, search } = new URL(request.url ?? '', target)
    const command = commandOf(pathname, search)
    seen.set(command, (seen.get(command) ?? 0) + 1)
    if (now?.command === command) hits++
    const isHit = now?.command === command && (now.nth === undefined || now.nth === hits)
    const fault = isHit ? now?.fault : undefined
    if (fault !== undefined && instead(response, request.socket, fault)) return
    const answer = await onward(request)
    if (fault === undefined && !keeps(command)) return pass(answer, response)
    const body = await bodyOf(answer)
    const stale = (answers.get(command) ?? []).findLast(({ query }) => query !== search)
    if (answer.statusCode === 200)
      answers.set(command, [...(answers.get(command) ?? []).slice(-1), { query: search, body }])
    if (fault === 'mute') return
    if (fault === 'late' || fault === 'slow')
      await new Promise((resolve) => setTimeout(resolve, fault === 'late' ? lateMs : slowMs))
    const sent = fault === 'stale' ? (stale?.body ?? body) : changed(body, fault)
    const half = fault === 'short' || fault === 'flipped' || fault === 'stale'
    response.writeHead(
      fault === 'stale' && stale !== undefined ? 200 : (answer.statusCode ?? 502),
      headersOf(answer, half ? sent.length : undefined),
    )
    if (fault === 'cut') {
      response.write(sent)
      // What was written has to be on its way first.
      setTimeout(() => response.destroy(), 20)
    } else {
      if (!half && answer.trailers['x-stream-error'] !== undefined)
        response.addTrailers({ 'X-Stream-Error': answer.trailers['x-stream-error'] })
      response.end(sent)
    }
  }

  const server = http.createServer((request, response) => {
    request.on('error', () => {})
    handle(request, response).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    hits: () => hits,
    misbehave: (command, fault, nth) => {
      hits = 0
      now =
        command === undefined || fault === undefined
          ? undefined
          : { command, fault, ...(nth === undefined ? {} : { nth }) }
    },
    pointAt: (url) => {
      target = url
    },
    close: async () => {
      server.close()
      server.closeAllConnections()
      agent.destroy()
      await once(server, 'close')
    },
  }
}

/** In MFS it matters in which folder of Cairn's a command works. */
function commandOf(pathname: string, search: string): string {
  const command = pathname.replace('/api/v0/', '')
  const path = new URLSearchParams(search).getAll('arg').at(-1) ?? ''
  const folder = command.startsWith('files/') ? /^\/cairn\/([a-z]+)/.exec(path)?.[1] : undefined
  return folder === undefined ? command : `${command} ${folder}`
}

/** Answers that are small enough to be kept for a stale one. */
const keeps = (command: string): boolean => !['repo/gc', 'dag/export'].includes(command)

async function bodyOf(answer: http.IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of answer as AsyncIterable<Buffer>) pieces.push(piece)
  return Buffer.concat(pieces)
}

function pass(answer: http.IncomingMessage, response: http.ServerResponse): void {
  response.writeHead(answer.statusCode ?? 502, answer.headers)
  answer.on('end', () => {
    const late = answer.trailers['x-stream-error']
    if (late !== undefined) response.addTrailers({ 'X-Stream-Error': late })
  })
  answer.on('error', () => response.destroy())
  answer.pipe(response)
}

function refuse(response: http.ServerResponse, status: number, body: string): void {
  const type = body.startsWith('{') ? 'application/json' : 'text/html'
  response.writeHead(status, { 'content-type': type, connection: 'close' })
  response.end(body)
}

function changed(body: Buffer, fault: Fault | undefined): Buffer {
  if (fault === 'cut' || fault === 'short') return body.subarray(0, body.length >> 1)
  if (fault !== 'flipped' || body.length === 0) return body
  const copy = Buffer.from(body)
  copy[copy.length >> 1] = (copy[copy.length >> 1] ?? 0) ^ 1
  return copy
}

/** Without a length where the node gave none and the answer has its own. */
function headersOf(
  answer: http.IncomingMessage,
  length: number | undefined,
): http.OutgoingHttpHeaders {
  const { 'content-length': _length, 'transfer-encoding': _encoding, ...headers } = answer.headers
  const given = answer.headers['content-length']
  if (given === undefined) return headers
  return { ...headers, 'content-length': length ?? given }
}
