/** Requests: one attempt at a time, each with its limit, sent again as retry.ts allows. */
import { CairnClientError, errorOf, isClientError } from './error.ts'
import { aborted, retrying, type Retry, type RetryPolicy } from './retry.ts'

export interface ConnectOptions {
  /** Where the service is, such as http://127.0.0.1:7460; a path before its own is kept. */
  readonly url: string
  readonly token?: string | undefined
  readonly fetch?: typeof fetch | undefined
  /** For one attempt (10,000); of a stream for each wait for its next part. */
  readonly timeoutMs?: number | undefined
  /** For a call with all its attempts (60,000). */
  readonly deadlineMs?: number | undefined
  /** How often what may be sent again is sent again (5). */
  readonly retries?: number | undefined
  readonly random?: (() => number) | undefined
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined
}

export type Query = Readonly<Record<string, string | number | boolean | undefined>>

export interface Call extends CallOptions {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  readonly path: string
  readonly query?: Query | undefined
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON. */
  readonly json?: unknown
  readonly body?: Body | undefined
  readonly type?: string
  readonly retry: Retry
  readonly patienceMs?: number
}

export type Body = Uint8Array | Blob | ReadableStream<Uint8Array>

export interface Opened {
  readonly response: Response
  /** Each part within its time; a body that is cut off, or stands still, throws. */
  readonly parts: AsyncGenerator<Uint8Array, undefined>
}

export interface Transport {
  readonly policy: RetryPolicy
  readonly json: <T>(call: Call) => Promise<T>
  readonly bytes: (call: Call) => Promise<{ response: Response; bytes: Uint8Array }>
  /** An answer whose body is read as it comes. `idleMs` is the longest wait for its next part. */
  readonly open: (call: Call, idleMs?: number) => Promise<Opened>
}

/** One attempt: its signal, and whether its time was over. */
interface Attempt {
  readonly signal: AbortSignal
  readonly isLate: () => boolean
  /** Its outcome, or that it was stopped. One at a time. */
  readonly until: <T>(work: Promise<T>) => Promise<T>
  readonly limit: (ms: number) => void
  readonly end: () => void
}

export function transport(options: ConnectOptions): Transport {
  const { url, token, timeoutMs = 10_000, deadlineMs = 60_000, retries = 5 } = options
  const base = url.replace(/\/+$/, '')
  const send = options.fetch ?? ((...args: Parameters<typeof fetch>) => fetch(...args))
  const policy = { retries, deadlineMs, timeoutMs, random: options.random ?? Math.random }

  const ask = async (call: Call, { signal }: Attempt): Promise<Response> => {
    const response = await send(`${base}${call.path}${printQuery(call.query)}`, {
      ...requestOf(call, token),
      signal,
    })
    if (response.ok) return response
    throw errorOf(response, await response.text())
  }

  const whole = <T>(call: Call, read: (response: Response) => Promise<T>): Promise<T> =>
    retrying(policy, retried(call), async (limitMs) => {
      const attempt = begin(call.signal)
      attempt.limit(limitMs)
      try {
        return await attempt.until(ask(call, attempt).then(read))
      } catch (error) {
        throw translate(error, call, attempt)
      } finally {
        attempt.end()
      }
    })

  const open = (call: Call, idleMs = timeoutMs): Promise<Opened> =>
    retrying(policy, retried(call), async (limitMs) => {
      const attempt = begin(call.signal)
      attempt.limit(limitMs)
      try {
        const response = await attempt.until(ask(call, attempt))
        attempt.limit(LONGEST_MS)
        return { response, parts: partsOf(response, call, attempt, idleMs) }
      } catch (error) {
        attempt.end()
        throw translate(error, call, attempt)
      }
    })

  return {
    policy,
    json: (call) => whole(call, async (response) => parse(response, await response.text())),
    bytes: (call) =>
      whole(call, async (response) => ({
        response,
        bytes: new Uint8Array(await response.arrayBuffer()),
      })),
    open,
  }
}

