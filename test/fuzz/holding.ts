/** A bucket that is asked without a server. */
import type { Bucket, ObjectInfo } from '../../src/s3/bucket.ts'

export const NOW = 1_800_000_000_000

/** Lists these objects; every key holds the same bytes. */
export function holding(bytes: Uint8Array, objects: readonly ObjectInfo[] = []): Bucket {
  const object = { bytes, etag: '"1"', size: bytes.length, modified: NOW }
  const bucket: Partial<Bucket> = {
    location: 's3://bucket',
    get: async () => object,
    getRange: async () => object,
    list: async () => ({ objects, folders: [] }),
  }
  return bucket as Bucket
}
