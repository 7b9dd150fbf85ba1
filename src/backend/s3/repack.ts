/** Copying the blocks that stay out of packs that will go. */
import type { Bucket, RequestOptions } from '../../s3/bucket.ts'
import { isWhole, LARGEST_OBJECT, readPack } from './pack.ts'
import type { Section } from './pack-builder.ts'
import type { PackWriter } from './pack-writer.ts'

/**
 * Copies those blocks of a pack that `stays` names. `damaged`: a block of it is, and perhaps somebody can mend it, so the
 * pack must stay as it is. `gone`: it was deleted meanwhile.
 */
export async function copyLiving(
  bucket: Bucket,
  key: string,
  stays: (section: Section) => boolean,
  writer: PackWriter,
  options?: RequestOptions,
): Promise<'copied' | 'damaged' | 'gone'> {
  const got = await bucket.get(key, { ...options, limit: LARGEST_OBJECT })
  if (got === undefined) return 'gone'
  const { packed, end } = readPack(got.bytes, key)
  if (!end || !packed.every(isWhole)) return 'damaged'
  const living = packed.filter(({ section }) => stays(section))
  await writer.put(
    living.map(({ block }) => block),
    options,
  )
  return 'copied'
}
