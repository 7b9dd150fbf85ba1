/**
 * Building a snapshot.
 *
 *   1 fix the head H and the moment       5 write the header and the kept list
 *   2 merge the chain up to H             6 commit { snapshot, base: H }: the pointer advances and
 *   3 stage the nodes that are new          the chain is reset to what came after H
 *   4 read them back and prove them
 *
 * Dying before 6 leaves blocks that nothing names, and the state as it was. Appends go on meanwhile;
 * their entries stay in the chain behind H. If another commit came first, 6 is made again on top of it,
 * as long as the generation and the snapshot are those the build began from; else the build is dropped.
 */
import { CairnError, isCairnError, throwIfAborted } from '../errors.ts'
import { Overlay } from '../chain/overlay.ts'
import type { LoadedBlock } from '../chain/walk.ts'
import { bytesEqual, printCid, type Block, type CidBytes } from '../model/cid.ts'
import type { Commit } from '../model/commit.ts'
import { encodeIpld, type IpldMap } from '../model/ipld.ts'
import { decodeKeptPage, encodeKeptPage, keep } from '../model/kept.ts'
import { decodeSnapshot, encodeSnapshot, type SnapshotHeader } from '../model/snapshot.ts'
import type { HeldBlock, Staging } from '../store/backend.ts'
import { readProvedBlock } from '../store/proved.ts'
import { mergeTree, type MergedTree, type NodeSink } from '../tree/merge.ts'
import { Tree } from '../tree/tree.ts'
import { momentOf, type Context, type LongOptions } from './context.ts'
import { inTurns, newestOf, runsOf, slicesOf } from './chain-edits.ts'
import { HotLeaves } from './keep-hot.ts'
import { checkNotes } from './notes.ts'
import { BuildLaps } from './observe.ts'
import type { Pointer } from './pointer.ts'
import { NodeStager, readBack } from './stage-nodes.ts'
import { endStaging } from './staging.ts'
import { overlayEntries, type State } from './state.ts'

export interface BuildOptions extends LongOptions {
  readonly reason?: string | undefined
  readonly tags?: readonly string[] | undefined
  /** Free metadata of the snapshot; a change of it is worth a build of its own. */
  readonly meta?: IpldMap | undefined
  /** Build even when nothing is new. */
  readonly force?: boolean | undefined
}

export interface BuildReport {
  readonly status: 'built' | 'already_built'
  readonly snapshot: CidBytes
  readonly root: CidBytes
  readonly seq: number
  readonly ts: number
  readonly entries: number
  readonly live: number
  readonly chunkCount: number
  /** Entries of the chain that were folded in. */
  readonly folded: number
  readonly chunksWritten: number
  readonly chunksDropped: number
  readonly blocksWritten: number
  readonly bytesWritten: number
  /** Entries that came in meanwhile and stayed in the chain. */
  readonly recentCount: number
}

export async function buildSnapshot(
  context: Context,
  pointer: Pointer,
  options: BuildOptions = {},
): Promise<BuildReport> {
  checkNotes(options)
  const mend = new Set<string>()
  for (;;) {
    try {
      return await buildOnce(context, pointer, options, mend)
    } catch (error) {
      // A store writes nothing over a block that it has, damaged or not: what is made again is put in its place.
      const cid = isCairnError(error, 'block_mismatch') ? error.details['cid'] : undefined
      if (typeof cid !== 'string' || mend.has(cid)) throw error
      mend.add(cid)
    }
  }
}

