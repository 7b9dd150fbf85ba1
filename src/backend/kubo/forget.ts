/**
 * Forgetting old commits, a directory of them at a time, the oldest first. The two newest directories
 * stay whatever they hold: `commits.ts` takes what was put into those for the first of its number.
 *
 * Kubo brings a directory back, with all that was in it, where something is put into it while it is
 * removed: by a writer that slept for hundreds of commits, or a recovery. Those are commits too many, on
 * which nothing relies (`commits.ts` looks whether a late one counts); the next prune forgets them again.
 */
import { throwIfAborted } from '../../errors.ts'
import type { CallOptions } from '../../store/backend.ts'
import type { History } from './history.ts'
import type { Mfs } from './mfs.ts'
import { COMMITS_A_DIRECTORY, directoryPath } from './paths.ts'

const DIRECTORIES_KEPT = 2

export async function forgetCommits(
  mfs: Mfs,
  history: History,
  dataset: string,
  below: number,
  options?: CallOptions,
): Promise<void> {
  const directories = await history.directories(dataset, options)
  for (const directory of directories.slice(0, -DIRECTORIES_KEPT)) {
    if ((directory + 1) * COMMITS_A_DIRECTORY > below) return
    throwIfAborted(options?.signal)
    // One at a time: a crash leaves a log without gaps.
    await mfs.remove([directoryPath(dataset, directory)])
  }
}
