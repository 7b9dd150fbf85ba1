/**
 * Requests to the REST API of an IPFS Cluster peer, over node:http: fetch shows no trailers, and it is there
 * that the cluster says what went wrong in the middle of a list. Every answer has a deadline and a limit.
 */
import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import { CairnError, isCairnError, throwIfAborted } from '../errors.ts'
import type { CallOptions } from '../store/backend.ts'
import type { HttpAddress } from '../util/http-address.ts'

export type Query = Readonly<Record<string, string>>

export interface ClusterHttp {
  /** The peer's address as people may see it. */
  readonly address: string
  /** The answer's JSON; undefined where the cluster has no such pin. */
  ask(method: Method, path: string, query?: Query, options?: CallOptions): Promise<unknown>
  /** The values of a list, as they come. Throws also after the last, if the cluster says that it is not whole. */
  list(path: string, query?: Query, options?: CallOptions): AsyncGenerator<unknown, void, undefined>
}

type Method = 'GET' | 'POST' | 'DELETE'

/** Far above what one pin or one peer takes. */
const MAX_VALUE_BYTES = 1024 * 1024

export function clusterHttp({ url, authorization }: HttpAddress, deadlineMs: number): ClusterHttp {
  const client = url.protocol === 'https:' ? https : http
  const address = `${url.origin}${url.pathname}`.replace(/\/+$/, '')

  /** The body in pieces. The deadline is for each of them, or for the `whole`. */
  async function* send(
    method: Method,
    path: string,
    query: Query = {},
    { signal, whole }: CallOptions & { readonly whole: boolean },
  ): AsyncGenerator<Buffer, void, undefined> {
    throwIfAborted(signal)
    const where = `${method} ${path} of the cluster at ${address}`
    const target = new URL(`${address}/${path}`)
    target.search = new URLSearchParams(query).toString()
    const headers = authorization === undefined ? {} : { authorization }
    const request = client.request(target, { method, headers, agent: false })
    let cutBy: CairnError | undefined
    const cut = (error: CairnError): void => {
      cutBy ??= error
      request.destroy()
    }
    const onAbort = (): void => cut(aborted(signal))
    const timer = setTimeout(() => cut(timedOut(where, deadlineMs)), deadlineMs)
    signal?.addEventListener('abort', onAbort, { once: true })
    // Errors after the response has begun come from its body; an event without a listener would throw.
    request.on('error', () => {})
    try {
      request.end()
      const [response] = (await once(request, 'response')) as [http.IncomingMessage]
      if (response.statusCode !== 200 && response.statusCode !== 204)
        throw refusal(response.statusCode ?? 0, await textOf(response, where), where)
      for await (const piece of response as AsyncIterable<Buffer>) {
        if (!whole) timer.refresh()
        yield piece
      }
      const late = response.trailers['x-stream-error'] ?? ''
      if (late !== '') throw refusal(500, late, where)
    } catch (cause) {
      throw cutBy ?? (isCairnError(cause) ? cause : unreachable(where, cause))
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      request.destroy()
    }
  }

  return {
    address,
    async ask(method, path, query, options) {
      const where = `${method} ${path}`
      try {
        const body = send(method, path, query, { ...options, whole: true })
        return jsonOf(await textOf(body, where), where)
      } catch (error) {
        if (isCairnError(error, 'not_found')) return undefined
        throw error
      }
    },
    async *list(path, query, options) {
      const where = `GET ${path}`
      const body = send('GET', path, query, { ...options, whole: false })
      for await (const line of linesOf(body, where)) yield jsonOf(line, where)
    },
  }
}

async function textOf(body: AsyncIterable<Buffer>, where: string): Promise<string> {
  const pieces: Buffer[] = []
  let size = 0
  for await (const piece of body) {
    size += piece.length
    if (size > MAX_VALUE_BYTES) throw endless(where)
    pieces.push(piece)
  }
  return Buffer.concat(pieces, size).toString()
}

async function* linesOf(body: AsyncIterable<Buffer>, where: string): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const piece of body) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > MAX_VALUE_BYTES) throw endless(where)
    yield* lines.filter((line) => line !== '')
  }
  if (rest !== '') yield rest
}

function jsonOf(text: string, where: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw notAnAnswer(where, text, cause)
  }
}

/** Words of a stranger, in one line that is not long. */
export function inWords(text: string): string {
  return text
    .replaceAll(/[\p{Cc}\s]+/gu, ' ')
    .trim()
    .slice(0, 300)
}

const NOT_THE_API = 'Is this the address of the REST API of an IPFS Cluster peer (port 9094)?'

export function notAnAnswer(where: string, said: string, cause?: unknown): CairnError {
  return new CairnError(
    'backend_refused',
    `What came back for ${where} is no answer of a cluster: ${inWords(said).slice(0, 120)}.`,
    { hint: NOT_THE_API, cause },
  )
}

function endless(where: string): CairnError {
  return new CairnError('backend_refused', `The answer to ${where} of the cluster has no end.`, {
    hint: NOT_THE_API,
  })
}

function refusal(status: number, body: string, where: string): CairnError {
  const said = inWords(messageIn(body))
  if (status === 401 || status === 403) {
    return new CairnError('access_denied', `${where} is forbidden (HTTP ${status}).`, {
      hint: 'Check CAIRN_CLUSTER_TOKEN against basic_auth_credentials in the service.json of the peer.',
    })
  }
  // Any server answers 404 to what it does not know: only these words are about pins.
  if (status === 404 && /not part of the pinset/.test(said))
    return new CairnError('not_found', `${where}: ${said}`)
  if (/not enough peers to allocate/i.test(said)) {
    return new CairnError('not_replicated', `Fewer peers are up than a pin needs: ${said}`, {
      hint: 'Start the peers that are down, or ask for less with --pin-min. `cairn pins status` shows them.',
    })
  }
  if (status === 502 || status === 503 || status === 504)
    return new CairnError('backend_unavailable', `${where} answered HTTP ${status}: ${said}`)
  return new CairnError('backend_refused', `${where} answered HTTP ${status}: ${said}`, {
    hint: status === 500 ? 'The log of the peer may say more.' : NOT_THE_API,
  })
}

function messageIn(body: string): string {
  try {
    const answer: unknown = JSON.parse(body)
    if (typeof answer === 'object' && answer !== null && 'message' in answer)
      return String(answer.message)
  } catch {
    // A proxy's page, or the words of a trailer.
  }
  return body
}

function timedOut(where: string, deadlineMs: number): CairnError {
  return new CairnError('backend_timeout', `No answer from ${where} within ${deadlineMs} ms.`, {
    hint: 'Is the peer busy, or hung? What was asked may have been done; ask again.',
  })
}

function unreachable(where: string, cause: unknown): CairnError {
  const { code, message } = cause as NodeJS.ErrnoException
  return new CairnError('backend_unavailable', `No connection for ${where} (${code ?? message}).`, {
    hint: `Is the peer running? ${NOT_THE_API}`,
    cause,
  })
}

function aborted(signal: AbortSignal | undefined): CairnError {
  return new CairnError('aborted', 'The operation was aborted.', { cause: signal?.reason })
}
