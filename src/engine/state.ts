/**
 * State: all that follows from one commit, read and proved: the snapshot's header and tree, the recent
 * chain, and the overlay of the chain over the tree.
 *
 * A state is made from the one before where it can be: the same snapshot keeps its tree, and a chain
 * that only grew is read no further than to the blocks already known.
 */
import { CairnError } from '../errors.ts'
import { readChain, walkBack, type LoadedBlock } from '../chain/walk.ts'
import { Overlay, type OverlayEntry } from '../chain/overlay.ts'
import { bytesEqual, printCid, sameCid, type CidBytes } from '../model/cid.ts'
import { POINTER_HINT, type Commit, type EncodedCommit } from '../model/commit.ts'
import { keyOf } from '../model/entity-id.ts'
import { decodeSnapshot, type SnapshotHeader } from '../model/snapshot.ts'
import { readProvedBlock } from '../store/proved.ts'
import { Tree } from '../tree/tree.ts'
import type { Context } from './context.ts'

export interface State {
  readonly stored: EncodedCommit
  readonly commit: Commit
  readonly header: SnapshotHeader
  /** The recent chain, oldest first. */
  readonly chain: readonly LoadedBlock[]
  readonly overlay: Overlay
}

/** A state that is ready but for the entries its overlay, which readers may be using, has yet to get. */
export interface PreparedState {
  readonly state: State
  readonly entries: readonly OverlayEntry[]
}

export async function prepareState(
  context: Context,
  stored: EncodedCommit,
  before?: State,
  signal?: AbortSignal,
): Promise<PreparedState> {
  const { commit } = stored
  const sameSnapshot = before !== undefined && bytesEqual(before.commit.snapshot, commit.snapshot)
  const header = sameSnapshot ? before.header : await readHeader(context, commit, signal)
  const chain = await loadChain(context, commit, before, signal)
  checkSnapshot(commit, header)
  checkChain(commit, chain)
  if (sameSnapshot && extendsChain(before.chain, chain)) {
    const state = { stored, commit, header, chain, overlay: before.overlay }
    return { state, entries: overlayEntries(chain.slice(before.chain.length)) }
  }
  const tree = sameSnapshot ? before.overlay.tree : await openTree(context, header, signal)
  return {
    state: { stored, commit, header, chain, overlay: new Overlay(tree) },
    entries: overlayEntries(chain),
  }
}

/** Puts the entries into the overlay; from now on the state may be read. */
export function completeState({ state, entries }: PreparedState): State {
  for (const entry of entries) state.overlay.set(entry)
  return state
}

/**
 * The state behind a commit that did nothing but append `blocks` to the chain of `from`, whose overlay takes
 * their entries.
 */
export function extendedState(
  { header, chain, overlay }: State,
  blocks: readonly LoadedBlock[],
  stored: EncodedCommit,
): State {
  for (const entry of overlayEntries(blocks)) overlay.set(entry)
  return { stored, commit: stored.commit, header, chain: [...chain, ...blocks], overlay }
}

export function overlayEntries(blocks: readonly LoadedBlock[]): OverlayEntry[] {
  return blocks.flatMap(({ block }) =>
    block.entries.map((entry, i) => ({ key: keyOf(entry.pi), entry, position: block.first + i })),
  )
}

export async function readHeader(
  context: Pick<Context, 'backend'>,
  commit: Pick<Commit, 'snapshot' | 'identity' | 'origins'>,
  signal?: AbortSignal,
): Promise<SnapshotHeader> {
  const cid = commit.snapshot
  const header = decodeSnapshot(
    await readProvedBlock(context.backend, cid, 'the snapshot', { signal }),
  )
  if (identitiesOf(commit).includes(header.dataset)) return header
  throw new CairnError(
    'invalid_block',
    `The snapshot ${printCid(cid)} belongs to another dataset.`,
    {
      hint: 'The index pointer was tampered with; restore the dataset from a backup.',
      cid: printCid(cid),
    },
  )
}

