import type { Change } from '../../index.ts'
import { changeKind, changeRecord, type ChangeKind } from '../../engine/records.ts'
import { readDataset, type CommandSpec } from '../command.ts'
import { formatCount, printable } from '../format.ts'
import type { Output } from '../output.ts'

export const diff: CommandSpec = {
  examples: [
    ['cairn diff latest~1', 'what the newest snapshot changed'],
    ['cairn diff seq:3 seq:7', 'between two snapshots'],
    ['cairn diff latest~1 latest --json', 'as NDJSON, with the entries'],
  ],
  define: (command) =>
    command
      .argument('<a>', 'a snapshot: latest~1, seq:7, a tag, a CID')
      .argument('[b]', 'another (latest)'),
  run: async (context) => {
    const { args, output, signal } = context
    const [before = '', after = 'latest'] = args
    await readDataset(context, (dataset) =>
      printChanges(output, dataset.diff(before, after, { signal })),
    )
  },
}

export async function printChanges(output: Output, changes: AsyncIterable<Change>): Promise<void> {
  const counts = { added: 0, removed: 0, changed: 0 }
  for await (const change of changes) {
    const kind = changeKind(change)
    if (kind === undefined) continue
    counts[kind] += 1
    if (output.json) await output.document(changeRecord(change, kind))
    else await output.line(`${SIGNS[kind]} ${printable(change.pi)}`)
  }
  await output.flush()
  if (output.json) return
  const { added, removed, changed } = counts
  output.note(
    `${formatCount(added)} added, ${formatCount(removed)} removed, ${formatCount(changed)} changed`,
  )
}

const SIGNS: Readonly<Record<ChangeKind, string>> = { added: '+', removed: '-', changed: '~' }
