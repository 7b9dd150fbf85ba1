/**
 * A proxy before an S3 server, which refuses, loses, delays and damages what passes. Loopback only. `Host`
 * goes on as it came, since a signature covers it: what a client signs for the proxy, the server accepts.
 */
import { once } from 'node:events'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'

export interface BucketCall {
  readonly method: string
  readonly bucket: string
  /** Decoded; empty where the request is about the bucket. */
  readonly key: string
  readonly query: URLSearchParams
  readonly headers: Readonly<http.IncomingHttpHeaders>
  /** As S3 calls it. */
  readonly operation: string
}

/**
 * What becomes of a request, where it is not answered as it should be:
 *   refuse        503 SlowDown; the server does not get it
 *   lose          the connection is cut; the server does not get it
 *   refuse-after  it takes effect, and what comes is 503 SlowDown
 *   cut-after     it takes effect, and the connection is cut before any of the answer
 *   hang-after    it takes effect, and nothing comes until the client gives up
 *   truncate      half of the answer's body comes under its full length, then the connection is cut
 *   shorten       half of the answer's body comes, under a length that says so
 *   flip          a byte in the middle of the answer's body is another one
 *   hold          nothing comes until `release`, then the server gets it; it is answered if the client still waits
 *   late          the connection is cut at once, and at `release` the server gets it all the same
 * or it and its answer each come so many milliseconds later.
 */
export type Fault = 'refuse' | 'lose' | 'hold' | 'late' | Afterwards | Delay

type Afterwards = 'refuse-after' | 'cut-after' | 'hang-after' | 'truncate' | 'shorten' | 'flip'

interface Delay {
  readonly before?: number
  readonly after?: number
}

