/**
 * Pruning: forgetting snapshots that the retention rules do not name, and freeing what nothing kept
 * can reach, while others read and write.
 *
 *   1 begin a sweep: from here on whatever is written or relied on stays; look whether all datasets and
 *     leases can be read, so that what another version wrote stops it before anything is forgotten
 *   2 commit a kept list without what is forgotten, with the oldest commit and position that stay
 *   3 mark what every kept commit of every dataset needs, and what readers hold leases on
 *   4 free the rest; forget old commits
 *
 * Dying before 2 changes nothing; after it a prune made again has the rest to do, for it frees whatever
 * has no mark, whoever forgot it. A block that is missing where it is needed stops it before 4.
 */
import { CairnError } from '../../errors.ts'
import type { Commit } from '../../model/commit.ts'
import type { Freed, Sweep } from '../../store/backend.ts'
import type { Verdict } from '../../retention/decide.ts'
import { checkPolicy } from '../../retention/policy.ts'
import { checkedCommit } from '../checked-commit.ts'
import type { Context, LongOptions } from '../context.ts'
import { readLeases, type Leased } from '../lease.ts'
import { Pointer } from '../pointer.ts'
import { checkWritable } from '../replica/standing.ts'
import { extendedState } from '../state.ts'
import { damagedCommits } from '../damage.ts'
import { keptPages } from './kept-pages.ts'
import { Reacher, reachAll, reachNamed } from './mark.ts'
import {
  keptOf,
  planPrune,
  type PlanOptions,
  type PrunePlan,
  type SnapshotCandidate,
} from './plan.ts'

export interface PruneOptions extends LongOptions, Omit<PlanOptions, 'signal'> {
  /** Say what would go and change nothing. */
  readonly dryRun?: boolean | undefined
  /** How long to wait for builds and restores that were there before; a minute unless given. */
  readonly waitMs?: number | undefined
}

export interface PruneReport {
  readonly status: 'pruned' | 'already_pruned' | 'planned'
  readonly verdicts: readonly Verdict<SnapshotCandidate>[]
  readonly kept: number
  readonly forgotten: number
  /** Commits that are no longer kept. */
  readonly commits: number
  readonly freed: Freed
}

const WAIT_MS = 60_000
const NOTHING: Freed = { blocks: 0, bytes: 0 }

export async function prune(
  context: Context,
  pointer: Pointer,
  given: PruneOptions,
): Promise<PruneReport> {
  checkPolicy(given.policy)
  // Asked before anything is planned: what a replica gets meanwhile is kept in vain, and goes the next time.
  const heldBack = given.heldBack ?? (await context.replicas?.heldBack(pointer))
  const options = { ...given, heldBack }
  const { dryRun, signal, waitMs = WAIT_MS } = options
  if (dryRun === true) {
    const { commit } = await pointer.current(signal)
    const plan = await planPrune(context, commit, options)
    return { ...counted(plan, commit), status: 'planned', freed: NOTHING }
  }
  const sweep = await context.backend.sweep({ waitMs, signal })
  let done = false
  try {
    await readLeases(context, { signal })
    await newestCommits(context, signal)
    const { plan, before } = await forgetSnapshots(context, pointer, options)
    const leased = await markNeeded(context, sweep, options)
    const onProgress = (done: number): void => options.onProgress?.({ step: 'free', done })
    const freed = await sweep.free({ signal, onProgress })
    const marked = damagedCommits(keptOf(plan)).map(({ to }) => to)
    const below = Math.min(plan.oldest, ...commitsOf(leased, pointer.dataset), ...marked)
    await context.backend.forget(pointer.dataset, below, { signal })
    const report = counted(plan, before)
    const nothing = freed.blocks === 0 && report.forgotten === 0 && report.commits === 0
    context.log.info('pruned', { dataset: pointer.dataset, ...freed, forgotten: report.forgotten })
    done = true
    return { ...report, status: nothing ? 'already_pruned' : 'pruned', freed }
  } finally {
    await sweep.end().catch((error: unknown) => {
      if (done) throw error
      // What failed says why: of a commit, that its outcome is unknown.
      context.log.error('sweep.end_failed', { dataset: pointer.dataset, error: String(error) })
    })
  }
}

function counted(
  plan: PrunePlan,
  before: Commit,
): Pick<PruneReport, 'verdicts' | 'kept' | 'forgotten' | 'commits'> {
  const { verdicts, oldest } = plan
  const kept = verdicts.filter(({ keep: stays }) => stays).length
  return { verdicts, kept, forgotten: verdicts.length - kept, commits: oldest - before.oldest }
}

