/**
 * What another service answers, or does not, as errors of ours. Their texts come from outside: none of them stands in
 * an error, or in what caused it, but as `shown` gives it.
 */
import { CairnClientError, isClientError } from '../client/error.ts'
import { CairnError, ERROR_CODES, isCairnError, type ErrorCode } from '../errors.ts'
import { shown } from './token.ts'

/** `work` asks a service, and reads what it answers. */
export async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (isClientError(error)) throw asCairnError(error)
    if (isCairnError(error)) throw refused(error)
    throw error
  }
}

const OURS: ReadonlyMap<string, ErrorCode> = new Map([
  ['unreachable', 'backend_unavailable'],
  ['answer_cut', 'backend_unavailable'],
  ['timeout', 'backend_timeout'],
])

/** Of someone in between, such as a proxy whose service is starting anew: it passes. */
const BETWEEN: ReadonlyMap<number, ErrorCode> = new Map([
  [429, 'rate_limited'],
  [502, 'backend_unavailable'],
  [503, 'backend_unavailable'],
  [504, 'backend_unavailable'],
])

function asCairnError(error: CairnClientError): CairnError {
  const { code, hint, status, message, cause } = error
  const why = innermost(cause)
  const said =
    code === 'unreachable' && why !== '' ? `The service does not answer: ${why}.` : message
  const known = codeOf(code) ?? OURS.get(code)
  const between = known === undefined ? BETWEEN.get(status) : undefined
  return new CairnError(known ?? between ?? 'backend_refused', shown(said), {
    hint: hintOf(code, between) ?? shown(hint ?? HINT),
    cause: withoutSecrets(error),
  })
}

const HINT = 'Is it a Cairn service that answers at this address?'

const codeOf = (code: string): ErrorCode | undefined =>
  Object.keys(ERROR_CODES).find((one): one is ErrorCode => one === code)

function hintOf(code: string, between: ErrorCode | undefined): string | undefined {
  if (code === 'unreachable') return 'Does `cairn serve` run, and is this its address?'
  if (code === 'unauthenticated') return 'Give a token by --token-file or CAIRN_TOKEN.'
  if (between === undefined) return undefined
  return 'It is no answer of Cairn: see whether the service runs, behind the proxy at this address.'
}

/** Its own causes and particulars are not shown anywhere, and may quote an answer. */
function withoutSecrets(error: CairnClientError): CairnClientError {
  const { code, status, hint, requestId, retryAfterMs, uncertain } = error
  return new CairnClientError(shown(error.message), {
    code: shown(code),
    status,
    hint: hint === undefined ? undefined : shown(hint),
    requestId: requestId === undefined ? undefined : shown(requestId),
    retryAfterMs,
    uncertain,
    cause: code === 'aborted' ? error.cause : undefined,
  })
}

/** An answer that could not be read, which the error may quote. */
function refused({ code, message, hint }: CairnError): CairnError {
  return new CairnError(code, shown(message), hint === undefined ? {} : { hint: shown(hint) })
}

/** `fetch failed` says nothing; what it was caused by does. */
function innermost(cause: unknown): string {
  let said = ''
  for (let one = cause, depth = 0; one instanceof Error && depth < 5; one = one.cause, depth++) {
    const code = 'code' in one && typeof one.code === 'string' ? one.code : ''
    said = one.message === '' ? code : one.message
  }
  return said
}
