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
import { cidKey, type Block, type CidBytes } from '../model/cid.ts'
import type { Commit, EncodedCommit } from '../model/commit.ts'
import type { Entry } from '../model/entry.ts'
import type { KeptSnapshot } from '../model/kept.ts'
import type { HeldBlock } from '../store/backend.ts'
import { pick } from '../util/record.ts'
import { chainBlocks } from '../chain/extend.ts'
import { checkedCommit } from './checked-commit.ts'
import { momentOf, type Context } from './context.ts'
import { damagedCommits, isDamage, isMarkedDamaged, unmarked } from './damage.ts'
import { checkNotes } from './notes.ts'
import type { Move, Pointer } from './pointer.ts'
import { StateProof, type Damage } from './prove-state.ts'
import { keptPages } from './prune/kept-pages.ts'
import { commitLog, commitWith, floorAt, newestOf } from './prune/log.ts'
import { findSnapshot, keptSnapshots } from './snapshots.ts'
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
      const past = await pastOf(context, state.commit, target, signal)
      const kept = keepChain ? await entriesNotIn(context, state, past, signal) : []
      const why = reason === undefined ? 'rollback' : `rollback: ${reason}`
      return planRollback(context, state.commit, past, { reason: why, later: kept })
    },
    { signal, fresh: true },
  )
}

/** The fields of a commit that say what is current. */
const CURRENT_FIELDS = [
  'identity',
  'origins',
  'settings',
  'snapshot',
  'snapshotSeq',
  'snapshotTs',
  'snapshotCount',
  'head',
  'base',
  'recentCount',
] as const

/** What was current, and the chain it names. */
export interface Past {
  readonly fields: Pick<Commit, (typeof CURRENT_FIELDS)[number]>
  readonly chain: readonly LoadedBlock[]
  readonly overlay: Overlay
  /** The position behind its log. */
  readonly end: number
  /** How far its log is surely there; undefined where nothing of it need be. */
  readonly floor: number | undefined
  /** The newest commit of its identity, behind which positions and numbers go on. */
  readonly newest: Commit
  /** The pages of a kept list that comes with it, which `newest` names; none unless given. */
  readonly pages?: readonly Block[]
}

async function pastOf(
  context: Context,
  now: Commit,
  target: RollbackTarget,
  signal: AbortSignal | undefined,
): Promise<Past> {
  const { snapshot, commit } = target
  if ((snapshot === undefined) === (commit === undefined)) {
    throw new CairnError('usage', 'A rollback goes to one snapshot or to one commit.', {
      hint: 'Name a snapshot (latest~1, seq:7, a CID) or a commit number, not both.',
    })
  }
  if (commit !== undefined) return pastCommit(context, now, commit, signal)
  return pastSnapshot(context, now, snapshot ?? '', signal)
}

async function pastCommit(
  context: Context,
  now: Commit,
  number: number,
  signal: AbortSignal | undefined,
): Promise<Past> {
  const kept = await readableKeptList(context, now, signal)
  const mark = damagedCommits(kept).find(({ from, to }) => from <= number && number <= to)
  const stored =
    mark?.to === number
      ? await readFallenFrom(context, now, number, signal)
      : await readCommit(context, now, number, signal)
  if (mark !== undefined) {
    await proveMended(context, `Commit ${number}`, signal, async (proof) => {
      return (await proof.tree(stored.commit)) ?? (await proof.chain(stored.commit))?.damage
    })
  }
  const past = await pastState(context, now, stored, signal)
  if (mark === undefined || past.newest !== now) return past
  const pages = keptPages(unmarked(kept, mark))
  return { ...past, newest: { ...now, kept: pages.at(-1)?.cid ?? now.kept }, pages }
}

