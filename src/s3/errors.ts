/** What a bucket's server says went wrong, as errors of ours. */
import { CairnError, isCairnError } from '../errors.ts'

const RETRYABLE_NAMES = new Set([
  'SlowDown',
  'ServiceUnavailable',
  'InternalError',
  'RequestTimeout',
  'TimeoutError',
  'ThrottlingException',
  'XMinioServerNotInitialized',
  // The library has learned the server's time from this answer, and signs with it from now on.
  'RequestTimeTooSkewed',
])
const KEY_NAMES = new Set(['InvalidAccessKeyId', 'SignatureDoesNotMatch', 'ExpiredToken'])

interface ServerAnswer {
  readonly name: string
  readonly status: number | undefined
}

export function answerOf(error: unknown): ServerAnswer {
  if (typeof error !== 'object' || error === null) return { name: '', status: undefined }
  const name = 'name' in error ? String(error.name) : ''
  const metadata: unknown = '$metadata' in error ? error.$metadata : undefined
  if (typeof metadata !== 'object' || metadata === null) return { name, status: undefined }
  const status = 'httpStatusCode' in metadata ? Number(metadata.httpStatusCode) : undefined
  return { name, status }
}

export const isMissing = (error: unknown): boolean => {
  const { name, status } = answerOf(error)
  return status === 404 && name !== 'NoSuchBucket'
}

/** Somebody has put an object there. */
export const isTaken = (error: unknown): boolean => answerOf(error).status === 412

/** Whether the same request may be answered otherwise a little later. It may have taken effect all the same. */
export function isPassing(error: unknown): boolean {
  if (isCairnError(error))
    return error.code === 'backend_unavailable' || error.code === 'backend_timeout'
  const { name, status } = answerOf(error)
  if (name === 'AbortError') return false
  if (RETRYABLE_NAMES.has(name)) return true
  if (wasDamaged(error)) return true
  if (status === undefined) return !isOurs(error)
  // It does not know what it is asked for, and will not learn it.
  if (status === 501) return false
  return status >= 500 || status === 429 || status === 408 || name === 'ConditionalRequestConflict'
}

/** An answer that does not match its checksum, or is no document: on its way it was cut or changed. */
function wasDamaged(error: unknown): boolean {
  const { status } = answerOf(error)
  const told = error instanceof Error ? error.message : ''
  if (status === undefined || status === 200)
    return /^Checksum mismatch|Deserialization error/.test(told)
  return false
}

/** What went wrong before anything was sent, and would again. */
function isOurs(error: unknown): boolean {
  if (answerOf(error).name === 'CredentialsProviderError') return true
  const told = error instanceof Error ? error.message : ''
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : ''
  return (
    typeof code !== 'string' || (code === '' && !/socket|connection|network|aborted/i.test(told))
  )
}

export function bucketError(error: unknown, location: string, doing: string): CairnError {
  if (isCairnError(error)) return error
  const { name, status } = answerOf(error)
  const told = error instanceof Error ? error.message : String(error)
  const say = (
    code: ConstructorParameters<typeof CairnError>[0],
    message: string,
    hint: string,
  ): CairnError => new CairnError(code, message, { hint, location, cause: error })
  if (name === 'AbortError')
    return new CairnError('aborted', 'The operation was aborted.', { cause: error })
  if (name === 'NoSuchBucket') {
    return say(
      'store_not_found',
      `There is no bucket at ${location}.`,
      'Make it first, or mend the name.',
    )
  }
  if (name === 'CredentialsProviderError') {
    return say(
      'unauthenticated',
      `No keys for ${location} were found.`,
      'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE.',
    )
  }
  if (KEY_NAMES.has(name)) {
    return say(
      'unauthenticated',
      `${location} does not take these keys (${name}).`,
      'Check the keys, their region and the clock.',
    )
  }
  if (name === 'RequestTimeTooSkewed') {
    return say(
      'backend_refused',
      `${location} says that this clock is wrong.`,
      'Set the clock; requests are signed with its time.',
    )
  }
  if (name === 'InvalidObjectState') {
    return say(
      'backend_refused',
      `${location} keeps in an archive what this needs: ${doing}.`,
      'Ask the bucket to bring it back from its storage class first; that may take hours.',
    )
  }
  if (status === 403) {
    return say(
      'access_denied',
      `${location} does not allow ${doing}.`,
      'Cairn needs to get, put, delete and list in the bucket.',
    )
  }
  if (name === 'TimeoutError') {
    return say(
      'backend_timeout',
      `${location} did not answer in time: ${doing}.`,
      'Is the server busy, or the way to it slow?',
    )
  }
  if (isPassing(error)) {
    return say(
      'backend_unavailable',
      `${location} cannot be reached or is busy: ${doing}: ${told}`,
      'Is the address right, and the server up?',
    )
  }
  return say(
    'backend_refused',
    `${location} refused ${doing}: ${name} ${told}`,
    'The server’s own log says more.',
  )
}
