/**
 * Compaction: many small packs become few. Nothing is freed by it, so it needs no marks; but a sweep may free
 * from what was copied, so it is made under a lease, for which sweeps that begin later wait.
 */
import type { Bucket, EffectOptions, ObjectInfo } from '../../s3/bucket.ts'
import type { CompactedSizes } from '../../store/backend.ts'
import type { Catalog } from './catalog.ts'
import { parsePackKey } from './layout.ts'
import { PACK_BYTES } from './pack.ts'
import type { PackWriter } from './pack-writer.ts'
import { copyLiving } from './repack.ts'

/** Packs that are smaller are put together, when there are some. */
const SMALL_BYTES = PACK_BYTES / 4
const FEW = 4

export async function compactPacks(
  bucket: Bucket,
  catalog: Catalog,
  writer: PackWriter,
  options: EffectOptions = {},
): Promise<CompactedSizes> {
  await catalog.refresh(options)
  const before = catalog.packs.bytes
  const small = (await catalog.list(0, options)).filter(isSmall)
  if (small.length >= FEW) {
    const copied: string[] = []
    for (const { key } of small) {
      if ((await copyLiving(bucket, key, () => true, writer, options)) === 'copied')
        copied.push(key)
    }
    await writer.flush(options)
    // Who still looks for a block in one of these finds it gone, and looks again.
    await bucket.delete(copied, options)
    for (const key of copied) catalog.gone(key)
  }
  return { before, after: catalog.packs.bytes }
}

/** Healed blocks stay in packs of their own, which go before all others. */
const isSmall = ({ key, size }: ObjectInfo): boolean =>
  size < SMALL_BYTES && parsePackKey(key)?.healed === false
