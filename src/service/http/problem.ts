/**
 * Errors as `application/problem+json` (RFC 9457). Codes and statuses are those of `src/errors.ts`.
 * An answer says nothing of the inside: what is a fault of ours has a fixed text, and its request id
 * leads to the log.
 */
import { CairnError, isCairnError, toCairnError, type ErrorCode } from '../../errors.ts'
import { printCid } from '../../model/cid.ts'

export const PROBLEM_TYPE = 'application/problem+json'

export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code: ErrorCode
  readonly detail: string
  readonly hint?: string
  /** The id of the request, as in the log and in X-Request-Id. */
  readonly instance: string
  readonly [detail: string]: unknown
}

/** What Fastify and its plugins throw. */
interface HttpError extends Error {
  readonly code?: string
  readonly statusCode?: number
  readonly validation?: readonly ValidationFault[]
  readonly validationContext?: string
}

interface ValidationFault {
  readonly instancePath: string
  readonly keyword: string
  readonly message?: string
  readonly params?: Readonly<Record<string, unknown>>
}

/** Codes whose messages name files, settings or faults of this program. */
const INSIDE: ReadonlySet<ErrorCode> = new Set(['internal', 'config'])

const INSIDE_TEXT = 'The service failed to answer.'
const INSIDE_HINT = 'Its log says why, under the id of this request.'

/** Particulars that would tell of the machine. */
const HIDDEN =
  /path|file|folder|dir|origin|setting|stack|command|^(?:type|title|status|detail|instance)$/i

export function problemOf(
  error: CairnError,
  id: string,
  status: number = error.httpStatus,
): Problem {
  const inside = INSIDE.has(error.code)
  const hint = inside ? INSIDE_HINT : error.hint
  return {
    type: `/errors/${error.code}`,
    title: titleOf(error.code),
    status,
    code: error.code,
    detail: inside ? INSIDE_TEXT : error.message,
    ...(hint === undefined ? {} : { hint }),
    instance: id,
    ...(inside ? {} : shownDetails(error.details)),
  }
}

function titleOf(code: ErrorCode): string {
  const words = code.replaceAll('_', ' ')
  return `${words.slice(0, 1).toUpperCase()}${words.slice(1)}`
}

/** CIDs as texts; what is neither text nor number stays inside. */
function shownDetails(details: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const shown: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(details)) {
    if (HIDDEN.test(name)) continue
    if (value instanceof Uint8Array) shown[name] = cidText(value)
    else if (value === null || ['string', 'number', 'boolean'].includes(typeof value)) {
      shown[name] = value
    }
  }
  return shown
}

function cidText(bytes: Uint8Array): string | null {
  try {
    return printCid(bytes)
  } catch {
    return null
  }
}

/** Anything that a handler, a hook or Fastify has thrown, as one of our errors. */
export function errorOf(thrown: unknown): CairnError {
  if (isCairnError(thrown)) return thrown
  if (!(thrown instanceof Error)) return toCairnError(thrown)
  const error = thrown as HttpError
  if (error.validation !== undefined) return invalid(error)
  const status = error.statusCode ?? 500
  if (status === 413 || status === 414) {
    return new CairnError('too_large', 'The request is too large.', {
      hint: 'Send it in smaller pieces; body_limit and upload_limit are settings of the service.',
      cause: error,
    })
  }
  if (status === 415) {
    return new CairnError('unsupported_media', 'A body of this type is not taken here.', {
      hint: 'Send application/json, or what the API document names.',
      cause: error,
    })
  }
  if (status >= 400 && status < 500) return unreadable(error)
  return toCairnError(error)
}

function unreadable(error: HttpError): CairnError {
  const json = error instanceof SyntaxError || error.code?.includes('JSON') === true
  return new CairnError('usage', json ? 'The body is no JSON.' : 'The request cannot be read.', {
    hint: json
      ? 'Send one JSON document in UTF-8.'
      : 'Check the address, the headers and the body.',
    cause: error,
  })
}

const PARTS: Readonly<Record<string, string>> = {
  body: 'body',
  querystring: 'query',
  params: 'address',
  headers: 'headers',
}

/** A validator's complaint with the place that it is about. */
function invalid({ validation = [], validationContext = 'body' }: HttpError): CairnError {
  const [fault] = validation
  const part = PARTS[validationContext] ?? validationContext
  const place = `${part}${placeOf(fault)}`
  const what = fault?.message ?? 'is not as it should be'
  return new CairnError('usage', `In the request, ${place} ${what}.`, {
    hint: 'The API document (/openapi.json) says what each field may be.',
    place,
  })
}

/** Ajv names the object that lacks a field or has one too many; people look for the field. */
function placeOf(fault: ValidationFault | undefined): string {
  if (fault === undefined) return ''
  const field = fault.params?.['additionalProperty'] ?? fault.params?.['missingProperty']
  const path = fault.instancePath.replaceAll('/', '.')
  return typeof field === 'string' ? `${path}.${field.slice(0, 100)}` : path.slice(0, 300)
}
