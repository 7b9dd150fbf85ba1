/**
 * Exporting a state as the blocks of a CAR: the checkpoint, and all that it reaches, in one fixed order,
 * so that the same state gives the same bytes.
 *
 *   1 take a lease on the state, so that no prune takes from it meanwhile
 *   2 make the checkpoint
 *   3 walk all that it reaches, hash it, and hand it over
 *
 * A delta leaves out what a base snapshot reaches: its nodes, and the content of entries that have not
 * changed since, or that their old versions had, too.
 */
import type { BlockWriter, CarWritten } from '../car/writer.ts'
import { CairnError } from '../errors.ts'
import type { CarContent } from '../model/checkpoint.ts'
import { bytesEqual, type CidBytes } from '../model/cid.ts'
import type { SnapshotHeader } from '../model/snapshot.ts'
import { walkContent } from '../reach/content.ts'
import { EntriesDone } from '../reach/entries-done.ts'
import { seenIn, type Seen, type Visitor } from '../reach/met.ts'
import { blocksInMemory, localSource, storeSource, streamSource } from '../reach/source.ts'
import { Walk } from '../reach/walk.ts'
import { DigestMap } from '../util/digest-map.ts'
import { noCounts, type CarCounts } from './car-counts.ts'
import { checkpointOf, type ExportedState } from './checkpoint.ts'
import type { Context, LongOptions } from './context.ts'
import { deltaBetween, type Delta } from './delta.ts'
import { releaseLease, takeLease } from './lease.ts'
import type { Pointer } from './pointer.ts'
import { findHeader, type FoundHeader } from './snapshots.ts'
import type { State } from './state.ts'

export interface ExportCarOptions extends LongOptions {
  /** How much content goes in; `full` unless given. */
  readonly content?: CarContent | undefined
  /** A kept snapshot, without the recent chain, instead of the current state. */
  readonly snapshot?: string | undefined
  /** Only what this kept snapshot does not reach. */
  readonly since?: string | undefined
  /** The folder for what does not fit in memory; the system's unless given. */
  readonly tempDir?: string | undefined
}

export interface ExportedCar extends CarWritten {
  /** The root of the CAR. */
  readonly checkpoint: CidBytes
  readonly snapshot: CidBytes
  readonly since: CidBytes | null
  readonly content: CarContent
  readonly dataset: string
  readonly seq: number
  /** Why the snapshot was built. */
  readonly reason: string
  /** The moment of the newest entry, or of the snapshot: a restore brings everything back up to it. */
  readonly ts: number
  readonly next: number
  readonly recentCount: number
  readonly totalCount: number
  readonly counts: CarCounts
}

/** `begin` is told the root and answers with what takes the blocks. */
export async function exportCar(
  context: Context,
  pointer: Pointer,
  begin: (root: CidBytes) => Promise<BlockWriter>,
  options: ExportCarOptions = {},
): Promise<ExportedCar> {
  const { exported, base, release } = await leasedState(context, pointer, options)
  const { tempDir } = options
  const [written, old] = [new DigestMap({ tempDir }), new DigestMap({ tempDir })]
  try {
    const [seen, before] = [seenIn(written), seenIn(old)]
    const delta = base && (await deltaFrom(context, base.header, exported.header, before, options))
    try {
      return await writeBlocks(context, exported, base?.cid ?? null, {
        begin,
        delta,
        options,
        seen,
        seenContent: {
          has: (cid) => before.has(cid) || seen.has(cid),
          add: (cid) => seen.add(cid),
        },
      })
    } finally {
      delta?.close()
    }
  } finally {
    written.close()
    old.close()
    await release()
  }
}

interface LeasedState {
  readonly exported: ExportedState
  readonly base: FoundHeader | undefined
  readonly release: () => Promise<void>
}

/** Finds what to export and takes a lease on it; looks again, since a prune may have come between. */
async function leasedState(
  context: Context,
  pointer: Pointer,
  options: ExportCarOptions,
): Promise<LeasedState> {
  const { signal } = options
  for (;;) {
    const found = await findState(context, pointer, options)
    const { state, snapshot } = found.exported
    const lease = await takeLease(
      context,
      {
        dataset: pointer.dataset,
        commit: state.commit.number,
        snapshots: [snapshot, ...(found.base === undefined ? [] : [found.base.cid])],
        purpose: 'export',
      },
      { signal },
    )
    const release = (): Promise<void> => releaseLease(context, lease)
    try {
      const { commit } = await pointer.current(signal)
      const again = await findState(context, pointer, options)
      const same = bytesEqual(again.exported.snapshot, snapshot) || options.snapshot === undefined
      // A selector may mean another snapshot now, and the base that was found be forgotten.
      const sameBase =
        found.base === undefined ||
        (again.base !== undefined && bytesEqual(again.base.cid, found.base.cid))
      if (commit.oldest <= state.commit.number && same && sameBase) return { ...found, release }
    } catch (error) {
      await release()
      throw error
    }
    await release()
  }
}

