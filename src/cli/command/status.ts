import type { DatasetStatus } from '../../engine/status.ts'
import { readDataset, type CommandContext, type CommandSpec } from '../command.ts'
import { columns, counted, formatBytes, formatCount } from '../format.ts'

export const status: CommandSpec = {
  examples: [
    ['cairn status', 'for people'],
    ['cairn status --json', 'the fields of the index pointer, and sizes'],
  ],
  define: () => {},
  run: async (context) => {
    await readDataset(context, async (dataset) => {
      const found = await dataset.status({ signal: context.signal })
      if (context.output.json) await context.output.document(statusRecord(found))
      else await printStatus(context, found)
    })
  },
}

/** The pointer's fields flat, and what is known beside them. */
export function statusRecord(found: DatasetStatus): Record<string, unknown> {
  const { pointer, dataset, commit, root, chunkCount, treeBytes, meta, location, store } = found
  return {
    ...pointer,
    dataset,
    commit,
    root,
    chunk_count: chunkCount,
    tree_bytes: treeBytes,
    meta,
    store: location,
    size_bytes: store.sizeBytes ?? null,
    free_bytes: store.freeBytes ?? null,
    synced: store.synced ?? null,
    notes: store.notes,
    details: store.details,
  }
}

async function printStatus({ output }: CommandContext, found: DatasetStatus): Promise<void> {
  const { pointer, store } = found
  const size = (bytes: number | undefined): string =>
    bytes === undefined ? 'unknown' : formatBytes(bytes)
  const limit = formatCount(pointer.settings.chain_limit)
  const entities = counted(pointer.snapshot_count, 'entity', 'entities')
  const rows = columns([
    ['dataset', `${found.dataset} (${pointer.settings.content})`],
    ['store', found.location],
    ['entities', formatCount(pointer.total_count)],
    ['snapshot', pointer.latest_snapshot_cid],
    ['', `number ${pointer.snapshot_seq} of ${pointer.snapshot_ts}`],
    ['', `${entities}, ${counted(found.chunkCount, 'chunk')}, ${formatBytes(found.treeBytes)}`],
    ['root', found.root],
    ['recent', `${formatCount(pointer.recent_count)} entries of at most ${limit}`],
    ['commit', `${pointer.number} of ${pointer.last_updated}`],
    ['size', `${size(store.sizeBytes)}, ${size(store.freeBytes)} free`],
    ['synced', store.synced === undefined ? 'unknown' : store.synced ? 'yes' : 'no'],
  ])
  for (const row of rows) await output.line(row)
  await output.flush()
  for (const note of store.notes) output.note(`note: ${note}`)
}