/** Step 2, in a commit of its own; none when nothing is forgotten. */
async function forgetSnapshots(
  context: Context,
  pointer: Pointer,
  options: PruneOptions,
): Promise<{ plan: PrunePlan; before: Commit }> {
  return pointer.move(
    async (state) => {
      const { commit } = state
      // A replica's list is the primary's: of that nothing is forgotten here.
      if (commit.replica === undefined) checkWritable(commit)
      const plan = await planPrune(context, commit, options)
      const result = { plan, before: commit }
      const all = plan.verdicts.every(({ keep: stays }) => stays) && plan.released.length === 0
      if (all && plan.oldest === commit.oldest && plan.floor === commit.floor) {
        return { stay: result }
      }
      const pages = keptPages(keptOf(plan))
      const newest = pages.at(-1)?.cid ?? commit.kept
      const { oldest, floor } = plan
      const keptCount = keptOf(plan).length
      return {
        changes: { reason: 'prune', kept: newest, keptCount, oldest, floor },
        blocks: pages.map((page) => ({ ...page, hold: 'self' as const })),
        become: (stored) => extendedState(state, [], stored),
        result,
      }
    },
    { signal: options.signal, fresh: true, replication: true },
  )
}

/** Of all datasets, each with its header, root and recent chain read. */
async function newestCommits(context: Context, signal: AbortSignal | undefined): Promise<Commit[]> {
  const newest: Commit[] = []
  for (const dataset of await context.backend.datasets({ signal })) {
    const pointer = await Pointer.open(context, dataset, signal)
    // What it needs would count as needed by nobody.
    if (pointer === undefined) throw namedOnly(dataset)
    newest.push(pointer.seen.commit)
  }
  return newest
}

function namedOnly(dataset: string): CairnError {
  return new CairnError(
    'store_changed',
    `The store names the dataset ${dataset}, and has no commit of it.`,
    {
      hint: 'Nothing was freed. Is it being restored, or emptied? Prune again when that is over, and remove what is left of it.',
      dataset,
    },
  )
}

/** Step 3. Leases are read after the commit: who took one before it is seen, who comes later sees it. */
async function markNeeded(
  context: Context,
  sweep: Sweep,
  options: PruneOptions,
): Promise<readonly Leased[]> {
  const { signal, onProgress } = options
  const leases = await readLeases(context, { signal })
  const newest = await newestCommits(context, signal)
  const content = sweep.frees === 'blocks'
  const needed = new Reacher(context, {
    content,
    tolerant: false,
    take: (blocks) => sweep.mark(blocks),
    step: 'mark',
    signal,
    onProgress,
  })
  try {
    await reachAll(context, needed, newest, signal)
    // Who took a lease too late finds out by looking again; until then it names what may be gone.
    for (const lease of leases) await reachLeased(context, needed, lease, newest, signal)
    await needed.flush()
  } finally {
    needed.close()
  }
  if (sweep.frees === 'holds') await offerNamed(context, sweep, newest, options)
  return leases
}

/** The commits that readers hold; their records stay, by which the next prune knows what they need. */
function commitsOf(leases: readonly Leased[], dataset: string): number[] {
  return leases.flatMap((one) =>
    one.dataset === dataset && one.commit !== null ? [one.commit] : [],
  )
}

async function reachLeased(
  context: Context,
  reacher: Reacher,
  { dataset, commit: number, snapshots }: Leased,
  newest: readonly Commit[],
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const snapshot of snapshots) await reacher.snapshot(snapshot)
  if (number === null || !newest.some((one) => one.dataset === dataset)) return
  const bytes = await context.backend.getCommit(dataset, number, { signal })
  if (bytes === undefined) return
  const { commit } = checkedCommit(dataset, number, bytes)
  await reacher.log(commit, commit.chainFirst)
  await reacher.snapshot(commit.snapshot)
}

/** What the store holds is found by what names it: all commits that are still there, kept or not. */
async function offerNamed(
  context: Context,
  sweep: Sweep,
  newest: readonly Commit[],
  { signal, onProgress }: PruneOptions,
): Promise<void> {
  const named = new Reacher(context, {
    content: false,
    tolerant: true,
    take: (blocks) => sweep.offer(blocks),
    step: 'look for holds',
    signal,
    onProgress,
  })
  try {
    for (const commit of newest) await reachNamed(context, named, commit, signal)
    await named.flush()
  } finally {
    named.close()
  }
}
