/** What of the log is no longer current when an older commit's state becomes so. */
import { decodeChainBlock } from '../model/chain-block.ts'
import type { Commit } from '../model/commit.ts'
import { readProvedBlock } from '../store/proved.ts'
import type { Context } from './context.ts'
import { isDamage } from './damage.ts'
import { generations, type CommitLog } from './prune/log.ts'
import { readHeader } from './state.ts'

/**
 * The first position of the newest commit's log that is not of the log of `good`. Where a rollback lies between
 * the two, what it went back to may hold more than `good`; if that cannot be read, it is taken to.
 */
export async function lostFrom(
  context: Context,
  log: CommitLog,
  good: Commit,
  signal: AbortSignal | undefined,
): Promise<number> {
  let first = log.newest
  for await (const newest of generations(log)) {
    first = newest.first
    break
  }
  if (good.number >= first.number) return good.next
  const end = await endOfLog(context, good, signal)
  const before = await endOfLog(context, first, signal).catch((error: unknown) => {
    if (isDamage(error)) return Infinity
    throw error
  })
  return before > end ? end : first.next
}

/** The position behind the last entry of the state of a commit. */
async function endOfLog(
  context: Context,
  commit: Commit,
  signal: AbortSignal | undefined,
): Promise<number> {
  if (commit.head === null) return (await readHeader(context, commit, signal)).upto
  const { backend } = context
  const bytes = await readProvedBlock(backend, commit.head, 'the chain block', { signal })
  const { first, entries } = decodeChainBlock(bytes)
  return first + entries.length
}
