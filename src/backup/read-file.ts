/** Reading a file that is open, whole: its bytes, or their hash. */
import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import type { LongOptions } from '../engine/context.ts'
import { CairnError, throwIfAborted } from '../errors.ts'

const READ_BYTES = 1 << 20

/** All bytes of a file, in parts that are good until the next is asked for. */
export async function* readAll(file: FileHandle, size: number): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(Math.min(READ_BYTES, Math.max(1, size)))
  for (let at = 0; at < size;) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, size - at), at)
    if (bytesRead === 0) {
      throw new CairnError('invalid_car', `A file of ${size} bytes ended after ${at}.`, {
        hint: 'It was changed meanwhile; try again.',
      })
    }
    yield buffer.subarray(0, bytesRead)
    at += bytesRead
  }
}

/** The sha2-256 of the first `size` bytes, in hexadecimal; `step` is what its progress is told as. */
export async function hashAll(
  file: FileHandle,
  size: number,
  step: string,
  { signal, onProgress }: LongOptions = {},
): Promise<string> {
  const hash = createHash('sha256')
  let done = 0
  for await (const part of readAll(file, size)) {
    throwIfAborted(signal)
    hash.update(part)
    done += part.length
    onProgress?.({ step, done, total: size, unit: 'bytes' })
  }
  return hash.digest('hex')
}
