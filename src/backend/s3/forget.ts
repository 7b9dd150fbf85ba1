/**
 * Forgetting commits: their blocks go into packs, then the floor is raised, durably, and only then are
 * they deleted; each when the one behind it is so old that no writer can still believe that its number
 * is free (see commit.ts). What is too young for that goes the next time.
 */
import type { Bucket, RequestOptions } from '../../s3/bucket.ts'
import type { CommitLog } from './commit-log.ts'
import { commitsOf, numberOf } from './layout.ts'

/** Raises the floor; answers what it is now. `fold` puts the blocks of the commits up to a number into packs. */
export async function raiseFloor(
  log: CommitLog,
  dataset: string,
  below: number,
  fold: (upTo: number) => Promise<void>,
  options?: RequestOptions,
): Promise<number> {
  const head = await log.advance(dataset, options)
  const { floor, folded } = await log.marks(dataset, options)
  // Never the newest two.
  const target = Math.min(below, (head?.number ?? 0) - 1)
  if (target <= floor) return floor
  if (target - 1 > folded) await fold(target - 1)
  await log.mark(dataset, 'floor', target, options)
  return target
}

/** Deletes the commits below the floor that are old enough. */
export async function deleteForgotten(
  bucket: Bucket,
  dataset: string,
  floor: number,
  oldEnough: (modified: number) => boolean,
  options?: RequestOptions,
): Promise<void> {
  for await (const { objects } of bucket.pages(commitsOf(dataset), options)) {
    const isBelow = (key: string): boolean => (numberOf(key) ?? floor) < floor
    const old = objects.filter(
      ({ key }, i) => isBelow(key) && oldEnough(objects[i + 1]?.modified ?? Infinity),
    )
    await bucket.delete(
      old.map(({ key }) => key),
      options,
    )
    if (!isBelow(objects.at(-1)?.key ?? '')) break
  }
}
