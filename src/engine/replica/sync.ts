/**
 * Bringing a replica to the state of its source.
 *
 *   1 look at the target, then at the source's newest commit; hold what that names
 *   2 copy what the target lacks of it, every block hashed
 *   3 read the engine's own blocks back, and hold what the commit says against what they are
 *   4 commit at the target, if nothing was committed there since 1
 *
 * Dying before 4 leaves blocks that no commit names, and that the next sync finds. The source is looked at after
 * the target, so a replica never goes back. A prune at the source may take what its older commits need: where a
 * block is missing and there is a newer commit, all begins anew with that.
 */
import { CairnError, isCairnError } from '../../errors.ts'
import { bytesEqual, cidKey } from '../../model/cid.ts'
import { encodeCommit, type Commit, type EncodedCommit } from '../../model/commit.ts'
import type { KeptSnapshot } from '../../model/kept.ts'
import type { SnapshotHeader } from '../../model/snapshot.ts'
import type { Staging } from '../../store/backend.ts'
import { omit } from '../../util/record.ts'
import type { LongOptions } from '../context.ts'
import { commitSurely } from '../next-commit.ts'
import type { Pointer } from '../pointer.ts'
import { endStaging } from '../staging.ts'
import { completeState, readHeader, type PreparedState, type State } from '../state.ts'
import { checkTarget, noDataset, toItself } from './check-target.ts'
import { Copier, type CopyCounts } from './copy.ts'
import type { SyncTarget } from './dataset-end.ts'
import { Known } from './known.ts'
import { proveKept, proveState } from './prove.ts'
import { placeOf, type SyncSource } from './source.ts'

export interface SyncOptions extends LongOptions {
  /** Also where the target is no replica, but was the primary before the source. */
  readonly adopt?: boolean | undefined
}

export interface SyncReport extends CopyCounts {
  readonly status: 'synced' | 'already_synced'
  readonly dataset: string
  readonly source: string
  /** The commit of the source that the replica has now, and its own. */
  readonly from: number
  readonly commit: number
  readonly generation: number
  readonly next: number
  readonly seq: number
  readonly totalCount: number
  /** Kept snapshots that the replica lacked. */
  readonly snapshots: number
}

/** Others who sync to the target, and prunes at the source, make it begin anew, so often. */
const MOST_TRIES = 20
const NOTHING: CopyCounts = { blocks: 0, bytes: 0, requests: 0, found: 0 }

export async function syncDataset(
  source: SyncSource,
  target: SyncTarget,
  options: SyncOptions = {},
): Promise<SyncReport> {
  const { dataset, context } = target
  const { signal } = options
  if (source.location === placeOf(context.backend) && source.location !== 'memory:')
    throw toItself(dataset, source.location)
  let refused: CairnError | undefined
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const pointer = await target.pointer()
    const state = await pointer?.current(signal)
    const stored = await source.newest(dataset, { signal })
    if (stored === undefined) throw noDataset(dataset, source.location)
    try {
      const report = await tryOnce(source, stored, { ...target, open: pointer }, state, options)
      if (report !== 'moved') return report
      refused = undefined
    } catch (error) {
      if (!mayBeOld(error) || !(await hasMoved(source, stored, signal))) throw error
      refused = isMissing(error) ? undefined : error
    }
  }
  throw refused ?? changesAllTheTime(dataset)
}

type OpenTarget = SyncTarget & { readonly open: Pointer | undefined }

async function tryOnce(
  source: SyncSource,
  stored: EncodedCommit,
  target: OpenTarget,
  state: State | undefined,
  options: SyncOptions,
): Promise<SyncReport | 'moved'> {
  if (state !== undefined) {
    checkTarget(state.commit, stored.commit, source.location, options.adopt)
    if (isSynced(state, stored)) {
      const there = described(source, stored, state.commit)
      return { ...there, status: 'already_synced', ...NOTHING, snapshots: 0 }
    }
  }
  return new OneSync(source, stored, target, state, options).run()
}

