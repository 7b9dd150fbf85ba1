/**
 * Calls of a Kubo node's RPC over node:http, with keep-alive.
 *
 * Of our own, because fetch shows no trailers (Kubo reports what goes wrong in the middle of an answer
 * in the trailer `X-Stream-Error` and then ends the body as if it were whole), cuts requests off after
 * 300 seconds, and because kubo-rpc-client ignores its own `timeout`. Every call here has a deadline
 * for the whole of it, and a stream one for each silence, so a socket that says nothing cannot hold a
 * caller.
 *
 * Kubo answers 500 for whatever it refuses: `KuboRefusal.message` is all there is to tell refusals
 * apart by, and only `refusals.ts` may do so.
 */
import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import { CairnError, throwIfAborted } from '../../errors.ts'
import { multipart, type FilePart, type MultipartBody } from './multipart.ts'
import { piecesOf } from './pieces.ts'
import { KuboRefusal, refusalOf } from './refusals.ts'

type QueryValue = string | number | boolean | readonly string[]
export type Query = Readonly<Record<string, QueryValue>>

interface RpcCall {
  readonly query?: Query
  readonly files?: readonly FilePart[]
  readonly deadlineMs: number
  readonly signal?: AbortSignal | undefined
}

interface RpcStream {
  readonly query?: Query
  /** How long the node may say nothing while it is being listened to. */
  readonly idleMs: number
  readonly signal?: AbortSignal | undefined
}

export interface Rpc {
  /** The node's address as people may see it: without user, password or token. */
  readonly address: string
  /** The whole answer. Rejects with a CairnError, or with a KuboRefusal when the node said no. */
  call(command: string, call: RpcCall): Promise<Buffer>
  /**
   * The answer as it comes, no faster than it is taken. Throws as `call` rejects, also at the end of
   * what was an answer until then. Whoever stops taking ends the request.
   */
  stream(command: string, call: RpcStream): AsyncGenerator<Buffer, void, undefined>
  close(): void
}

/** Far above what any command that is called here answers (a block has at most 8 MiB). */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024

export function createRpc(url: URL, authorization: string | undefined): Rpc {
  const tls = url.protocol === 'https:'
  const options = { keepAlive: true, keepAliveMsecs: 5_000, noDelay: true }
  const agent = tls ? new https.Agent(options) : new http.Agent(options)
  const base = new URL(url.pathname.replace(/\/*$/, '/api/v0/'), url.origin)
  const address = `${url.origin}${url.pathname}`.replace(/\/+$/, '')

  const begin = (command: string, query: Query = {}, body?: MultipartBody): http.ClientRequest => {
    const target = new URL(command, base)
    target.search = queryText(query)
    return (tls ? https : http).request(target, {
      method: 'POST',
      agent,
      headers: {
        ...(authorization === undefined ? {} : { authorization }),
        ...(body === undefined ? {} : { 'content-type': body.contentType }),
        'content-length': body?.length ?? 0,
      },
    })
  }
  const nameOf = (command: string): string => `${command} of the Kubo node at ${address}`

  const call = (command: string, spec: RpcCall): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      throwIfAborted(spec.signal)
      const body = spec.files === undefined ? undefined : multipart(spec.files)
      const request = begin(command, spec.query, body)
      const settle = (finish: () => void): void => {
        clearTimeout(timer)
        spec.signal?.removeEventListener('abort', onAbort)
        finish()
      }
      const fail = (error: Error): void => {
        settle(() => reject(error))
        request.destroy()
      }
      const where = nameOf(command)
      const onAbort = (): void => fail(abortedInFlight(spec.signal))
      const timer = setTimeout(() => fail(timedOut(where, spec.deadlineMs)), spec.deadlineMs)
      spec.signal?.addEventListener('abort', onAbort, { once: true })
      request.on('error', (cause) => fail(unreachable(where, cause)))
      request.on('response', (response) => {
        collect(response, where).then((answer) => settle(() => resolve(answer)), fail)
      })
      for (const chunk of body?.chunks ?? []) request.write(chunk)
      request.end()
    })

  async function* stream(command: string, spec: RpcStream): ReturnType<Rpc['stream']> {
    throwIfAborted(spec.signal)
    const where = nameOf(command)
    const request = begin(command, spec.query)
    let cutBy: CairnError | undefined
    const cut = (error: CairnError): void => {
      cutBy ??= error
      request.destroy()
    }
    const onAbort = (): void => cut(abortedInFlight(spec.signal))
    const listening = async <T>(answer: Promise<T>): Promise<T> => {
      const timer = setTimeout(() => cut(timedOut(where, spec.idleMs)), spec.idleMs)
      return answer.finally(() => clearTimeout(timer))
    }
    spec.signal?.addEventListener('abort', onAbort, { once: true })
    // Errors after the response has begun come from its body; an event without a listener would throw.
    request.on('error', () => {})
    try {
      request.end()
      const [response] = await listening(
        once(request, 'response') as Promise<[http.IncomingMessage]>,
      )
      if (response.statusCode !== 200) await listening(collect(response, where))
      const body = piecesOf(response)
      for (;;) {
        // The time is the node's: it does not run while the taker is busy with a piece.
        const piece = await listening(body.next())
        if (piece === undefined) break
        yield piece
      }
      throwIfLate(response, where)
    } catch (cause) {
      throw cutBy ?? (cause instanceof CairnError ? cause : unreachable(where, cause))
    } finally {
      spec.signal?.removeEventListener('abort', onAbort)
      request.destroy()
    }
  }

  return { address, call, stream, close: () => agent.destroy() }
}

async function collect(response: http.IncomingMessage, where: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > MAX_ANSWER_BYTES) {
        throw new CairnError('backend_refused', `The answer of ${where} has no end.`)
      }
      chunks.push(chunk)
    }
  } catch (cause) {
    throw cause instanceof CairnError ? cause : unreachable(where, cause)
  }
  const answer = Buffer.concat(chunks, size)
  if (response.statusCode !== 200) throw refusalOf(response.statusCode ?? 0, answer, where)
  throwIfLate(response, where)
  return answer
}

/** What went wrong after the first byte. */
function throwIfLate(response: http.IncomingMessage, where: string): void {
  const late = response.trailers['x-stream-error']
  if (late !== undefined) throw new KuboRefusal(late, where)
}

function queryText(query: Query): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    for (const item of Array.isArray(value) ? value : [value]) search.append(name, String(item))
  }
  return search.toString()
}

// `sent` in these errors: whether the node may have got the request, and done it.

const NOT_SENT = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']

function timedOut(where: string, deadlineMs: number): CairnError {
  return new CairnError('backend_timeout', `No answer from ${where} within ${deadlineMs} ms.`, {
    hint: 'Changes wait while the node collects garbage; `ipfs diag cmds` shows what it is doing.',
    sent: true,
  })
}

function unreachable(where: string, cause: unknown): CairnError {
  const { code, message } = cause as NodeJS.ErrnoException
  return new CairnError('backend_unavailable', `No connection for ${where} (${code ?? message}).`, {
    hint: 'Is the node running, and is this the address of its RPC (Addresses.API)?',
    cause,
    sent: code === undefined || !NOT_SENT.includes(code),
  })
}

function abortedInFlight(signal: AbortSignal | undefined): CairnError {
  return new CairnError('aborted', 'The operation was aborted.', {
    cause: signal?.reason,
    sent: true,
  })
}
