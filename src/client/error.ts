/** The one error of the client: what the service has said, or why there is no answer of it. */

export interface ErrorFacts {
  /** Of docs/ERRORS.md; or `unreachable`, `timeout`, `answer_cut`, `bad_answer`, `job_cancelled`. */
  readonly code: string
  /** Of HTTP; 0 where there was no answer. */
  readonly status?: number
  readonly hint?: string | undefined
  /** Typed particulars, such as `pi`, `current_ver`, `cid`. */
  readonly details?: Readonly<Record<string, unknown>>
  /** Leads to the line in the log of the service. */
  readonly requestId?: string | undefined
  readonly retryAfterMs?: number | undefined
  readonly uncertain?: boolean
  readonly cause?: unknown
}

export class CairnClientError extends Error {
  override readonly name = 'CairnClientError'
  readonly code: string
  readonly status: number
  readonly hint: string | undefined
  readonly details: Readonly<Record<string, unknown>>
  readonly requestId: string | undefined
  readonly retryAfterMs: number | undefined
  /** A write may have taken effect all the same. The very same write may be sent again if it names versions. */
  readonly uncertain: boolean

  constructor(message: string, facts: ErrorFacts) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause })
    this.code = facts.code
    this.status = facts.status ?? 0
    this.hint = facts.hint
    this.details = facts.details ?? {}
    this.requestId = facts.requestId
    this.retryAfterMs = facts.retryAfterMs
    this.uncertain = facts.uncertain ?? false
  }
}

export function isClientError(error: unknown, code?: string): error is CairnClientError {
  return error instanceof CairnClientError && (code === undefined || error.code === code)
}

/** The same error, with another word on whether its write took effect. */
export function withUncertain(error: CairnClientError, uncertain: boolean): CairnClientError {
  if (error.uncertain === uncertain) return error
  const { code, status, hint, details, requestId, retryAfterMs, cause } = error
  return new CairnClientError(error.message, {
    code,
    status,
    hint,
    details,
    requestId,
    retryAfterMs,
    uncertain,
    cause,
  })
}

/** What stands in a problem beside its particulars. */
const COMMON = new Set(['type', 'title', 'status', 'code', 'detail', 'hint', 'instance'])

/** An answer that is no success, as an error; its body may be of someone in between. */
export function errorOf(response: Response, text: string): CairnClientError {
  const problem = problemOf(text)
  const textOf = (name: string): string | undefined => {
    const value = problem[name]
    return typeof value === 'string' ? value : undefined
  }
  const { status, headers } = response
  const details = Object.entries(problem).filter(([name]) => !COMMON.has(name))
  return new CairnClientError(textOf('detail') ?? `The answer has the status ${status}.`, {
    code: textOf('code') ?? 'bad_answer',
    status,
    hint: textOf('hint'),
    details: Object.fromEntries(details),
    requestId: headers.get('x-request-id') ?? textOf('instance'),
    retryAfterMs: retryAfter(headers.get('retry-after')),
  })
}

function problemOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}

/** Seconds, or a date. */
function retryAfter(header: string | null): number | undefined {
  if (header === null) return undefined
  const seconds = /^\d{1,9}$/.test(header) ? Number(header) : undefined
  const ms = seconds === undefined ? Date.parse(header) - Date.now() : seconds * 1000
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined
}
