/** What a bucket says of itself, and what it was asked since it was opened. */
import type { Bucket, RequestOptions } from '../../s3/bucket.ts'
import type { StoreStatus } from '../../store/backend.ts'
import type { Catalog } from './catalog.ts'
import { FORMAT } from './fitness.ts'

export async function storeStatus(
  bucket: Bucket,
  catalog: Catalog,
  options?: RequestOptions,
): Promise<StoreStatus> {
  await catalog.refresh(options)
  const { count, bytes } = catalog.packs
  const { requests, bytesIn, bytesOut } = bucket.counts
  return {
    synced: undefined,
    sizeBytes: bytes,
    freeBytes: undefined,
    notes: [],
    details: {
      location: bucket.location,
      format: FORMAT,
      packs: count,
      ...Object.fromEntries(Object.entries(requests).map(([kind, n]) => [`requests_${kind}`, n])),
      bytes_in: bytesIn,
      bytes_out: bytesOut,
    },
  }
}
