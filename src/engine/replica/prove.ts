/**
 * What a commit of a source says is held against what lies in the target, all of which is there by then: before
 * the target's pointer moves, and whoever sent it (promise 7). The blocks themselves were proved by the copy.
 */
import { CairnError } from '../../errors.ts'
import type { EncodedCommit } from '../../model/commit.ts'
import { liveOf } from '../../model/entry.ts'
import { DAMAGED_HINT } from '../../model/ipld.ts'
import type { KeptSnapshot } from '../../model/kept.ts'
import type { SnapshotHeader } from '../../model/snapshot.ts'
import type { Overlay, OverlayEntry } from '../../chain/overlay.ts'
import { OrderedLookup } from '../../tree/ordered-lookup.ts'
import type { Context } from '../context.ts'
import { completeState, identitiesOf, openTree, prepareState } from '../state.ts'
import type { PreparedState, State } from '../state.ts'

/** The state behind the commit. `before` is the target's own, whose overlay it may extend. */
export async function proveState(
  context: Context,
  stored: EncodedCommit,
  before: State | undefined,
  signal: AbortSignal | undefined,
): Promise<PreparedState> {
  const { commit } = stored
  const prepared = await prepareState(context, stored, before, signal)
  const { overlay, header, chain } = prepared.state
  const last = chain.at(-1)?.block
  const end = last === undefined ? header.upto : last.first + last.entries.length
  if (header.seq >= commit.nextSeq || end > commit.next) throw beyond(commit.dataset)
  if (last !== undefined && last.ordinal >= commit.nextOrdinal) throw beyond(commit.dataset)
  const isOwn = overlay !== before?.overlay
  const state = isOwn ? completeState(prepared) : prepared.state
  const total = isOwn
    ? await overlay.liveCount()
    : before.commit.totalCount + (await changeBy(overlay, prepared.entries))
  if (total !== commit.totalCount) throw miscounted(commit.totalCount, total)
  return { state, entries: isOwn ? [] : prepared.entries }
}

/** How many more live entities there are with these entries, which readers of the overlay do not see yet. */
async function changeBy(overlay: Overlay, entries: readonly OverlayEntry[]): Promise<number> {
  const newest = new Map(entries.map((one) => [one.key, one.entry]))
  const sorted = [...newest].sort(([a], [b]) => (a < b ? -1 : 1))
  const lookup = new OrderedLookup(overlay.tree)
  let change = 0
  for (const [key, entry] of sorted) {
    const was = overlay.get(key)?.entry ?? (await lookup.seek(key)).entry
    change += liveOf(entry) - liveOf(was)
  }
  return change
}

/** A kept snapshot is what the list says of it, and its tree holds what it counts. */
export async function proveKept(
  context: Context,
  { commit }: EncodedCommit,
  kept: KeptSnapshot,
  header: SnapshotHeader,
  signal: AbortSignal | undefined,
): Promise<void> {
  const agrees =
    identitiesOf(commit).includes(header.dataset) &&
    kept.seq === header.seq &&
    kept.ts === header.ts &&
    kept.entries === header.entries &&
    kept.live === header.live &&
    header.seq < commit.nextSeq
  if (!agrees) throw disagrees(`The kept list does not agree with its snapshot ${header.seq}.`)
  await openTree(context, header, signal)
}

const beyond = (dataset: string): CairnError =>
  disagrees(`The commit of "${dataset}" has more behind it than it counts.`)

const miscounted = (said: number, total: number): CairnError =>
  disagrees(`The commit counts ${said} entities, there are ${total}.`)

function disagrees(sentence: string): CairnError {
  return new CairnError('invalid_block', sentence, { hint: DAMAGED_HINT })
}
