/**
 * Whether a copy holds the bytes that its sidecar tells of. A push gives each object the CAR's sha256 and size,
 * and proves it before its sidecar is there; whoever overwrites it later leaves other marks, or none. Then only
 * the bytes tell.
 */
import type { Backup } from '../backup/folder.ts'
import type { Sidecar } from '../backup/sidecar.ts'
import type { LongOptions } from '../engine/context.ts'
import { isCairnError } from '../errors.ts'
import type { Bucket, ObjectHead } from '../s3/bucket.ts'
import { partsOf } from './parts.ts'
import { hashCopy, notTheCar } from './read-car.ts'

/** The names of what a push says of a CAR and looks for again. */
export const SHA256_MARK = 'cairn-sha256'
export const SIZE_MARK = 'cairn-size'

/** Whether the object is the one that a push has proved, by what the server says of it. */
export function isMarked({ size, metadata, sha256 }: ObjectHead, sidecar: Sidecar): boolean {
  return (
    size === sidecar.size_bytes &&
    metadata[SIZE_MARK] === String(size) &&
    metadata[SHA256_MARK] === sidecar.sha256 &&
    (sha256 === '' || fits(sha256, sidecar))
  )
}

/** The checksum of an object in parts is of their digests, which no sidecar has: their number has to do. */
function fits(checksum: string, { sha256, size_bytes }: Sidecar): boolean {
  const { length } = partsOf(size_bytes)
  return length === 1
    ? checksum === Buffer.from(sha256, 'hex').toString('base64')
    : checksum.endsWith(`-${length}`)
}

/** Why it does not; undefined where it does. Of a bucket that does not answer nothing is said: that rejects. */
export async function flawOfCopy(
  bucket: Bucket,
  { paths, sidecar }: Backup,
  { signal, onProgress }: LongOptions,
): Promise<string | undefined> {
  const head = await bucket.head(paths.car, { signal })
  if (head === undefined) return `The copy ${paths.car} is gone.`
  // Without a checksum the server may not have looked at what it took.
  if (head.sha256 !== '' && isMarked(head, sidecar)) return undefined
  const { size_bytes: total, sha256 } = sidecar
  let done = 0
  const onBytes = (count: number): void => {
    done += count
    onProgress?.({ step: 'prove', done, total, unit: 'bytes' })
  }
  try {
    const found = await hashCopy(bucket, paths.car, total, { signal, onBytes })
    return found === sha256 ? undefined : notTheCar(paths.car).message
  } catch (error) {
    if (isCairnError(error, 'invalid_car')) return error.message
    throw error
  }
}
