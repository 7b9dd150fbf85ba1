/** The chain as edits for a merge, in portions: whoever waits gets a turn between them. */
import type { OverlayEntry } from '../chain/overlay.ts'
import type { LoadedBlock } from '../chain/walk.ts'
import type { ContentMode } from '../model/entry.ts'
import { RunBuilder, type Run } from '../model/run.ts'
import type { Context } from './context.ts'
import { overlayEntries } from './state.ts'

/** Entries of a chain that are worked on at a time, with others waiting. */
const SLICE_ENTRIES = 512
/** Edits that are merged at a time: some pages of old entries are passed over for them. */
const RUN_ENTRIES = 128

/**
 * The newest entry of every entity of a chain, sorted. Made from the chain, which belongs to one
 * commit, and not from the overlay, which appends go on changing.
 */
export async function newestOf(
  { timers }: Pick<Context, 'timers'>,
  chain: readonly LoadedBlock[],
): Promise<OverlayEntry[]> {
  const newest = new Map<string, OverlayEntry>()
  for (const slice of slicesOf(chain)) {
    for (const entry of overlayEntries(slice)) newest.set(entry.key, entry)
    await timers.turn()
  }
  const sorted = [...newest.values()].sort((a, b) => (a.key < b.key ? -1 : 1))
  await timers.turn()
  return sorted
}

/** Blocks with some entries together, so that others get a turn between. */
export function* slicesOf(chain: readonly LoadedBlock[]): Generator<LoadedBlock[]> {
  let slice: LoadedBlock[] = []
  let entries = 0
  for (const one of chain) {
    slice.push(one)
    entries += one.block.entries.length
    if (entries < SLICE_ENTRIES) continue
    yield slice
    slice = []
    entries = 0
  }
  if (entries > 0) yield slice
}

export async function* inTurns(
  { timers }: Pick<Context, 'timers'>,
  runs: AsyncIterable<Run>,
): AsyncGenerator<Run> {
  for await (const run of runs) {
    yield run
    await timers.turn()
  }
}

/** Entries as runs, behind what the builder holds already. */
export async function* runsOf(
  entries: readonly OverlayEntry[],
  content: ContentMode,
  builder: RunBuilder = new RunBuilder(),
): AsyncGenerator<Run> {
  for (const { entry, key } of entries) {
    builder.push(entry, content, key)
    if (builder.count >= RUN_ENTRIES) yield builder.take()
  }
  if (builder.count > 0) yield builder.take()
}
