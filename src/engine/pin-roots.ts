/**
 * Pin roots: what other nodes pin, so that a state outlives the store. Each is the root of the CAR that an
 * export of the state would give: a checkpoint. Whoever pins it with all that it links to has what a restore
 * needs. No backend holds such a block, so pinning and letting go of it touches no hold of the store
 * (docs/adr/0020-replicated-pins.md).
 */
import { cidKey, type Block, type CidBytes } from '../model/cid.ts'
import type { Commit } from '../model/commit.ts'
import type { CallOptions } from '../store/backend.ts'
import { checkpointOf, type ExportedState } from './checkpoint.ts'
import type { Context } from './context.ts'
import { releaseLease, takeLease } from './lease.ts'
import type { Pointer } from './pointer.ts'
import { keptSnapshots } from './snapshots.ts'
import { readHeader, type State } from './state.ts'

export interface PinRoot {
  readonly cid: CidBytes
  /** Of the snapshot. */
  readonly seq: number
  /** Entries of the recent chain over it; 0 for the snapshot alone. */
  readonly recent: number
  /** What no store holds: the lists of the chain, and last the root. */
  readonly blocks: readonly Block[]
}

export interface PinRoots {
  readonly identity: string
  /** Newest first: the current state, where it is more than its snapshot, and each kept snapshot. */
  readonly roots: readonly PinRoot[]
}

/** Calls `use` with a lease on all that the roots reach. */
export async function withPinRoots<T>(
  context: Context,
  pointer: Pointer,
  use: (found: PinRoots) => Promise<T>,
  options: CallOptions = {},
): Promise<T> {
  for (;;) {
    const found = await pointer.reading(
      (state) => findRoots(context, state, options),
      options.signal,
    )
    const { commit, snapshots } = found
    const lease = await takeLease(
      context,
      { dataset: pointer.dataset, commit: commit.number, snapshots, purpose: 'pins' },
      options,
    )
    try {
      // A prune that came between did not know of it.
      if (await stillKept(context, pointer, found, options)) return await use(found)
    } finally {
      await releaseLease(context, lease)
    }
  }
}

interface FoundRoots extends PinRoots {
  readonly commit: Commit
  readonly snapshots: readonly CidBytes[]
}

async function findRoots(
  context: Context,
  state: State,
  { signal }: CallOptions,
): Promise<FoundRoots> {
  const { commit, header } = state
  const roots: PinRoot[] = []
  const snapshots: CidBytes[] = []
  if (state.chain.length > 0)
    roots.push(rootOf({ state, snapshot: commit.snapshot, header, withChain: true }))
  for await (const { cid } of keptSnapshots(context, commit, signal)) {
    snapshots.push(cid)
    const of = await readHeader(context, { ...commit, snapshot: cid }, signal)
    roots.push(rootOf({ state, snapshot: cid, header: of, withChain: false }))
  }
  return { identity: commit.identity, roots, commit, snapshots }
}

function rootOf(exported: ExportedState): PinRoot {
  const { state, header, withChain } = exported
  const { settings, recentCount } = state.commit
  const content = settings.content === 'linked' ? 'full' : 'index'
  const blocks = checkpointOf(exported, content, null)
  const { cid } = blocks.at(-1) as Block
  return { cid, seq: header.seq, recent: withChain ? recentCount : 0, blocks }
}

async function stillKept(
  context: Context,
  pointer: Pointer,
  { commit, snapshots }: FoundRoots,
  { signal }: CallOptions,
): Promise<boolean> {
  const now = (await pointer.current(signal)).commit
  if (now.oldest > commit.number) return false
  const kept = new Set<string>()
  for await (const { cid } of keptSnapshots(context, now, signal)) kept.add(cidKey(cid))
  return snapshots.every((cid) => kept.has(cidKey(cid)))
}