/** The identities that the blocks of a dataset may carry. */
export function identitiesOf({
  identity,
  origins,
}: Pick<Commit, 'identity' | 'origins'>): string[] {
  return [identity, ...origins]
}

export async function openTree(
  context: Context,
  header: SnapshotHeader,
  signal?: AbortSignal,
): Promise<Tree> {
  const tree = await Tree.open(context.nodes, header.root, signal)
  const { node } = await context.nodes.readRoot(header.root, signal)
  // Leaves are counted where that takes no further reads.
  const chunks = node.level === 0 ? 1 : node.level === 1 ? node.count : header.chunkCount
  const { count, live } = tree.root
  if (count === header.entries && live === header.live && chunks === header.chunkCount) return tree
  throw new CairnError(
    'invalid_block',
    `The snapshot ${header.seq} counts other entries than its tree holds.`,
    {
      hint: 'The snapshot was not written by Cairn; restore the dataset from a backup.',
      cid: printCid(header.root),
    },
  )
}

async function loadChain(
  context: Context,
  commit: Commit,
  before: State | undefined,
  signal: AbortSignal | undefined,
): Promise<readonly LoadedBlock[]> {
  const walk = {
    head: commit.head,
    base: commit.base,
    identities: identitiesOf(commit),
    floor: commit.floor,
    signal,
  }
  const known = before === undefined ? undefined : knownChain(before, commit.base)
  if (known === undefined) return readChain(context.backend, walk)
  const newest = known.at(-1)
  const fresh: LoadedBlock[] = []
  for await (const one of walkBack(context.backend, walk)) {
    if (newest !== undefined && bytesEqual(one.cid, newest.cid))
      return [...known, ...fresh.reverse()]
    fresh.push(one)
  }
  return fresh.reverse()
}

/** The part of an older state's chain behind `base`; undefined when the chain did not pass there. */
function knownChain(before: State, base: CidBytes | null): readonly LoadedBlock[] | undefined {
  if (sameCid(before.commit.base, base)) return before.chain
  if (base === null) return undefined
  const index = before.chain.findIndex(({ cid }) => bytesEqual(cid, base))
  return index < 0 ? undefined : before.chain.slice(index + 1)
}

function extendsChain(old: readonly LoadedBlock[], chain: readonly LoadedBlock[]): boolean {
  if (old.length > chain.length) return false
  const first = old[0]
  const last = old.at(-1)
  if (first === undefined || last === undefined) return true
  const newFirst = chain[0]
  const newLast = chain[old.length - 1]
  return (
    newFirst !== undefined &&
    newLast !== undefined &&
    bytesEqual(first.cid, newFirst.cid) &&
    bytesEqual(last.cid, newLast.cid)
  )
}

/** What the commit says of its snapshot must be what the header says (promise 7). */
export function checkSnapshot({ settings, ...commit }: Commit, header: SnapshotHeader): void {
  const change = Math.abs(commit.totalCount - header.live)
  const agrees =
    commit.snapshotSeq === header.seq &&
    commit.snapshotTs === header.ts &&
    commit.snapshotCount === header.live &&
    settings.chunkSize === header.chunkSize &&
    settings.content === header.content &&
    header.upto <= commit.next &&
    change <= commit.recentCount
  if (agrees) return
  throw new CairnError(
    'pointer_damaged',
    `The index pointer does not agree with its snapshot ${header.seq} of ${header.live} entities.`,
    {
      hint: POINTER_HINT,
      expected: header.live,
      actual: commit.snapshotCount,
      total_count: commit.totalCount,
    },
  )
}

/** What the commit says of its chain must be what the chain is (promise 7). */
function checkChain(commit: Commit, chain: readonly LoadedBlock[]): void {
  let count = 0
  for (const { block } of chain) count += block.entries.length
  const first = chain[0]?.block.first ?? commit.chainFirst
  if (count === commit.recentCount && first === commit.chainFirst) return
  throw new CairnError(
    'pointer_damaged',
    `The index pointer counts ${commit.recentCount} recent entries from position ${commit.chainFirst} on, the chain holds ${count} from ${first} on.`,
    { hint: POINTER_HINT },
  )
}