function changesAllTheTime(dataset: string): CairnError {
  return new CairnError('busy', `The source or the replica of "${dataset}" changes all the time.`, {
    hint: 'Let one process at a time sync to a replica, then try again.',
    dataset,
  })
}

function isSynced({ commit }: State, { cid }: EncodedCommit): boolean {
  return commit.replica !== undefined && bytesEqual(commit.replica.cid, cid)
}

const isMissing = (error: unknown): boolean =>
  isCairnError(error, 'block_missing') || isCairnError(error, 'content_missing')

/**
 * The source may have said it of a commit that is not its newest any more: of one that was sent to begin with the target
 * may have got a later one from another sender by now.
 */
const mayBeOld = (error: unknown): error is CairnError =>
  isMissing(error) || isCairnError(error, 'conflict') || isCairnError(error, 'fenced')

async function hasMoved(
  source: SyncSource,
  { commit, cid }: EncodedCommit,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const now = await source.newest(commit.dataset, { signal })
  return now !== undefined && !bytesEqual(now.cid, cid)
}

/** What the commit of a replica says that differs from its source's. */
interface Copied {
  readonly kept: Pick<Commit, 'kept' | 'keptCount'>
  /** The list has lost a snapshot. */
  readonly forgets: boolean
  /** Kept snapshots that the replica lacked. */
  readonly fresh: readonly { readonly kept: KeptSnapshot; readonly header: SnapshotHeader }[]
}

class OneSync {
  readonly #source: SyncSource
  readonly #stored: EncodedCommit
  readonly #target: OpenTarget
  readonly #state: State | undefined
  readonly #options: SyncOptions

  constructor(
    source: SyncSource,
    stored: EncodedCommit,
    target: OpenTarget,
    state: State | undefined,
    options: SyncOptions,
  ) {
    this.#source = source
    this.#stored = stored
    this.#target = target
    this.#state = state
    this.#options = options
  }

  /** `moved`: somebody else has committed at the target meanwhile. */
  async run(): Promise<SyncReport | 'moved'> {
    const { context, dataset } = this.#target
    const { signal } = this.#options
    const release = await this.#source.hold(this.#stored, { signal })
    try {
      const label = `sync of commit ${this.#stored.commit.number}`
      const staging = await context.backend.stage(dataset, label, { signal })
      let outcome: 'committed' | 'dropped' = 'dropped'
      try {
        const report = await this.#copyAndCommit(staging)
        if (report !== 'moved') outcome = 'committed'
        return report
      } catch (error) {
        // What came until then is found by the next one.
        await staging.flush().catch(() => undefined)
        throw error
      } finally {
        await endStaging(context, staging, { dataset, outcome })
      }
    } finally {
      await release()
    }
  }

  async #copyAndCommit(staging: Staging): Promise<SyncReport | 'moved'> {
    const { context } = this.#target
    const { commit } = this.#stored
    const known = this.#state && new Known(context, this.#state, this.#options.signal)
    const copier = new Copier({
      ...this.#options,
      source: this.#source,
      target: context,
      staging,
      commit,
      known,
    })
    try {
      const copied = await this.#copy(copier, known)
      await copier.finish()
      const proved = await this.#prove(copied)
      const made = proved === 'moved' ? proved : await this.#commit(copied, proved, staging)
      if (made === 'moved') return made
      const { counts } = copier
      const synced = described(this.#source, this.#stored, made)
      context.log.info('synced', { ...synced, ...counts })
      return { ...synced, status: 'synced', ...counts, snapshots: copied.fresh.length }
    } finally {
      copier.close()
    }
  }