/** The state of a commit as one to go back to. */
export async function pastState(
  context: Context,
  now: Commit,
  stored: EncodedCommit,
  signal: AbortSignal | undefined,
): Promise<Past> {
  const past = completeState(await prepareState(context, stored, undefined, signal))
  const { commit, chain, overlay } = past
  const log = commitLog(context, now, now.oldest, signal)
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

/** Oldest first; without what a list that is damaged would have named. */
async function readableKeptList(
  context: Context,
  commit: Commit,
  signal: AbortSignal | undefined,
): Promise<KeptSnapshot[]> {
  const kept: KeptSnapshot[] = []
  try {
    for await (const one of keptSnapshots(context, commit, signal)) kept.push(one)
  } catch (error) {
    if (!isDamage(error)) throw error
    return []
  }
  return kept.reverse()
}

/** The commit that a dataset fell back from is there as long as its mark, whatever a prune has forgotten. */
async function readFallenFrom(
  context: Context,
  { dataset }: Commit,
  number: number,
  signal: AbortSignal | undefined,
): Promise<EncodedCommit> {
  const bytes = await context.backend.getCommit(dataset, number, { signal })
  if (bytes !== undefined) return checkedCommit(dataset, number, bytes)
  throw new CairnError('not_found', `Commit ${number} of "${dataset}" is not kept.`, {
    hint: 'It was found damaged, and is gone since.',
  })
}

/** What was found damaged becomes current again only when it is proved whole. */
async function proveMended(
  context: Context,
  name: string,
  signal: AbortSignal | undefined,
  prove: (proof: StateProof) => Promise<Damage | undefined>,
): Promise<void> {
  const proof = new StateProof(context, { signal })
  try {
    const damage = await prove(proof)
    if (damage === undefined) return
    const { code, message, what, cid } = damage
    throw new CairnError(code, `${name} is still damaged. ${message}`, {
      hint: 'Repair it first, from another store or a CAR: `cairn verify`, then `cairn repair`.',
      what,
      ...(cid === null ? {} : { cid }),
    })
  } finally {
    proof.close()
  }
}

async function pastSnapshot(
  context: Context,
  commit: Commit,
  selector: string,
  signal: AbortSignal | undefined,
): Promise<Past> {
  const kept = await findSnapshot(context, commit, selector, signal)
  const { cid } = kept
  if (isMarkedDamaged(kept)) {
    const then = { ...commit, snapshot: cid }
    await proveMended(context, `Snapshot ${kept.seq}`, signal, (proof) => proof.tree(then))
  }
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

interface PlanOptions {
  readonly reason: string
  /** Entries that come behind the chain of the past state. */
  readonly later?: readonly Entry[] | undefined
}

export async function planRollback(
  context: Context,
  commit: Commit,
  past: Past,
  { reason, later = [] }: PlanOptions,
): Promise<Move<RollbackReport>> {
  const current = {
    ...pick(past.fields, ...CURRENT_FIELDS),
    ...pick(past.newest, 'kept', 'keptCount', 'next', 'nextOrdinal', 'nextSeq'),
  }
  const at = momentOf(context, commit)
  const generation = {
    number: commit.generation.number + 1,
    tag: Buffer.from(context.randomBytes(8)).toString('hex'),
  }
  const blocks =
    later.length === 0 ? [] : chainBlocks({ ...commit, ...current }, past.chain, later, at)
  const last = blocks.at(-1)
  const all = [...past.chain, ...blocks]
  const overlay = new Overlay(past.overlay.tree)
  for (const entry of overlayEntries(all)) overlay.set(entry)
  const chainFirst = all[0]?.block.first ?? current.next
  const changes = {
    ...current,
    reason,
    generation,
    head: last?.cid ?? current.head,
    recentCount: current.recentCount + later.length,
    chainFirst,
    floor: floorOf(past, chainFirst),
    next: current.next + later.length,
    nextOrdinal: last === undefined ? current.nextOrdinal : last.block.ordinal + 1,
    totalCount: await overlay.liveCount(),
  }
  const held: HeldBlock[] = blocks.map(({ cid, bytes }) => ({ cid, bytes, hold: 'deep' }))
  const pages: HeldBlock[] = (past.pages ?? []).map((page) => ({ ...page, hold: 'self' }))
  return {
    changes,
    blocks: [...held, ...pages],
    result: {
      snapshot: changes.snapshot,
      seq: changes.snapshotSeq,
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
