/**
 * A change of the dataset past its maps, in line with what is written to them: what was written before comes before
 * it, and it is in memory when it resolves. A save compares with memory, and must not take what was for what is.
 */
import type { Dataset } from '../engine/dataset.ts'
import type { LiveMaps } from '../live/maps.ts'
import { whenFree } from '../live/when-free.ts'

export async function betweenWrites<T>(
  maps: LiveMaps,
  dataset: Dataset,
  change: () => Promise<T>,
): Promise<T> {
  await maps.flush()
  const result = await whenFree(change)
  await maps.caughtUp((await dataset.pointer()).commit)
  return result
}
