/**
 * Rollback: a commit with a new generation that makes an earlier state current again. Nothing is
 * deleted, so a rollback is undone by rolling back to the commit before it. Positions go on.
 *
 * With `keepChain` the entries that the recent chain holds now, and the earlier state does not, are
 * appended again on top of it, at new positions.
 */
import { Overlay } from '../chain/overlay.ts'
import { walkBack, type LoadedBlock } from '../chain/walk.ts'
import { CairnError } from '../errors.ts'
import { cidKey, type CidBytes } from '../model/cid.ts'
import type { Commit } from '../model/commit.ts'
import type { Entry } from '../model/entry.ts'
import type { HeldBlock } from '../store/backend.ts'
import { chainBlocks } from '../chain/extend.ts'
import { momentOf, type Context } from './context.ts'
import { checkNotes } from './notes.ts'
import type { Move, Pointer } from './pointer.ts'
import { commitLog, commitWith, floorAt, newestOf } from './prune/log.ts'
import { findSnapshot } from './snapshots.ts'
import {
  completeState,
  identitiesOf,
  openTree,
  overlayEntries,
  prepareState,
  readHeader,
  type State,
} from './state.ts'
import { readCommit } from './time.ts'

export interface RollbackTarget {
  /** A snapshot by selector. */
  readonly snapshot?: string | undefined
  /** A commit by number. */
  readonly commit?: number | undefined
}

export interface RollbackOptions {
  readonly keepChain?: boolean | undefined
  /** Why, for the commit. */
  readonly reason?: string | undefined
  readonly signal?: AbortSignal | undefined
}

export interface RollbackReport {
  readonly snapshot: CidBytes
  readonly seq: number
  readonly generation: number
  /** The commit that a rollback to undoes this one. */
  readonly undo: number
  readonly recentCount: number
  readonly totalCount: number
}

export async function rollback(
  context: Context,
  pointer: Pointer,
  target: RollbackTarget,
  { keepChain = false, reason, signal }: RollbackOptions = {},
): Promise<RollbackReport> {
  checkNotes({ reason })
  return pointer.move(
    async (state) => {
      const past = await pastOf(context, state, target, signal)
      const kept = keepChain ? await entriesNotIn(context, state, past, signal) : []
      return planRollback(context, state, past, kept, reason)
    },
    { signal, fresh: true },
  )
}

/** The fields of a commit that say what is current, as they were, and the chain they name. */
interface Past {
  readonly fields: Pick<
    Commit,
    | 'identity'
    | 'origins'
    | 'settings'
    | 'snapshot'
    | 'snapshotSeq'
    | 'snapshotTs'
    | 'snapshotCount'
    | 'head'
    | 'base'
    | 'recentCount'
  >
  readonly chain: readonly LoadedBlock[]
  readonly overlay: Overlay
  /** The position behind its log. */
  readonly end: number
  /** How far its log is surely there; undefined where nothing of it need be. */
  readonly floor: number | undefined
  /** The newest commit of its identity, behind which positions and numbers go on. */
  readonly newest: Commit
}

async function pastOf(
  context: Context,
  state: State,
  target: RollbackTarget,
  signal: AbortSignal | undefined,
): Promise<Past> {
  const { snapshot, commit } = target
  if ((snapshot === undefined) === (commit === undefined)) {
    throw new CairnError('usage', 'A rollback goes to one snapshot or to one commit.', {
      hint: 'Name a snapshot (latest~1, seq:7, a CID) or a commit number, not both.',
    })
  }
  if (commit !== undefined) return pastCommit(context, state, commit, signal)
  return pastSnapshot(context, state, snapshot ?? '', signal)
}

async function pastCommit(
  context: Context,
  state: State,
  number: number,
  signal: AbortSignal | undefined,
): Promise<Past> {
  const stored = await readCommit(context, state.commit, number, signal)
  const past = completeState(await prepareState(context, stored, undefined, signal))
  const { commit, chain, overlay } = past
  const log = commitLog(context, state.commit, state.commit.oldest, signal)
  return {
    fields: commit,
    chain,
    overlay,
    end: commit.next,
    floor: await floorAt(log, commit),
    // What is kept is said by the newest list; but one of another identity lists other snapshots.
    newest: (await newestOf(log, commit.identity)) ?? commit,
  }
}

