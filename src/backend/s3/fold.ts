/**
 * Folding: the blocks of many commits, each an object of its own, are put together into packs, so that
 * who comes later reads few large objects. A mark says up to which number that was done; who looks for a
 * block asks the commits behind it, one by one, and for all others the packs.
 *
 * A sweep may free of a pack what a commit object still has. So nobody relies on a commit object up to the
 * mark; and the mark is written under a lease, for which every sweep waits before it frees from the packs.
 */
import { throwIfAborted } from '../../errors.ts'
import type { EffectOptions } from '../../s3/bucket.ts'
import type { CommitLog } from './commit-log.ts'
import type { PackWriter } from './pack-writer.ts'

/** So many commits are read one by one at most, by who has seen none of them. */
export const FOLD_EVERY = 64
const AT_ONCE = 16

/** Puts the blocks of all commits up to `upTo` into packs, durably, and says so. */
export async function foldCommits(
  log: CommitLog,
  writer: PackWriter,
  dataset: string,
  upTo: number,
  options: EffectOptions = {},
): Promise<void> {
  const { floor, folded } = await log.marks(dataset, options)
  if (folded >= upTo) return
  const from = Math.max(folded + 1, floor)
  for (let at = from; at <= upTo; at += AT_ONCE) {
    throwIfAborted(options.signal)
    const count = Math.min(AT_ONCE, upTo - at + 1)
    const numbers = Array.from({ length: count }, (_, i) => at + i)
    const found = await Promise.all(numbers.map((number) => log.read(dataset, number, options)))
    // One that is missing was forgotten, and folded before that.
    for (const object of found) await writer.put(object?.blocks ?? [], options)
  }
  await writer.flush(options)
  await log.mark(dataset, 'folded', upTo, options)
}
