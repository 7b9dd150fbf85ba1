/** Whether the CAR of a backup holds the bytes that its sidecar tells of. */
import { open } from 'node:fs/promises'
import type { LongOptions } from '../engine/context.ts'
import { throwIfAborted, toCairnError } from '../errors.ts'
import type { Backup } from './folder.ts'
import { hashAll } from './read-file.ts'

/** Why it does not; undefined where it does. What cannot be read is no backup either. */
export async function flawOf(
  { paths, sidecar }: Backup,
  options: LongOptions,
): Promise<string | undefined> {
  try {
    await using file = await open(paths.car)
    const { size } = await file.stat()
    const isSame =
      size === sidecar.size_bytes &&
      (await hashAll(file, size, 'prove', options)) === sidecar.sha256
    return isSame ? undefined : 'Its bytes are not those that its sidecar tells of.'
  } catch (error) {
    throwIfAborted(options.signal)
    return toCairnError(error).message
  }
}
