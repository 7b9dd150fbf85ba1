/**
 * A kept list made anew where the newest one is damaged: of what its readable pages name, what the lists before
 * it name, and what the kept commits name. A snapshot that only a lost page named is not found again.
 */
import { bytesEqual, cidKey, type CidBytes } from '../model/cid.ts'
import type { Commit } from '../model/commit.ts'
import type { KeptSnapshot } from '../model/kept.ts'
import type { Context } from './context.ts'
import { isDamage } from './damage.ts'
import type { StateProof } from './prove-state.ts'
import { changesOf, keptLists, type CommitLog } from './prune/log.ts'
import { readHeader } from './state.ts'

/** Oldest first. */
export async function keptAnew(
  context: Context,
  log: CommitLog,
  proof: StateProof,
  signal: AbortSignal | undefined,
): Promise<KeptSnapshot[]> {
  const found = new Map<string, KeptSnapshot>()
  const take = (one: KeptSnapshot): void => {
    if (!found.has(cidKey(one.cid))) found.set(cidKey(one.cid), one)
  }
  let count = log.newest.keptCount
  for (const commit of await keptLists(log)) {
    // Behind a prune the lists name what it has forgotten.
    if (commit.keptCount > count || commit.identity !== log.newest.identity) break
    count = commit.keptCount
    const { snapshots, damage } = await proof.keptList(commit)
    snapshots.forEach(take)
    if (damage === undefined) break
  }
  // A commit is kept while its snapshot is.
  const named = await changesOf(log, (a, b) => bytesEqual(a.snapshot, b.snapshot))
  for (const commit of named) {
    if (commit.identity !== log.newest.identity || found.has(cidKey(commit.snapshot))) continue
    const one = await keptOf(context, commit, signal)
    if (one !== undefined) take(one)
  }
  return [...found.values()].sort((a, b) => a.seq - b.seq)
}

/** Undefined where the header is damaged, too. */
async function keptOf(
  context: Context,
  commit: Commit,
  signal: AbortSignal | undefined,
): Promise<KeptSnapshot | undefined> {
  const cid: CidBytes = commit.snapshot
  try {
    const { seq, ts, entries, live, reason, tags } = await readHeader(context, commit, signal)
    return { cid, seq, ts, entries, live, reason, tags }
  } catch (error) {
    if (isDamage(error)) return undefined
    throw error
  }
}
