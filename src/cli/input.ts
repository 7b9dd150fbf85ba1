/** Reading a file, or stdin for "-". */
import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import { CairnError, throwIfAborted } from '../errors.ts'

const CHUNK_BYTES = 256 * 1024

export interface Input {
  readonly chunks: AsyncIterable<Uint8Array>
  /** Frees the file; a read under way fails. */
  readonly close: () => void
}

export function openInput(path: string, signal: AbortSignal): Input {
  const stream: Readable =
    path === '-' ? process.stdin : createReadStream(path, { highWaterMark: CHUNK_BYTES })
  const close = (): void => {
    signal.removeEventListener('abort', close)
    stream.destroy()
  }
  signal.addEventListener('abort', close)
  return { chunks: chunksOf(stream, path, signal), close }
}

async function* chunksOf(
  stream: Readable,
  path: string,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  try {
    throwIfAborted(signal)
    for await (const chunk of stream) yield chunk as Uint8Array
  } catch (cause) {
    throwIfAborted(signal)
    throw fileError(cause, path, 'read')
  }
  throwIfAborted(signal)
}

/** What the system said of a file, as one of our errors. */
export function fileError(cause: unknown, path: string, doing: 'read' | 'written'): CairnError {
  if (cause instanceof CairnError) return cause
  const name = path === '-' ? 'Standard input' : `The file ${path}`
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  const message = (why: string): string => `${name} cannot be ${doing}: ${why}.`
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    const why = doing === 'read' ? 'there is none' : 'there is no such folder'
    return new CairnError('usage', message(why), {
      hint: 'Check the path.',
      path,
      cause,
    })
  }
  if (code === 'EISDIR') {
    return new CairnError('usage', message('it is a folder'), { hint: 'Name a file.', path, cause })
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    const hint = 'Check who may use it, or run as its owner.'
    return new CairnError('access_denied', message('this user may not'), { hint, path, cause })
  }
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    const hint = 'Free some space on its disk and try again.'
    return new CairnError('no_space', message('the disk is full'), { hint, path, cause })
  }
  if (code === 'EMFILE' || code === 'ENFILE') {
    const hint = 'Raise the limit of open files (`ulimit -n`), then try again.'
    return new CairnError('config', message('too many files are open'), { hint, path, cause })
  }
  const why = cause instanceof Error ? cause.message : String(cause)
  return new CairnError('internal', message(why), {
    hint: 'Check the path and its disk.',
    path,
    cause,
  })
}