async function pastSnapshot(
  context: Context,
  { commit }: State,
  selector: string,
  signal: AbortSignal | undefined,
): Promise<Past> {
  const kept = await findSnapshot(context, commit, selector, signal)
  const { cid } = kept
  const header = await readHeader(context, { ...commit, snapshot: cid }, signal)
  const log = commitLog(context, commit, commit.oldest, signal)
  // The logs of kept commits are kept; a snapshot may outlive them.
  const holder = await commitWith(log, kept)
  const fields = {
    ...commit,
    snapshot: cid,
    snapshotSeq: header.seq,
    snapshotTs: header.ts,
    snapshotCount: header.live,
    head: null,
    base: header.head,
    recentCount: 0,
  }
  const overlay = new Overlay(await openTree(context, header, signal))
  const floor = holder && (await floorAt(log, holder))
  return { fields, chain: [], overlay, end: header.upto, floor, newest: commit }
}

/**
 * The recent entries that the past state's log does not hold. Walking that log back, the first block
 * that the recent chain has, too, is the newest they share; positions alone do not tell, since a
 * rollback to before an earlier rollback leads to another branch of the log.
 */
async function entriesNotIn(
  context: Context,
  { commit, chain }: State,
  past: Past,
  signal: AbortSignal | undefined,
): Promise<Entry[]> {
  const places = new Map(chain.map(({ cid }, index) => [cidKey(cid), index]))
  const log = {
    head: past.fields.head ?? past.fields.base,
    base: commit.base,
    identities: [...identitiesOf(commit), ...identitiesOf(past.fields)],
    floor: past.floor ?? 0,
    next: past.end,
    signal,
  }
  let shared = -1
  // A log that ends before the recent chain begins shares nothing with it.
  if (chain.length > 0 && past.end > commit.chainFirst) {
    for await (const { cid, block } of walkBack(context.backend, log)) {
      shared = places.get(cidKey(cid)) ?? -1
      if (shared >= 0 || block.first <= commit.chainFirst) break
    }
  }
  return overlayEntries(chain.slice(shared + 1)).map(({ entry }) => entry)
}

async function planRollback(
  context: Context,
  { commit }: State,
  past: Past,
  later: readonly Entry[],
  reason: string | undefined,
): Promise<Move<RollbackReport>> {
  const { identity, origins, settings, ...fields } = past.fields
  const { snapshot, snapshotSeq, snapshotTs, snapshotCount, head, base, recentCount } = fields
  const { kept, keptCount, next, nextOrdinal, nextSeq } = past.newest
  const at = momentOf(context, commit)
  const generation = {
    number: commit.generation.number + 1,
    tag: Buffer.from(context.randomBytes(8)).toString('hex'),
  }
  const source = { identity, origins, settings, kept, keptCount, next, nextOrdinal, nextSeq }
  const target: Commit = {
    ...commit,
    ...source,
    snapshot,
    snapshotSeq,
    snapshotTs,
    snapshotCount,
    head,
    base,
    recentCount,
  }
  const blocks = later.length === 0 ? [] : chainBlocks(target, past.chain, later, at)
  const last = blocks.at(-1)
  const all = [...past.chain, ...blocks]
  const overlay = new Overlay(past.overlay.tree)
  for (const entry of overlayEntries(all)) overlay.set(entry)
  const chainFirst = all[0]?.block.first ?? next
  const changes = {
    reason: reason === undefined ? 'rollback' : `rollback: ${reason}`,
    ...source,
    generation,
    snapshot,
    snapshotSeq,
    snapshotTs,
    snapshotCount,
    base,
    head: last?.cid ?? head,
    recentCount: recentCount + later.length,
    chainFirst,
    floor: floorOf(past, chainFirst),
    next: next + later.length,
    nextOrdinal: last === undefined ? nextOrdinal : last.block.ordinal + 1,
    totalCount: await overlay.liveCount(),
  }
  const held: HeldBlock[] = blocks.map(({ cid, bytes }) => ({ cid, bytes, hold: 'deep' }))
  return {
    changes,
    blocks: held,
    result: {
      snapshot,
      seq: snapshotSeq,
      generation: generation.number,
      undo: commit.number,
      recentCount: changes.recentCount,
      totalCount: changes.totalCount,
    },
  }
}

/**
 * Where no block of the chain leads back to the base, the next one comes behind a gap in positions. If the
 * base need not be there, history begins anew: who walks it tells by the floor alone what may be missing.
 */
function floorOf({ fields, chain, end, floor }: Past, chainFirst: number): number {
  const isThere = chain.length > 0 || fields.base === null || end > (floor ?? Infinity)
  return isThere ? Math.min(floor ?? chainFirst, chainFirst) : chainFirst
}