async function buildOnce(
  context: Context,
  pointer: Pointer,
  options: BuildOptions,
  mend: ReadonlySet<string>,
): Promise<BuildReport> {
  const { signal, onProgress } = options
  const laps = new BuildLaps()
  const from = await pointer.current(signal)
  const at = momentOf(context, from.commit)
  if (options.force !== true && isUpToDate(from, at, options)) return unchanged(from)

  const staging = await context.backend.stage(pointer.dataset, `snapshot ${from.commit.nextSeq}`, {
    signal,
  })
  let outcome: 'committed' | 'dropped' = 'dropped'
  try {
    const stager = new NodeStager(context, staging, signal, mend)
    laps.end('read')
    const hot = new HotLeaves(context.nodes, from.overlay.tree, stager)
    const merged = await mergeChain(context, from, at, hot, options)
    laps.end('merge')
    await stager.finish()
    laps.end('stage')
    await readBack(context, stager.written, signal, (done) =>
      onProgress?.({ step: 'prove', done, total: stager.written.length }),
    )
    laps.end('prove')
    const header = headerOf(from, merged, at, options)
    const tree = await Tree.open(context.nodes, header.root, signal)
    const committed = await commitSnapshot(context, pointer, from, {
      header,
      tree,
      staging,
      signal,
    })
    outcome = 'committed'
    hot.letGo(tree)
    laps.end('commit')
    laps.tell(context.observe, pointer.dataset)
    context.log.info('snapshot.built', {
      dataset: pointer.dataset,
      seq: header.seq,
      cid: printCid(committed.snapshot),
      folded: from.commit.recentCount,
      chunks_written: merged.stats.leavesAdded,
    })
    return report(from, header, committed, merged, stager)
  } catch (error) {
    // What a build began from may be pruned once it is replaced.
    if (isCairnError(error, 'block_missing'))
      checkUndisturbed(from.commit, (await pointer.current(signal)).commit)
    throw error
  } finally {
    await endStaging(context, staging, { dataset: pointer.dataset, outcome })
  }
}

function isUpToDate(
  { commit, header, overlay }: State,
  at: number,
  options: BuildOptions,
): boolean {
  const { exp } = overlay.tree.root
  // The canonical encoding: the order of keys says nothing.
  const sameMeta =
    options.meta === undefined || bytesEqual(encodeIpld(options.meta), encodeIpld(header.meta))
  const sameTags =
    options.tags === undefined || options.tags.every((tag) => header.tags.includes(tag))
  return commit.recentCount === 0 && (exp === null || exp > at) && sameMeta && sameTags
}

async function mergeChain(
  context: Context,
  from: State,
  at: number,
  sink: NodeSink,
  { signal, onProgress }: BuildOptions,
): Promise<MergedTree> {
  const { header } = from
  const edits = await newestOf(context, from.chain)
  return mergeTree(
    {
      nodes: context.nodes,
      root: header.root,
      leafCount: header.chunkCount,
      chunkSize: header.chunkSize,
      at,
      sink,
      signal,
      onProgress: (done) => onProgress?.({ step: 'merge', done, total: edits.length }),
    },
    inTurns(context, runsOf(edits, header.content)),
  )
}

export function headerOf(
  from: State,
  merged: MergedTree,
  at: number,
  options: BuildOptions,
): SnapshotHeader {
  const { commit, header } = from
  return {
    dataset: commit.identity,
    seq: commit.nextSeq,
    ts: at,
    root: merged.root.cid,
    entries: merged.root.count,
    live: merged.root.live,
    chunkCount: merged.leafCount,
    upto: commit.next,
    chunkSize: header.chunkSize,
    content: header.content,
    reason: options.reason ?? 'build',
    tags: options.tags ?? [],
    meta: options.meta ?? header.meta,
    prev: commit.snapshot,
    head: commit.head ?? commit.base,
  }
}

interface Built {
  readonly header: SnapshotHeader
  readonly tree: Tree
  readonly staging: Staging
  readonly signal: AbortSignal | undefined
}

interface Committed {
  readonly snapshot: CidBytes
  readonly recentCount: number
}

/**
 * Makes the snapshot current, behind whatever was appended since the build began. What came until now is laid
 * over the new tree before the line of moves is entered: appends wait only while the last of it follows.
 */
