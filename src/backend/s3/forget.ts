/**
 * Forgetting commits: their blocks go into packs, then the floor is raised, durably, and only then are
 * they deleted; each when the one behind it is so old that no writer can still believe that its number
 * is free (see commit.ts). What is too young for that goes the next time.
 */
import type { Bucket, RequestOptions } from '../../s3/bucket.ts'
import type { CommitLog } from './commit-log.ts'
import { commitsOf, floorKey, floorsOf, numberOf } from './layout.ts'

/** Raises the floor; answers what it is now. `fold` puts the blocks of the commits up to a number into packs. */
export async function raiseFloor(
  bucket: Bucket,
  log: CommitLog,
  dataset: string,
  below: number,
  fold: (upTo: number) => Promise<void>,
  options?: RequestOptions,
): Promise<number> {
  const head = await log.advance(dataset, options)
  const floor = await log.floor(dataset, options)
  // Never the newest two.
  const target = Math.min(below, (head?.number ?? 0) - 1)
  if (target <= floor) return floor
  if (target - 1 > log.foldedOf(dataset)) await fold(target - 1)
  await bucket.put(floorKey(dataset, target), new Uint8Array(0), options)
  return await log.floor(dataset, options)
}

/** Deletes the commits below the floor that are old enough, and the lower floors. */
export async function deleteForgotten(
  bucket: Bucket,
  dataset: string,
  floor: number,
  oldEnough: (modified: number) => boolean,
  options?: RequestOptions,
): Promise<void> {
  for await (const { objects } of bucket.pages(commitsOf(dataset), options)) {
    const some = objects.filter(({ key }) => (numberOf(key) ?? floor) < floor)
    const old = some.filter((_, i) => oldEnough(some[i + 1]?.modified ?? Infinity))
    await bucket.delete(
      old.map(({ key }) => key),
      options,
    )
    if (some.length < objects.length) break
  }
  const { objects: floors } = await bucket.list(floorsOf(dataset), options)
  const lower = floors.filter(
    ({ key }) => key !== floorKey(dataset, floor) && (numberOf(key) ?? floor) < floor,
  )
  await bucket.delete(
    lower.map(({ key }) => key),
    options,
  )
}