export interface BucketProxy {
  readonly endpoint: string
  /** How many requests came of each operation. */
  readonly counts: ReadonlyMap<string, number>
  /** How many requests are held. */
  held(): number
  /** Lets all that is held, or late, go on to the server; settles when the server has answered. */
  release(): Promise<void>
  /** Cuts what is under way. */
  cut(): void
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export async function startBucketProxy(
  target: string,
  decide: (call: BucketCall) => Fault | undefined = () => undefined,
): Promise<BucketProxy> {
  const counts = new Map<string, number>()
  const held: (() => Promise<unknown>)[] = []
  const server = http.createServer((request, response) => {
    const call = callOf(request)
    counts.set(call.operation, (counts.get(call.operation) ?? 0) + 1)
    handle(decide(call), request, response).catch(() => response.destroy())
  })
  const handle = async (
    fault: Fault | undefined,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> => {
    const ahead = (): http.ClientRequest => onward(target, request)
    if (fault === undefined || typeof fault === 'object')
      return passOn(ahead, request, response, fault)
    const body = await bodyOf(request)
    const send = (): Promise<Whole> => sendWhole(ahead(), body)
    if (fault === 'refuse') return answer(response, SLOW_DOWN)
    if (fault === 'lose') return void response.destroy()
    if (fault === 'hold' || fault === 'late') {
      held.push(async () => answer(response, await send()))
      if (fault === 'late') response.destroy()
      return
    }
    spoil(fault, await send(), response)
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = async (): Promise<void> => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    counts,
    held: () => held.length,
    release: async () => {
      await Promise.all(held.splice(0).map((deliver) => deliver()))
    },
    cut: () => server.closeAllConnections(),
    close,
    [Symbol.asyncDispose]: close,
  }
}

interface Whole {
  readonly status: number
  readonly headers: http.OutgoingHttpHeaders
  readonly body: Buffer
}

const SLOW_DOWN: Whole = {
  status: 503,
  headers: { 'content-type': 'application/xml' },
  body: Buffer.from(
    '<?xml version="1.0" encoding="UTF-8"?>\n' +
      '<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>',
  ),
}

function spoil(fault: Afterwards, whole: Whole, response: ServerResponse): void {
  const { status, headers, body } = whole
  const middle = body.length >> 1
  switch (fault) {
    case 'refuse-after':
      return answer(response, SLOW_DOWN)
    case 'cut-after':
      return void response.destroy()
    case 'hang-after':
      return
    case 'truncate':
      response.writeHead(status, { ...headers, 'content-length': body.length })
      response.write(body.subarray(0, middle), () => response.destroy())
      return
    case 'shorten':
      return answer(response, { status, headers, body: body.subarray(0, middle) })
    case 'flip':
      body[middle] = (body[middle] ?? 0) ^ 1
      return answer(response, whole)
  }
}

function callOf({ method = '', url = '/', headers }: IncomingMessage): BucketCall {
  const { pathname, searchParams: query } = new URL(url, 'http://bucket')
  const [bucket = '', ...rest] = pathname.slice(1).split('/').map(decodeURIComponent)
  const key = rest.join('/')
  const operation = operationOf(method, key, query)
  return { method, bucket, key, query, headers, operation }
}

const OF_OBJECTS: Readonly<Record<string, string>> = {
  GET: 'GetObject',
  PUT: 'PutObject',
  HEAD: 'HeadObject',
  DELETE: 'DeleteObject',
}
const OF_BUCKETS: Readonly<Record<string, string>> = {
  GET: 'ListObjectsV2',
  PUT: 'CreateBucket',
  HEAD: 'HeadBucket',
  DELETE: 'DeleteBucket',
}
const OF_UPLOADS: Readonly<Record<string, string>> = {
  GET: 'ListParts',
  PUT: 'UploadPart',
  POST: 'CompleteMultipartUpload',
  DELETE: 'AbortMultipartUpload',
}

function operationOf(method: string, key: string, query: URLSearchParams): string {
  const other = `${method} ${query.keys().next().value ?? ''}`.trimEnd()
  if (query.has('uploadId')) return OF_UPLOADS[method] ?? other
  if (query.has('uploads'))
    return method === 'POST' ? 'CreateMultipartUpload' : 'ListMultipartUploads'
  if (query.has('delete')) return 'DeleteObjects'
  return (key === '' ? OF_BUCKETS : OF_OBJECTS)[method] ?? other
}

async function bodyOf(stream: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of stream) parts.push(part as Buffer)
  return Buffer.concat(parts)
}

/** Nothing where the client has gone. */
function answer(response: ServerResponse, { status, headers, body }: Whole): void {
  if (response.destroyed) return
  // The answer of HEAD has the length of a body that does not come.
  const length = response.req.method === 'HEAD' ? headers['content-length'] : body.length
  response.writeHead(status, { ...headers, 'content-length': length ?? 0 }).end(body)
}

/** By a connection of its own: MinIO cuts kept ones unannounced, after a put that it did not read. */
function onward(target: string, request: IncomingMessage): http.ClientRequest {
  const { connection: _, ...headers } = request.headers
  const options = { method: request.method, headers, agent: false } as const
  return http.request(new URL(request.url ?? '/', target), options)
}

async function sendWhole(ahead: http.ClientRequest, body: Buffer): Promise<Whole> {
  ahead.end(body)
  const [response] = (await once(ahead, 'response')) as [IncomingMessage]
  const { 'transfer-encoding': _, connection: __, ...headers } = response.headers
  return { status: response.statusCode ?? 502, headers, body: await bodyOf(response) }
}

/** As it comes; what ends on one side ends on the other. */
async function passOn(
  begin: () => http.ClientRequest,
  request: IncomingMessage,
  response: ServerResponse,
  { before = 0, after = 0 }: Delay = {},
): Promise<void> {
  if (before > 0) await sleep(before)
  const ahead = begin()
  response.on('close', () => ahead.destroy())
  // An answer may come before the whole request has gone; then what is left of it may fail.
  pipeline(request, ahead).catch(() => {})
  const [from] = (await once(ahead, 'response')) as [IncomingMessage]
  if (after > 0) await sleep(after)
  const { connection: _, ...headers } = from.headers
  response.writeHead(from.statusCode ?? 502, headers)
  await pipeline(from, response)
}
