/** Reading a file, or stdin for "-". */
import { createReadStream, statSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { throwIfAborted } from '../errors.ts'
import { fileError } from '../util/file-error.ts'

const CHUNK_BYTES = 256 * 1024

export interface Input {
  readonly chunks: AsyncIterable<Uint8Array>
  /** How much of it was read, and of a file how much there is. */
  readonly read: () => { readonly done: number; readonly total?: number; readonly unit: 'bytes' }
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
  const size = path === '-' ? undefined : sizeOf(path)
  let done = 0
  const count = (chunk: Uint8Array): void => void (done += chunk.length)
  return {
    chunks: chunksOf(stream, path, signal, count),
    read: () => ({ done, unit: 'bytes', ...(size === undefined ? {} : { total: size }) }),
    close,
  }
}

/** Of a pipe, or of what cannot be read, there is none. */
function sizeOf(path: string): number | undefined {
  try {
    const stats = statSync(path)
    return stats.isFile() ? stats.size : undefined
  } catch {
    return undefined
  }
}

async function* chunksOf(
  stream: Readable,
  path: string,
  signal: AbortSignal,
  count: (chunk: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  try {
    throwIfAborted(signal)
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      count(chunk)
      yield chunk
    }
  } catch (cause) {
    throwIfAborted(signal)
    throw fileError(cause, path, 'read')
  }
  throwIfAborted(signal)
}