function findState(
  context: Context,
  pointer: Pointer,
  options: ExportCarOptions,
): Promise<Omit<LeasedState, 'release'>> {
  return pointer.reading((state) => findIn(context, state, options), options.signal)
}

async function findIn(
  context: Context,
  state: State,
  { snapshot, since, signal }: ExportCarOptions,
): Promise<Omit<LeasedState, 'release'>> {
  const kept = (selector: string): Promise<FoundHeader> =>
    findHeader(context, state.commit, selector, signal)
  const base = since === undefined ? undefined : await kept(since)
  if (snapshot === undefined) {
    const { commit, header } = state
    return { exported: { state, snapshot: commit.snapshot, header, withChain: true }, base }
  }
  const { cid, header } = await kept(snapshot)
  return { exported: { state, snapshot: cid, header, withChain: false }, base }
}

/** Marks the content that the old versions of changed entries had as seen: the base has it. */
async function deltaFrom(
  context: Context,
  base: SnapshotHeader,
  header: SnapshotHeader,
  seen: Seen,
  { content = 'full', signal }: ExportCarOptions,
): Promise<Delta> {
  const silent: Visitor = {
    problem: (error) => {
      throw error
    },
  }
  const source = storeSource(context.backend)
  const follow = header.content === 'linked' && content !== 'index'
  return deltaBetween(context.nodes, base, header, {
    signal,
    onOldTips: follow
      ? (tips) =>
          walkContent({ source, seen, visitor: silent, deep: content === 'full', signal }, tips)
      : undefined,
  })
}

interface Parts {
  readonly begin: (root: CidBytes) => Promise<BlockWriter>
  readonly delta: Delta | undefined
  readonly options: ExportCarOptions
  readonly seen: Seen
  /** Also the content that the base has, which may be blocks of the engine: as those they are written. */
  readonly seenContent: Seen
}

async function writeBlocks(
  context: Context,
  exported: ExportedState,
  since: CidBytes | null,
  { begin, delta, options, seen, seenContent }: Parts,
): Promise<ExportedCar> {
  const { content = 'full', signal, onProgress } = options
  const made = checkpointOf(exported, content, since)
  const root = made.at(-1)
  if (root === undefined) throw new CairnError('internal', 'an export without a checkpoint')
  const writer = await begin(root.cid)
  const counts = noCounts()
  // What a delta leaves out is not counted beforehand.
  const total = delta === undefined ? { total: entriesOf(exported) } : {}
  const entries = new EntriesDone((done) => onProgress?.({ step: 'export', done, ...total }))
  const visitor: Visitor = {
    block(met) {
      counts[met.kind] += 1
      entries.block(met)
      return writer.put(met.cid, met.bytes)
    },
    leave: (met) => entries.leave(met),
    problem(error) {
      throw error
    },
  }
  const store = sourceOf(context, exported, content, since)
  try {
    const walk = new Walk({
      source: localSource([blocksInMemory(made)], store),
      visitor,
      seen,
      seenContent,
      content,
      skipNode: delta && ((cid) => delta.hasNode(cid)),
      wantsTip: delta && ((tip) => delta.hasChangedTip(tip)),
      signal,
    })
    await walk.checkpoint(root.cid)
  } finally {
    await store.close?.()
  }
  const written = await writer.finish()
  return { ...written, ...described(exported), checkpoint: root.cid, since, content, counts }
}

function entriesOf({ state, header, withChain }: ExportedState): number {
  return header.entries + (withChain ? state.commit.recentCount : 0)
}

/** A store that streams whole DAGs is asked for the snapshot at once, when all of it is wanted. */
function sourceOf(
  { backend }: Context,
  { snapshot }: ExportedState,
  content: CarContent,
  since: CidBytes | null,
): ReturnType<typeof storeSource> & { close?(): Promise<void> } {
  const store = storeSource(backend)
  if (backend.readDag === undefined || content !== 'full' || since !== null) return store
  return streamSource(backend.readDag(snapshot), store)
}

function described({
  state,
  snapshot,
  header,
  withChain,
}: ExportedState): Pick<
  ExportedCar,
  'snapshot' | 'dataset' | 'seq' | 'reason' | 'ts' | 'next' | 'recentCount' | 'totalCount'
> {
  const { commit, chain } = state
  const newest = withChain ? chain.at(-1)?.block.ts : undefined
  return {
    snapshot,
    dataset: commit.dataset,
    seq: header.seq,
    reason: header.reason,
    ts: Math.max(header.ts, newest ?? 0),
    next: withChain ? commit.next : header.upto,
    recentCount: withChain ? commit.recentCount : 0,
    totalCount: withChain ? commit.totalCount : header.live,
  }
}
