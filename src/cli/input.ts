/** Reading a file, or stdin for "-". */
import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import { throwIfAborted } from '../errors.ts'
import { fileError } from '../util/file-error.ts'

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
