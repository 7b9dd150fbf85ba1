/**
 * When a request is sent again. `always` is for requests that have the same effect however often they come:
 * reads, and writes that name their version (see write.ts). `unbegun` is for all else: they are sent again
 * only when it is certain that nothing was begun.
 *
 * Never after an answer of 4xx, but for 429 `rate_limited`, which says when to come again.
 */
import { CairnClientError, isClientError, withUncertain } from './error.ts'

export type Retry = 'always' | 'unbegun'

export interface RetryPolicy {
  /** How often a request is sent again. */
  readonly retries: number
  /** For all attempts together, waits included. */
  readonly deadlineMs: number
  /** For one attempt, up to its answer. */
  readonly timeoutMs: number
  /** From 0 to 1. */
  readonly random: () => number
}

export interface Retried {
  readonly retry: Retry
  /** Whether it can have an effect. */
  readonly writes: boolean
  readonly signal?: AbortSignal | undefined
  /** So much longer than others an attempt may take. */
  readonly patienceMs?: number | undefined
}

const FIRST_MS = 100
const MOST_MS = 5000

/** The time until the next attempt: random, so that those who failed together do not come back together. */
export function backOff(attempt: number, random: () => number, leastMs = 0): number {
  const most = Math.min(MOST_MS, FIRST_MS * 2 ** attempt)
  return leastMs + most * (0.5 + random() / 2)
}

/** Nothing of the request was begun. */
function isUnbegun(error: CairnClientError): boolean {
  if (error.code === 'rate_limited' || error.code === 'overloaded') return true
  return error.code === 'unreachable' && NO_CONNECTION.has(causeCode(error.cause))
}

/** Of Node: no connection was made. Browsers do not tell. */
const NO_CONNECTION = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT'])

function causeCode(cause: unknown): string {
  const { code, cause: inner } = (cause ?? {}) as { code?: unknown; cause?: unknown }
  if (typeof code === 'string') return code
  return inner === undefined ? '' : causeCode(inner)
}

const LOST = new Set(['unreachable', 'timeout', 'answer_cut'])

/** It may go better the next time. */
export function isPassing(error: CairnClientError): boolean {
  if (LOST.has(error.code) || error.code === 'commit_unknown') return true
  if (error.code === 'backend_refused') return false
  return error.code === 'rate_limited' || [502, 503, 504].includes(error.status)
}

/** It may have had its effect, although it failed. */
function maybeDone(error: CairnClientError): boolean {
  if (isUnbegun(error)) return false
  return error.status < 400 || (error.status >= 500 && error.code !== 'no_space')
}

/**
 * Runs `attempt` until it succeeds or may not be made again. What it throws at last says whether any of the
 * attempts may have taken effect.
 */
export async function retrying<T>(
  { retries, deadlineMs, timeoutMs, random }: RetryPolicy,
  { retry, writes, signal, patienceMs = 0 }: Retried,
  attempt: (limitMs: number) => Promise<T>,
): Promise<T> {
  const deadline = Date.now() + deadlineMs + patienceMs
  let uncertain = false
  for (let made = 0; ; made++) {
    try {
      return await attempt(Math.max(1, Math.min(timeoutMs + patienceMs, deadline - Date.now())))
    } catch (error) {
      if (!isClientError(error)) throw error
      uncertain ||= writes && maybeDone(error)
      const again = retry === 'always' ? isPassing(error) : isUnbegun(error)
      const wait = backOff(made, random, error.retryAfterMs)
      if (!again || made >= retries || Date.now() + wait >= deadline)
        throw withUncertain(error, uncertain)
      await pause(wait, signal).catch((aborted: CairnClientError) => {
        throw withUncertain(aborted, uncertain)
      })
    }
  }
}

/** Ends early, with `aborted`, when `signal` does. */
export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer)
      reject(aborted(signal))
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop)
      resolve()
    }, ms)
    if (signal?.aborted === true) stop()
    else signal?.addEventListener('abort', stop, { once: true })
  })
}

export function aborted(signal: AbortSignal | undefined): CairnClientError {
  return new CairnClientError('The call was aborted.', { code: 'aborted', cause: signal?.reason })
}
