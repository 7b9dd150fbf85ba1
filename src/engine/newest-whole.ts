/** Finding the newest commit whose state is whole, where the newest state is not. */
import type { Commit } from '../model/commit.ts'
import type { BrokenChain, Damage, StateProof } from './prove-state.ts'
import { firstWhere, generations, type CommitLog } from './prune/log.ts'

/**
 * Of the identity of the newest one. Commits with the same snapshot are looked at together: they share a tree,
 * and the chain of an earlier one is part of that of a later one. `note` hears of what is damaged.
 */
export async function newestWhole(
  log: CommitLog,
  proof: StateProof,
  note: (damage: Damage) => void,
): Promise<Commit | undefined> {
  for await (const { first, last } of generations(log)) {
    if (last.identity !== log.newest.identity) continue
    for (let newest: Commit | undefined = last; newest !== undefined;) {
      const { snapshotSeq, number } = newest
      // Within a generation the numbers of snapshots rise.
      const isOfIt = (one: Commit): boolean => one.snapshotSeq >= snapshotSeq
      const from = await firstWhere(log, first.number, number, isOfIt)
      const good = await wholeWithSnapshot(log, proof, from, newest, note)
      if (good !== undefined) return good
      newest = from > first.number ? await log.read(from - 1) : undefined
    }
  }
  return undefined
}

/** Of the commits from number `from` to `newest`, which have one snapshot. */
async function wholeWithSnapshot(
  log: CommitLog,
  proof: StateProof,
  from: number,
  newest: Commit,
  note: (damage: Damage) => void,
): Promise<Commit | undefined> {
  const tree = await proof.tree(newest)
  if (tree !== undefined) {
    note(tree)
    return undefined
  }
  const chain = await proof.chain(newest)
  if (chain === undefined) return newest
  note(chain.damage)
  return wholeChain(log, proof, from, newest, chain)
}

/** The commit before the damaged block; if more are damaged, halving finds the one before the first of them. */
async function wholeChain(
  log: CommitLog,
  proof: StateProof,
  from: number,
  newest: Commit,
  { end }: BrokenChain,
): Promise<Commit | undefined> {
  let high = (await firstWhere(log, from, newest.number, ({ next }) => next >= end)) - 1
  let low = from
  let good: Commit | undefined
  for (let middle = high; low <= high; middle = Math.floor((low + high) / 2)) {
    const commit = await log.read(middle)
    if (commit !== undefined && (await proof.chain(commit)) === undefined) {
      good = commit
      low = middle + 1
    } else {
      high = middle - 1
    }
  }
  return good
}
