/** A file as the sink of a CAR. */
import type { FileHandle } from 'node:fs/promises'
import { CairnError } from '../errors.ts'
import type { CarSink } from './writer.ts'

/** Writes to `file` from `position` on; `position` moves on with it. */
export class FileSink implements CarSink {
  position: number
  readonly #file: FileHandle

  constructor(file: FileHandle, position = 0) {
    this.#file = file
    this.position = position
  }

  async write(chunk: Uint8Array): Promise<void> {
    const from = this.position
    this.position += chunk.length
    await writeFully(this.#file, chunk, from)
  }
}

export async function writeFully(
  file: FileHandle,
  bytes: Uint8Array,
  position: number,
): Promise<void> {
  try {
    for (let done = 0; done < bytes.length;) {
      const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done)
      done += bytesWritten
    }
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    if (code !== 'ENOSPC' && code !== 'EDQUOT') throw cause
    throw new CairnError('no_space', 'There is no space left for the CAR.', {
      hint: 'Free some space, or write it elsewhere.',
      cause,
    })
  }
}