async function commitSnapshot(
  context: Context,
  pointer: Pointer,
  from: State,
  { header, tree, staging, signal }: Built,
): Promise<Committed> {
  const rest = new Overlay(tree)
  let laid = from.chain.length
  const layOver = async (chain: readonly LoadedBlock[]): Promise<number> => {
    for (const slice of slicesOf(chain.slice(laid))) {
      throwIfAborted(signal)
      for (const entry of overlayEntries(slice)) rest.set(entry)
      // Where each stands is looked up, which takes time.
      await rest.liveCount()
      await context.timers.turn()
    }
    laid = chain.length
    return rest.liveCount()
  }
  checkUndisturbed(from.commit, pointer.seen.commit)
  await layOver(pointer.seen.chain)
  const snapshot = encodeSnapshot(header)
  // The metadata in `header` is the caller's, who may go on changing it.
  const own = decodeSnapshot(snapshot.bytes)
  return pointer.move(
    async (state) => {
      checkUndisturbed(from.commit, state.commit)
      const chain = state.chain.slice(from.chain.length)
      const totalCount = await layOver(state.chain)
      const { changes, blocks } = await snapshotChanges(context, state, header, snapshot)
      const recentCount = state.commit.recentCount - from.commit.recentCount
      return {
        changes: {
          ...changes,
          base: header.head,
          head: recentCount === 0 ? null : state.commit.head,
          recentCount,
          chainFirst: chain[0]?.block.first ?? state.commit.next,
          totalCount,
        },
        blocks,
        staging,
        become: (stored) => ({ stored, commit: stored.commit, header: own, chain, overlay: rest }),
        result: { snapshot: snapshot.cid, recentCount },
      }
    },
    { signal, fresh: true },
  )
}

/** The fields and blocks by which a commit takes up a new snapshot. */
export async function snapshotChanges(
  context: Context,
  state: State,
  header: SnapshotHeader,
  snapshot: Block,
): Promise<{ changes: Partial<Commit> & { reason: string }; blocks: HeldBlock[] }> {
  const { commit } = state
  const page = decodeKeptPage(await readProvedBlock(context.backend, commit.kept, 'the kept list'))
  const { seq, ts, entries, live, reason, tags } = header
  const one = { cid: snapshot.cid, seq, ts, entries, live, reason, tags }
  const kept = encodeKeptPage(keep({ page, cid: commit.kept }, one))
  return {
    changes: {
      reason,
      ts,
      snapshot: snapshot.cid,
      snapshotSeq: seq,
      nextSeq: seq + 1,
      snapshotTs: ts,
      snapshotCount: live,
      kept: kept.cid,
      keptCount: commit.keptCount + 1,
    },
    blocks: [
      { ...snapshot, hold: 'self' },
      { ...kept, hold: 'self' },
    ],
  }
}

/** The build stands on a generation and a snapshot; if either was replaced, its result means nothing. */
function checkUndisturbed(from: Commit, now: Commit): void {
  if (from.generation.tag === now.generation.tag && bytesEqual(from.snapshot, now.snapshot)) return
  throw new CairnError(
    'conflict',
    'The build was dropped: another snapshot became current meanwhile.',
    {
      hint: 'Nothing was changed. Build again if there is still something new.',
      current_snapshot: printCid(now.snapshot),
    },
  )
}

function unchanged({ commit, header }: State): BuildReport {
  return {
    status: 'already_built',
    snapshot: commit.snapshot,
    ...described(header),
    folded: 0,
    chunksWritten: 0,
    chunksDropped: 0,
    blocksWritten: 0,
    bytesWritten: 0,
    recentCount: commit.recentCount,
  }
}

function report(
  from: State,
  header: SnapshotHeader,
  committed: Committed,
  { stats }: MergedTree,
  stager: NodeStager,
): BuildReport {
  return {
    status: 'built',
    snapshot: committed.snapshot,
    ...described(header),
    folded: from.commit.recentCount,
    chunksWritten: stats.leavesAdded,
    chunksDropped: stats.leavesRemoved,
    blocksWritten: stager.written.length,
    bytesWritten: stager.bytes,
    recentCount: committed.recentCount,
  }
}

function described({
  root,
  seq,
  ts,
  entries,
  live,
  chunkCount,
}: SnapshotHeader): Pick<BuildReport, 'root' | 'seq' | 'ts' | 'entries' | 'live' | 'chunkCount'> {
  return { root, seq, ts, entries, live, chunkCount }
}
