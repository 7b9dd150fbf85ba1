/**
 * Calls of a Kubo node's RPC over node:http, with keep-alive.
 *
 * Of our own, because fetch shows no trailers (Kubo reports what goes wrong in the middle of an answer
 * in the trailer `X-Stream-Error` and then ends the body as if it were whole), cuts requests off after
 * 300 seconds, and because kubo-rpc-client ignores its own `timeout`. Every call here has a deadline
 * for the whole of it, so a socket that says nothing cannot hold a caller.
 *
 * Kubo answers 500 for whatever it refuses: `KuboRefusal.message` is all there is to tell refusals
 * apart by, and only `refusals.ts` may do so.
 */
import http from 'node:http'
import https from 'node:https'
import { CairnError, throwIfAborted } from '../../errors.ts'
import { multipart, type FilePart } from './multipart.ts'
import { KuboRefusal, refusalOf } from './refusals.ts'

type QueryValue = string | number | boolean | readonly string[]
export type Query = Readonly<Record<string, QueryValue>>

interface RpcCall {
  readonly query?: Query
  readonly files?: readonly FilePart[]
  readonly deadlineMs: number
  readonly signal?: AbortSignal | undefined
}

export interface Rpc {
  /** The node's address as people may see it: without user, password or token. */
  readonly address: string
  /** The whole answer. Rejects with a CairnError, or with a KuboRefusal when the node said no. */
  call(command: string, call: RpcCall): Promise<Buffer>
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

  const call = (command: string, spec: RpcCall): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      throwIfAborted(spec.signal)
      const body = spec.files === undefined ? undefined : multipart(spec.files)
      const target = new URL(command, base)
      target.search = queryText(spec.query ?? {})
      const request = (tls ? https : http).request(target, {
        method: 'POST',
        agent,
        headers: {
          ...(authorization === undefined ? {} : { authorization }),
          ...(body === undefined ? {} : { 'content-type': body.contentType }),
          'content-length': body?.length ?? 0,
        },
      })
      const settle = (finish: () => void): void => {
        clearTimeout(timer)
        spec.signal?.removeEventListener('abort', onAbort)
        finish()
      }
      const fail = (error: Error): void => {
        settle(() => reject(error))
        request.destroy()
      }
      const where = `${command} of the Kubo node at ${address}`
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

  return { address, call, close: () => agent.destroy() }
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
  const late = response.trailers['x-stream-error']
  if (late !== undefined) throw new KuboRefusal(late, where)
  return answer
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
