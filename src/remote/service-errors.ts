/** What another service answers, or does not, as errors of ours. */
import { isClientError, type CairnClientError } from '../client/error.ts'
import { CairnError, ERROR_CODES, type ErrorCode } from '../errors.ts'

export async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (isClientError(error)) throw asCairnError(error)
    throw error
  }
}

const OURS: Readonly<Record<string, ErrorCode>> = {
  unreachable: 'backend_unavailable',
  answer_cut: 'backend_unavailable',
  timeout: 'backend_timeout',
}

function asCairnError(error: CairnClientError): CairnError {
  const { code, hint, message, cause } = error
  const known = Object.keys(ERROR_CODES).find((one): one is ErrorCode => one === code)
  const why = innermost(cause)
  const said =
    code === 'unreachable' && why !== '' ? `The service does not answer: ${why}.` : message
  return new CairnError(known ?? OURS[code] ?? 'backend_refused', said, {
    hint: hintOf(code) ?? hint ?? 'Is it a Cairn service that answers at this address?',
    cause: error,
  })
}

function hintOf(code: string): string | undefined {
  if (code === 'unreachable') return 'Does `cairn serve` run, and is this its address?'
  if (code !== 'unauthenticated') return undefined
  return 'Give a token by --token-file or CAIRN_TOKEN.'
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
