/**
 * Following the index pointer: the newest commit that the store has, proved to come after the one that is
 * known, and its state.
 */
import { CairnError, isCairnError } from '../errors.ts'
import { bytesEqual } from '../model/cid.ts'
import type { Commit, EncodedCommit } from '../model/commit.ts'
import { checkedCommit } from './checked-commit.ts'
import type { Context } from './context.ts'
import { prepareState, type PreparedState, type State } from './state.ts'

/** The newest state, where there is one that is newer than `before`, or any at all. */
export async function prepareNewest(
  context: Context,
  dataset: string,
  before?: State,
  signal?: AbortSignal,
): Promise<PreparedState | undefined> {
  const newest = async (): Promise<EncodedCommit | undefined> => {
    const known = before?.commit.number ?? -1
    const stored = await context.backend.newest(dataset, known, { signal })
    return stored && checkedCommit(dataset, stored.number, stored.bytes)
  }
  const prepare = async (stored: EncodedCommit): Promise<PreparedState> => {
    if (before !== undefined && !(await follows(context, stored, before.stored, signal)))
      throw storeChanged(dataset)
    return prepareState(context, stored, before, signal)
  }
  const stored = await newest()
  return stored && ofNewest(stored, newest, prepare)
}

/**
 * What `read` makes of `found`. If that is not the newest any more it may lack blocks, which a prune has freed
 * since: then of the newest.
 */
export async function ofNewest<N extends { readonly commit: Commit }, T>(
  found: N,
  newest: () => Promise<N | undefined>,
  read: (one: N) => Promise<T>,
): Promise<T> {
  for (let one = found; ;) {
    try {
      return await read(one)
    } catch (error) {
      if (!isCairnError(error, 'block_missing')) throw error
      const now = await newest()
      if (now === undefined || now.commit.number <= one.commit.number) throw error
      one = now
    }
  }
}

/** Whether the commits up to `newer` pass through `known`, as far as they are kept. */
async function follows(
  { backend }: Context,
  { commit: newer }: EncodedCommit,
  known: EncodedCommit,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { dataset, number, identity } = known.commit
  // By the commits and not by identity: a restore may have put another one's state here.
  if (newer.number === number + 1) return newer.prev !== null && bytesEqual(newer.prev, known.cid)
  const there = await backend.getCommit(dataset, number, { signal })
  if (there === undefined) return newer.identity === identity
  if (bytesEqual(there, known.bytes)) return true
  // Damaged is not replaced.
  checkedCommit(dataset, number, there)
  return false
}

function storeChanged(dataset: string): CairnError {
  return new CairnError(
    'store_changed',
    `The store now holds another dataset "${dataset}" than before.`,
    {
      hint: 'It was emptied, replaced or restored under the same name; open it anew if that was meant.',
    },
  )
}
