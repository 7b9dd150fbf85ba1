/**
 * What a prune keeps: the snapshots that the retention rules name, and the log as far back as no
 * snapshot is missing. Reads, and changes nothing.
 */
import { CairnError } from '../../errors.ts'
import { printCid } from '../../model/cid.ts'
import type { Commit } from '../../model/commit.ts'
import type { KeptSnapshot } from '../../model/kept.ts'
import { decideRetention, type Candidate, type Verdict } from '../../retention/decide.ts'
import type { RetentionPolicy } from '../../retention/policy.ts'
import type { Context } from '../context.ts'
import {
  bearsMark,
  damagedCommits,
  isMarkedDamaged,
  withoutMarks,
  type DamagedCommits,
} from '../damage.ts'
import type { HeldBack } from '../replica/replicas.ts'
import { keptSnapshots } from '../snapshots.ts'
import { commitLog, firstWhere, generations } from './log.ts'

export interface SnapshotCandidate extends Candidate {
  readonly snapshot: KeptSnapshot
}

export interface PrunePlan {
  /** Newest first. */
  readonly verdicts: readonly Verdict<SnapshotCandidate>[]
  /** The lowest commit that stays, and the lowest position of the log. */
  readonly oldest: number
  readonly floor: number
  /** The commits that were found damaged and are let go of. */
  readonly released: readonly DamagedCommits[]
}

export interface PlanOptions {
  readonly policy: RetentionPolicy
  /** Snapshots that stay whatever the rules say, with the reason, by their CID's text. */
  readonly pinned?: ReadonlyMap<string, string> | undefined
  /** Let go of what the dataset fell back from, with all commits up to there; else it stays. */
  readonly releaseDamaged?: boolean | undefined
  /** Of a snapshot that must stay for another reason, the reason. */
  readonly heldBack?: HeldBack | undefined
  readonly signal?: AbortSignal | undefined
}

export async function planPrune(
  context: Context,
  commit: Commit,
  { policy, pinned, releaseDamaged = false, heldBack, signal }: PlanOptions,
): Promise<PrunePlan> {
  if (commit.replica !== undefined) return replicaPlan(context, commit, signal)
  const candidates: SnapshotCandidate[] = []
  const damaged: SnapshotCandidate[] = []
  const released: DamagedCommits[] = []
  const current = printCid(commit.snapshot)
  for await (const kept of keptSnapshots(context, commit, signal)) {
    if (releaseDamaged) released.push(...damagedCommits([kept]))
    const snapshot = releaseDamaged ? withoutMarks(kept) : kept
    const { ts, tags } = snapshot
    const id = printCid(kept.cid)
    const marked = bearsMark(snapshot) ? 'kept for damage' : undefined
    const reason = id === current ? 'current' : (marked ?? pinned?.get(id) ?? heldBack?.(kept))
    const one = { id, ts, tags, snapshot, ...(reason === undefined ? {} : { pinned: reason }) }
    const goes = releaseDamaged && id !== current && isMarkedDamaged(kept)
    if (goes) damaged.push(one)
    else candidates.push(one)
  }
  const verdicts = [
    ...decideRetention(candidates, policy, context.now()),
    ...damaged.map((item) => ({ item, keep: false, reasons: [] })),
  ].sort((a, b) => b.item.ts - a.item.ts)
  const oldest = Math.max(commit.oldest, ...released.map(({ to }) => to + 1))
  return { verdicts, released, ...(await keptLog(context, commit, oldest, verdicts, signal)) }
}

/** What a replica keeps is said by the primary: its next sync forgets what that has forgotten. */
async function replicaPlan(
  context: Context,
  commit: Commit,
  signal: AbortSignal | undefined,
): Promise<PrunePlan> {
  const verdicts: Verdict<SnapshotCandidate>[] = []
  for await (const snapshot of keptSnapshots(context, commit, signal)) {
    const { ts, tags } = snapshot
    const item = { id: printCid(snapshot.cid), ts, tags, snapshot }
    verdicts.push({ item, keep: true, reasons: ['kept by the primary'] })
  }
  return { verdicts, oldest: commit.oldest, floor: commit.floor, released: [] }
}

/** The snapshots of a plan that stay, oldest first. */
export function keptOf({ verdicts }: PrunePlan): KeptSnapshot[] {
  return verdicts
    .filter(({ keep }) => keep)
    .map(({ item }) => item.snapshot)
    .toSorted((a, b) => a.seq - b.seq)
}

/**
 * A commit stays while its snapshot does, and every newer commit stays. Within a generation the numbers
 * of snapshots rise; it begins with one that may be older (a rollback's, a restore's).
 */
async function keptLog(
  context: Context,
  commit: Commit,
  from: number,
  verdicts: readonly Verdict<SnapshotCandidate>[],
  signal: AbortSignal | undefined,
): Promise<Pick<PrunePlan, 'oldest' | 'floor'>> {
  const dropped = verdicts.filter(({ keep }) => !keep).map(({ item }) => item.snapshot.seq)
  const unbroken = Math.max(-1, ...dropped) + 1
  const kept = new Set(verdicts.filter(({ keep }) => keep).map(({ item }) => item.id))
  const log = commitLog(context, commit, from, signal)
  let oldest = commit.number
  let floor = commit.chainFirst
  for await (const { first, last } of generations(log)) {
    // Of another identity the list does not say what is kept.
    if (last.identity !== commit.identity || !kept.has(printCid(last.snapshot))) break
    // All that were built in it are numbered from `nextSeq` of its first commit on.
    const built = last.snapshotSeq !== first.snapshotSeq
    const whole = kept.has(printCid(first.snapshot)) && (!built || first.nextSeq >= unbroken)
    oldest = whole
      ? first.number
      : await firstWhere(log, first.number, last.number, (one) => one.snapshotSeq >= unbroken)
    const lowest = await log.read(oldest)
    if (lowest === undefined) throw lostCommit(oldest, commit.dataset)
    floor = Math.min(floor, lowest.chainFirst)
    if (!whole) break
  }
  return { oldest, floor: Math.max(floor, commit.floor) }
}

function lostCommit(number: number, dataset: string): CairnError {
  return new CairnError('pointer_damaged', `Commit ${number} of "${dataset}" is missing.`, {
    hint: 'Nothing was freed. Verify the store, and restore it from a backup if it is damaged.',
    dataset,
    number,
  })
}
