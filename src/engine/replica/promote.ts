/**
 * Putting a replica in the place of its primary, and fencing what was replaced.
 *
 *   1 fence the old primary, where it can be reached: nothing is written there any more
 *   2 sync what it had acknowledged until then
 *   3 commit without `replica`, with a new generation that says where it parted from the old one
 *
 * Dying between 1 and 3 leaves a dataset that takes no writes anywhere: promoting again goes on. Without 1 the
 * old primary may have entries that the new one lacks, until it comes back and rejoins.
 */
import { CairnError } from '../../errors.ts'
import type { Commit } from '../../model/commit.ts'
import type { Generation } from '../../model/generation.ts'
import { MOST_FORKS, type Fenced, type Fork } from '../../model/replication.ts'
import type { Context, LongOptions } from '../context.ts'
import type { Pointer } from '../pointer.ts'
import { extendedState } from '../state.ts'
import { existing, type SyncTarget } from './dataset-end.ts'
import { storeAsSource } from './source.ts'
import { compareStanding, isWritable } from './standing.ts'
import { syncDataset, type SyncReport } from './sync.ts'

export interface PromoteReport {
  readonly status: 'promoted' | 'already_primary'
  readonly dataset: string
  readonly generation: number
  readonly commit: number
  /** The position that the next entry gets. */
  readonly next: number
  /** Where it parted from the old primary; null where that is not known to have been one. */
  readonly fork: Fork | null
  /** Whether the old primary is known to write nothing any more. */
  readonly fenced: boolean
  /** What the old primary had that the replica lacked; null where it was not asked. */
  readonly sync: SyncReport | null
}

export async function promote(
  target: SyncTarget,
  primary: SyncTarget | undefined,
  options: LongOptions = {},
): Promise<PromoteReport> {
  const pointer = await existing(target, OTHER_NAME)
  const before = (await pointer.current(options.signal)).commit
  if (isWritable(before)) return { ...described(before), status: 'already_primary', ...ALONE }
  const old = primary && { ...primary, open: await existing(primary, OTHER_NAME) }
  const by = standingAfter(target.context, before, old?.open.seen.commit)
  const fenced = old !== undefined && (await fenceOld(old.open, before, by))
  const wasReplica = before.replica !== undefined
  const sync =
    old !== undefined && wasReplica ? await syncDataset(sourceOf(old), target, options) : null
  const made = await pointer.move<Commit | undefined>(
    async (state) => {
      const { commit } = state
      if (isWritable(commit)) return { stay: undefined }
      const fork = { generation: commit.generation, next: commit.next }
      const forks = [...(commit.failovers?.forks ?? []), fork].slice(-MOST_FORKS)
      const changes = {
        reason: 'promote',
        generation: by.by,
        failovers: { count: by.count, forks },
        replica: undefined,
        fenced: undefined,
      }
      return {
        changes,
        blocks: [],
        become: (stored) => extendedState(state, [], stored),
        result: { ...commit, ...changes, number: commit.number + 1 },
      }
    },
    { signal: options.signal, fresh: true, replication: true },
  )
  const now = made ?? (await pointer.current(options.signal)).commit
  target.context.log.info('promoted', {
    dataset: target.dataset,
    generation: now.generation.number,
    fenced,
  })
  return {
    ...described(now),
    status: made === undefined ? 'already_primary' : 'promoted',
    fork: now.failovers?.forks.at(-1) ?? null,
    fenced,
    sync,
  }
}

const OTHER_NAME = 'Name another with --dataset; `cairn datasets` lists those there are.'
const ALONE = { fork: null, fenced: false, sync: null }

function described({
  dataset,
  generation,
  number,
  next,
}: Commit): Pick<PromoteReport, 'dataset' | 'generation' | 'commit' | 'next'> {
  return { dataset, generation: generation.number, commit: number, next }
}

const sourceOf = ({ context }: SyncTarget): ReturnType<typeof storeAsSource> =>
  storeAsSource(context.backend, context.log)

/** Ahead of all that is known to have been the primary. */
function standingAfter(context: Context, ...before: readonly (Commit | undefined)[]): Fenced {
  const known = before.filter((commit) => commit !== undefined)
  const numbers = known.map(({ generation, fenced }) =>
    Math.max(generation.number, fenced?.by.number ?? 0),
  )
  const counts = known.map(({ failovers, fenced }) =>
    Math.max(failovers?.count ?? 0, fenced?.count ?? 0),
  )
  const tag = Buffer.from(context.randomBytes(8)).toString('hex')
  return { by: { number: Math.max(...numbers) + 1, tag }, count: Math.max(...counts) + 1 }
}

/** Fences the old primary; false where it is none, but a replica itself. */
async function fenceOld(old: Pointer, replica: Commit, by: Fenced): Promise<boolean> {
  const { commit } = await old.current()
  const { dataset } = replica
  if (commit.identity !== replica.identity) {
    throw new CairnError(
      'conflict',
      `The primary holds another dataset under the name "${dataset}".`,
      {
        hint: 'Name the store that the replica was copied from with --primary, or give --lost where that is gone.',
        dataset,
      },
    )
  }
  if (compareStanding(commit, replica) < 0) return false
  return old.fence(by)
}

/** What fences whom it has replaced. */
export function fencedBy({ generation, failovers }: Commit): Fenced {
  const by: Generation = generation
  return { by, count: failovers?.count ?? 0 }
}
