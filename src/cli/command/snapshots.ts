import type { Dataset } from '../../engine/dataset.ts'
import { snapshotRecord } from '../../engine/records.ts'
import { bytesEqual } from '../../model/cid.ts'
import type { Backend } from '../../store/backend.ts'
import { readDataset, withStore, type CommandContext, type CommandSpec } from '../command.ts'
import { printable } from '../format.ts'
import { isUtf8 } from '../locale.ts'
import { graphLines, legend } from '../snapshot-graph.ts'
import { readHistory } from '../snapshot-history.ts'

export const snapshots: CommandSpec = {
  examples: [
    ['cairn snapshots', 'number, time, entities, CID, reason and tags, and which is current'],
    ['cairn snapshots --graph', 'what each was built on and changed, and which CARs hold it'],
    ['cairn snapshots --limit 1 --json', 'the newest one'],
  ],
  define: (command) =>
    command
      .option('--limit <n>', 'snapshots at most')
      .option('--graph', 'the history as a graph, with what changed, restores and CARs'),
  run: async (context) => {
    const limit = context.options.count('--limit', 1) ?? Infinity
    if (!context.options.switch('--graph')) {
      await readDataset(context, (dataset) => list(context, dataset, limit))
      return
    }
    await withStore(context, false, async (cairn, backend) => {
      const dataset = await cairn.dataset(context.config.values.dataset)
      await graph(context, dataset, backend, limit)
    })
  },
}

async function list(
  { output, signal }: CommandContext,
  dataset: Dataset,
  limit: number,
): Promise<void> {
  const { commit } = await dataset.pointer({ signal })
  let count = 0
  for await (const snapshot of dataset.snapshots({ signal })) {
    count += 1
    const current = bytesEqual(snapshot.cid, commit.snapshot)
    const record = { ...snapshotRecord(snapshot), current }
    if (output.json) await output.document(record)
    else {
      const { seq, ts, live, cid, reason, tags } = record
      const notes = printable([...(current ? ['current:'] : []), reason, ...tags].join(' '))
      await output.line([seq, ts, live, cid, notes].join('\t'))
    }
    if (count >= limit) return
  }
}

async function graph(
  { config, output, signal }: CommandContext,
  dataset: Dataset,
  backend: Backend,
  limit: number,
): Promise<void> {
  const backupsDir = config.values.backups_dir
  const nodes = await readHistory({ dataset, backend, backupsDir, limit, signal })
  if (output.json) {
    for (const node of nodes) await output.document(node)
    return
  }
  const style = {
    utf8: isUtf8(),
    width: output.stdoutColumns,
    bold: (text: string) => output.bold(text),
  }
  for (const line of graphLines(nodes, style)) await output.line(line)
  await output.flush()
  output.note(legend(style))
}
