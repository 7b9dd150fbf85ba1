/**
 * The log of a dataset, read forwards: every entry in the order of positions, those that are folded into
 * snapshots and those of the recent chain.
 *
 * Within one generation the log only grows at its end and, by prunes, loses what lies below its floor; so
 * an entry that was read keeps its place. A rollback or a restore begins a new generation, whose log may
 * have other entries at positions that were read before, and leaves gaps.
 */
import { blocksAlong, layTrail, type Trail, type Way } from '../chain/trail.ts'
import { indexFrom, type LoadedBlock } from '../chain/walk.ts'
import { CairnError } from '../errors.ts'
import type { ChainBlock } from '../model/chain-block.ts'
import type { Commit } from '../model/commit.ts'
import type { Generation } from '../model/generation.ts'
import type { CallOptions } from '../store/backend.ts'
import type { Context } from './context.ts'
import type { LoggedEntry } from './history.ts'
import type { Pointer } from './pointer.ts'
import { identitiesOf, type State } from './state.ts'

export interface LogOptions extends CallOptions {
  /** The first position that is asked for; the oldest that is kept unless given. */
  readonly since?: number | undefined
  /** 1 to 10,000; 100 unless given. */
  readonly limit?: number | undefined
}

export interface LogPage {
  /** In the order of positions; fewer than the limit only at the end of the log. */
  readonly items: readonly LoggedEntry[]
  /** Where the next page begins. */
  readonly next: number
  readonly generation: Generation
  /** The oldest position that is kept. */
  readonly floor: number
}

/** What a reader of the log needs of a state; without its overlay, which a slow one need not hold. */
export interface LogView {
  readonly commit: Commit
  readonly chain: readonly LoadedBlock[]
  /** The position behind the newest entry that is folded. */
  readonly upto: number
}

export const logViewOf = ({ commit, chain, header }: State): LogView => ({
  commit,
  chain,
  upto: header.upto,
})

const MAX_PAGE = 10_000
const DEFAULT_PAGE = 100

export async function logPage(
  context: Context,
  pointer: Pointer,
  { since, limit = DEFAULT_PAGE, signal }: LogOptions = {},
): Promise<LogPage> {
  checkLimit(limit)
  return pointer.reading(async (state) => {
    const view = logViewOf(state)
    const { generation, floor, next } = view.commit
    const items: LoggedEntry[] = []
    for await (const batch of logFrom(context, pointer, view, since ?? floor, signal)) {
      for (const item of batch) {
        items.push(item)
        if (items.length === limit) return { items, next: item.position + 1, generation, floor }
      }
    }
    return { items, next, generation, floor }
  }, signal)
}

export function checkLimit(limit: number): void {
  if (Number.isInteger(limit) && limit >= 1 && limit <= MAX_PAGE) return
  throw new CairnError('usage', `A page of ${limit} entries cannot be given.`, {
    hint: `Use a limit from 1 to ${MAX_PAGE}.`,
  })
}

/** All entries from the position `since` on, a block's at a time. */
export async function* logFrom(
  context: Context,
  pointer: Pointer,
  view: LogView,
  since: number,
  signal?: AbortSignal,
): AsyncGenerator<readonly LoggedEntry[]> {
  const { commit, chain } = view
  checkPlace(commit, since)
  if (since < commit.chainFirst) {
    for await (const block of foldedFrom(context, pointer, view, since, signal))
      yield entriesFrom(block, since)
  }
  for (let i = indexFrom(chain, since); i < chain.length; i++) {
    const block = chain[i]?.block
    if (block !== undefined) yield entriesFrom(block, since)
  }
}

function checkPlace({ dataset, floor, next }: Commit, since: number): void {
  if (!Number.isSafeInteger(since) || since < 0 || since > next) {
    const code = Number.isSafeInteger(since) && since > next ? 'not_found' : 'usage'
    throw new CairnError(code, `The log of "${dataset}" has no position ${since}.`, {
      hint: `Its entries have the positions from ${floor} to below ${next}.`,
      floor,
      next,
    })
  }
  if (since >= floor) return
  throw new CairnError(
    'history_gone',
    `The log of "${dataset}" is not kept from position ${since} on: it begins at ${floor}.`,
    {
      hint: 'Read the entities as they are now, then go on from the position of that moment.',
      floor,
      next,
    },
  )
}

/** The trail that was laid last, for who reads on; one that begins earlier serves those behind it, too. */
const trails = new WeakMap<Pointer, { readonly tag: string; readonly trail: Trail }>()

async function* foldedFrom(
  context: Context,
  pointer: Pointer,
  { commit, upto }: LogView,
  since: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<ChainBlock> {
  const { tag } = commit.generation
  const way: Way = {
    head: commit.base,
    identities: identitiesOf(commit),
    floor: commit.floor,
    next: upto,
    signal,
  }
  for (let from = since; from < commit.chainFirst;) {
    const known = trails.get(pointer)
    const covers = known?.tag === tag && known.trail.low <= from && from < known.trail.high
    const trail = covers
      ? known.trail
      : await layTrail(context.backend, way, from, commit.chainFirst)
    if (!covers) trails.set(pointer, { tag, trail })
    for await (const block of blocksAlong(context.backend, way, trail, from)) {
      // What a newer state has folded since is of its chain here.
      if (block.first >= commit.chainFirst) return
      yield block
    }
    from = trail.high
  }
}

function entriesFrom({ first, entries }: ChainBlock, since: number): LoggedEntry[] {
  const skip = Math.max(0, since - first)
  return entries.slice(skip).map((entry, i) => ({ entry, position: first + skip + i }))
}
