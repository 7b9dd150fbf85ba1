/** How a file is cut into parts, and by which checksums what arrived is recognised. Pure. */
import { createHash } from 'node:crypto'

const MIB = 1 << 20
/** So much of memory each part takes that is on its way. */
const PART_BYTES = 8 * MIB
/** What S3 allows. */
const MOST_PARTS = 10_000

export interface Part {
  /** From 1 on. */
  readonly number: number
  readonly from: number
  readonly size: number
}

/** The same for the same size, so that an upload that was cut off is gone on with. */
export function partsOf(size: number): Part[] {
  const each = Math.max(PART_BYTES, Math.ceil(size / MOST_PARTS / MIB) * MIB)
  return Array.from({ length: Math.max(1, Math.ceil(size / each)) }, (_, i) => ({
    number: i + 1,
    from: i * each,
    size: Math.min(each, size - i * each),
  }))
}

export const digestOf = (bytes: Uint8Array): string =>
  createHash('sha256').update(bytes).digest('base64')

/** What a server says of an object whose parts have these digests; of a single part that was put as a whole. */
export function checksumOf(digests: readonly string[]): string {
  const [only = ''] = digests
  if (digests.length === 1) return only
  const hash = createHash('sha256')
  for (const digest of digests) hash.update(Buffer.from(digest, 'base64'))
  return `${hash.digest('base64')}-${digests.length}`
}
