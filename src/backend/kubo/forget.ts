/**
 * Forgetting old commits, a directory of them at a time, the oldest first. The two newest directories
 * stay whatever they hold: `commits.ts` takes what was put into those for the first of its number.
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
