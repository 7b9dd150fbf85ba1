/**
 * Every error that leaves Cairn has a code from this table. The table is the only place that maps a
 * code to an exit code and an HTTP status; `docs/ERRORS.md` describes each code and a test compares.
 */
export const ERROR_CODES = {
  usage: { exit: 2, http: 400 },
  config: { exit: 2, http: 500 },
  invalid_entry: { exit: 2, http: 422 },
  invalid_content: { exit: 2, http: 422 },
  invalid_cursor: { exit: 2, http: 400 },
  too_large: { exit: 2, http: 413 },
  not_found: { exit: 10, http: 404 },
  history_gone: { exit: 10, http: 410 },
  dataset_not_found: { exit: 10, http: 404 },
  store_not_found: { exit: 10, http: 404 },
  busy: { exit: 11, http: 409 },
  access_denied: { exit: 12, http: 403 },
  unauthenticated: { exit: 12, http: 401 },
  method_not_allowed: { exit: 2, http: 405 },
  range_impossible: { exit: 2, http: 416 },
  unsupported_media: { exit: 2, http: 415 },
  not_acceptable: { exit: 2, http: 406 },
  not_implemented: { exit: 2, http: 501 },
  precondition_failed: { exit: 13, http: 412 },
  rate_limited: { exit: 11, http: 429 },
  overloaded: { exit: 11, http: 503 },
  deadline_exceeded: { exit: 17, http: 504 },
  conflict: { exit: 13, http: 409 },
  replica: { exit: 13, http: 409 },
  fenced: { exit: 13, http: 409 },
  chain_full: { exit: 13, http: 429 },
  commit_unknown: { exit: 14, http: 500 },
  no_space: { exit: 15, http: 507 },
  invalid_block: { exit: 4, http: 500 },
  block_mismatch: { exit: 4, http: 500 },
  block_missing: { exit: 5, http: 500 },
  content_missing: { exit: 5, http: 422 },
  invalid_car: { exit: 4, http: 422 },
  base_missing: { exit: 5, http: 409 },
  damage_found: { exit: 4, http: 500 },
  blocks_missing: { exit: 5, http: 500 },
  pointer_damaged: { exit: 4, http: 500 },
  store_changed: { exit: 4, http: 500 },
  format_unsupported: { exit: 4, http: 500 },
  hook_failed: { exit: 16, http: 500 },
  offsite_failed: { exit: 19, http: 502 },
  backend_unavailable: { exit: 17, http: 503 },
  backend_timeout: { exit: 17, http: 504 },
  not_replicated: { exit: 17, http: 504 },
  backend_refused: { exit: 17, http: 502 },
  unhealthy: { exit: 18, http: 503 },
  aborted: { exit: 130, http: 499 },
  closed: { exit: 1, http: 503 },
  internal: { exit: 1, http: 500 },
} as const

export type ErrorCode = keyof typeof ERROR_CODES

export interface ErrorDetails {
  /** What the reader of the message can do next. */
  readonly hint?: string
  readonly cause?: unknown
  /** Typed particulars, such as `cid`, `pi`, `expected`, `actual`, `path`. */
  readonly [detail: string]: unknown
}

export class CairnError extends Error {
  override readonly name = 'CairnError'
  readonly code: ErrorCode
  readonly hint: string | undefined
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: ErrorCode, message: string, info: ErrorDetails = {}) {
    const { hint, cause, ...details } = info
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    this.hint = hint
    this.details = details
  }

  get exitCode(): number {
    return ERROR_CODES[this.code].exit
  }

  get httpStatus(): number {
    return ERROR_CODES[this.code].http
  }

  toJSON(): Record<string, unknown> {
    return {
      code: this.code,
      message: this.message,
      ...(this.hint === undefined ? {} : { hint: this.hint }),
      ...this.details,
    }
  }
}

export function isCairnError(error: unknown, code?: ErrorCode): error is CairnError {
  return error instanceof CairnError && (code === undefined || error.code === code)
}

/** Anything that was thrown, as a CairnError: an abort stays an abort, the unforeseen is `internal`. */
export function toCairnError(error: unknown): CairnError {
  if (error instanceof CairnError) return error
  if (error instanceof Error && error.name === 'AbortError') {
    return new CairnError('aborted', 'The operation was aborted.', { cause: error })
  }
  const message = error instanceof Error ? error.message : String(error)
  return new CairnError('internal', message, { cause: error })
}

/** For what cannot happen unless Cairn itself is wrong. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new CairnError('internal', `assertion failed: ${message}`)
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) {
    throw new CairnError('aborted', 'The operation was aborted.', { cause: signal.reason })
  }
}