function retried({ retry, method, signal, patienceMs }: Call): Parameters<typeof retrying>[1] {
  return { retry, writes: method !== 'GET', signal, patienceMs }
}

function requestOf(
  { method, headers, json, body, type }: Call,
  token: string | undefined,
): RequestInit & { duplex?: 'half' } {
  const content = type ?? (json === undefined ? undefined : 'application/json')
  return {
    method,
    redirect: 'error',
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(content === undefined ? {} : { 'content-type': content }),
      ...headers,
    },
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    ...(body === undefined ? {} : { body: body as NonNullable<RequestInit['body']> }),
    // Streams as bodies need to be told to be sent before the answer comes.
    ...(body instanceof ReadableStream ? { duplex: 'half' as const } : {}),
  }
}

function printQuery(query: Query = {}): string {
  const given = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encodeURIComponent(String(value))}`],
  )
  return given.length === 0 ? '' : `?${given.join('&')}`
}

function begin(signal: AbortSignal | undefined): Attempt {
  const own = new AbortController()
  let late = false
  let timer: ReturnType<typeof setTimeout> | undefined
  let waiting: ((error: unknown) => void) | undefined
  const stop = (): void => {
    own.abort()
    waiting?.(own.signal.reason)
  }
  signal?.addEventListener('abort', stop, { once: true })
  if (signal?.aborted === true) stop()
  return {
    signal: own.signal,
    isLate: () => late,
    // A fetch may forget the signal it was given once it has answered.
    until: (work) =>
      new Promise((resolve, reject) => {
        waiting = reject
        work.then(resolve, reject)
      }),
    limit: (ms) => {
      clearTimeout(timer)
      timer = setTimeout(() => {
        late = true
        stop()
      }, ms)
    },
    end: () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', stop)
      waiting = undefined
      own.abort()
    },
  }
}

async function* partsOf(
  { body }: Response,
  call: Call,
  attempt: Attempt,
  idleMs: number,
): AsyncGenerator<Uint8Array, undefined> {
  const reader = body?.getReader()
  try {
    for (;;) {
      attempt.limit(idleMs)
      const next = reader === undefined ? END : await attempt.until(reader.read())
      if (next.done) return
      // Who takes a part may take its time.
      attempt.limit(LONGEST_MS)
      yield next.value
    }
  } catch (error) {
    throw translate(error, call, attempt, 'answer_cut')
  } finally {
    attempt.end()
    reader?.cancel().catch(() => {})
  }
}

const END = { done: true } as const

/** The longest that a timer can wait. */
const LONGEST_MS = 2 ** 31 - 1

function translate(
  error: unknown,
  { signal, method, path }: Call,
  attempt: Attempt,
  code = 'unreachable',
): CairnClientError {
  if (isClientError(error)) return error
  if (signal?.aborted === true) return aborted(signal)
  const what = `${method} ${path}`
  if (attempt.isLate()) {
    return new CairnClientError(`There was no answer to ${what} in its time.`, {
      code: 'timeout',
      hint: 'Is the service under load? timeoutMs is how long an attempt may take.',
      cause: error,
    })
  }
  const message = error instanceof Error ? error.message : String(error)
  const said =
    code === 'answer_cut' ? `The answer to ${what} was cut off` : `${what} was not answered`
  return new CairnClientError(`${said}: ${message}.`, {
    code,
    hint: 'Does the service run, at that address? In a browser: does it allow this origin?',
    cause: error,
  })
}

function parse<T>({ status, headers }: Response, text: string): T {
  try {
    return JSON.parse(text) as T
  } catch (cause) {
    throw new CairnClientError('The answer is no JSON.', {
      code: 'answer_cut',
      status,
      hint: 'Is it the service that answers at this address?',
      requestId: headers.get('x-request-id') ?? undefined,
      cause,
    })
  }
}