  async #copy(copier: Copier, known: Known | undefined): Promise<Copied> {
    const { commit } = this.#stored
    const { signal } = this.#options
    const isKnownList = known !== undefined && bytesEqual(known.commit.kept, commit.kept)
    const there = isKnownList || known === undefined ? [] : await known.kept()
    const list = isKnownList ? undefined : await copier.keptList()
    const has = new Set(there.map(({ cid }) => cidKey(cid)))
    if (known !== undefined) has.add(cidKey(known.commit.snapshot))
    const current = has.has(cidKey(commit.snapshot))
      ? await readHeader(this.#target.context, commit, signal)
      : await copier.snapshot(commit.snapshot)
    const fresh: { kept: KeptSnapshot; header: SnapshotHeader }[] = []
    for (const kept of list?.kept ?? []) {
      if (has.has(cidKey(kept.cid))) continue
      const isCurrent = bytesEqual(kept.cid, commit.snapshot)
      fresh.push({ kept, header: isCurrent ? current : await copier.snapshot(kept.cid) })
    }
    await copier.log(current)
    const now = new Set((list?.kept ?? []).map(({ cid }) => cidKey(cid)))
    return {
      kept: {
        kept: list?.newest ?? commit.kept,
        keptCount: list?.kept.length ?? known?.commit.keptCount ?? commit.keptCount,
      },
      forgets: there.some(({ cid }) => !now.has(cidKey(cid))),
      fresh,
    }
  }

  async #prove({ fresh }: Copied): Promise<PreparedState | 'moved'> {
    const { context, open } = this.#target
    const { signal } = this.#options
    try {
      for (const { kept, header } of fresh)
        await proveKept(context, this.#stored, kept, header, signal)
      return await proveState(context, this.#stored, this.#state, signal)
    } catch (error) {
      // What somebody else has committed meanwhile counts in the overlay already.
      if (open !== undefined && open.seen !== this.#state) return 'moved'
      throw error
    }
  }

  async #commit(
    { kept, forgets }: Copied,
    { state: proved, entries }: PreparedState,
    staging: Staging,
  ): Promise<Commit | 'moved'> {
    const { open, dataset, context } = this.#target
    const { signal } = this.#options
    const fields = { ...replicaFields(this.#source, this.#stored), ...kept }
    if (open === undefined) {
      const { writer } = context
      const first = { ...fields, number: 0, oldest: 0, prev: null, writer, dataset }
      const { bytes, commit } = encodeCommit(first)
      const request = { dataset, number: 0, bytes, blocks: [], staging }
      return (await commitSurely(context, request)) === 'committed' ? commit : 'moved'
    }
    const made = await open.move<number | 'moved'>(
      async (state) => {
        if (state !== this.#state) return { stay: 'moved' }
        const { commit } = state
        // Of what is no longer kept an older commit may have been made.
        const oldest = forgets ? commit.number + 1 : commit.oldest
        return {
          changes: { ...fields, oldest },
          blocks: [],
          staging,
          at: fields.ts,
          become: (stored) =>
            completeState({ state: { ...proved, stored, commit: stored.commit }, entries }),
          result: commit.number + 1,
        }
      },
      { signal, fresh: true, replication: true },
    )
    return made === 'moved' ? made : { ...this.#stored.commit, number: made }
  }
}

/** The state of the source, as the replica's commit says it. */
function replicaFields(
  { location }: SyncSource,
  { commit, cid }: EncodedCommit,
): Omit<Commit, 'number' | 'prev' | 'writer' | 'oldest' | 'dataset'> {
  const { number } = commit
  return {
    ...omit(commit, 'number', 'prev', 'writer', 'oldest', 'dataset'),
    // Explicit also where they are undefined: they are spread over the replica's commit, which may have others.
    fenced: undefined,
    failovers: commit.failovers,
    reason: `sync of commit ${number}`,
    exclusive: null,
    replica: { of: location, number, cid },
  }
}

function described(
  { location }: SyncSource,
  { commit }: EncodedCommit,
  made: Commit,
): Omit<SyncReport, 'status' | 'snapshots' | keyof CopyCounts> {
  return {
    dataset: commit.dataset,
    source: location,
    from: commit.number,
    commit: made.number,
    generation: commit.generation.number,
    next: commit.next,
    seq: commit.snapshotSeq,
    totalCount: commit.totalCount,
  }
}
