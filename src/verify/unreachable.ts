/**
 * Blocks that nothing kept reaches: what a prune would free. Told only by stores that count their
 * blocks; what writers do meanwhile makes it an estimate.
 */
import { Reacher, reachAll } from '../engine/prune/mark.ts'
import { checkedCommit } from '../engine/checked-commit.ts'
import type { LongOptions } from '../engine/context.ts'
import type { Commit } from '../model/commit.ts'
import type { Backend } from '../store/backend.ts'

/** Null where the store does not tell how many blocks it has. */
export async function countUnreachable(
  backend: Backend,
  { signal, onProgress }: LongOptions,
): Promise<number | null> {
  const { blocks } = (await backend.status({ signal })).details
  if (typeof blocks !== 'number') return null
  let reached = 0
  const count = (some: readonly unknown[]): Promise<void> => {
    reached += some.length
    return Promise.resolve()
  }
  const reacher = new Reacher(
    { backend },
    { content: true, tolerant: false, take: count, step: 'reach', signal, onProgress },
  )
  try {
    const commits: Commit[] = []
    for (const dataset of await backend.datasets({ signal })) {
      const newest = await backend.newest(dataset, -1, { signal })
      if (newest === undefined) continue
      const { commit } = checkedCommit(dataset, newest.number, newest.bytes)
      commits.push(commit)
    }
    await reachAll({ backend }, reacher, commits, signal)
    await reacher.flush()
  } finally {
    reacher.close()
  }
  return Math.max(0, blocks - reached)
}
