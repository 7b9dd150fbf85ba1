import type { Dataset } from '../../engine/dataset.ts'
import { readDataset, type CommandContext, type CommandSpec } from '../command.ts'
import { noEntity } from '../find.ts'
import { columns, printable } from '../format.ts'
import { entryRecord } from '../../model/entry-record.ts'
import { addMoment, momentOf } from '../moment.ts'

export const get: CommandSpec = {
  examples: [
    ['cairn get scan-7', 'its version, tip and time'],
    ['cairn get scan-7 --at 2026-05-01T12:00:00Z', 'as it was then'],
    ['cairn get scan-7 --seq 3 --json', 'as in snapshot 3'],
  ],
  define: (command) => {
    command.argument('<pi>', 'the id of the entity')
    addMoment(command)
  },
  run: (context) =>
    readDataset(context, (dataset) => printEntity(context, dataset, context.args[0])),
}

export async function printEntity(
  { options, output, signal }: CommandContext,
  dataset: Dataset,
  pi = '',
): Promise<void> {
  const entry = await dataset.get(pi, { signal, at: momentOf(options) })
  if (entry === undefined) throw noEntity(pi, dataset.name)
  const record = entryRecord(entry)
  if (output.json) return output.document(record)
  const rows = Object.entries({ ...record, pi: printable(record.pi) })
  for (const row of columns(rows.map(([name, value]) => [name, value ?? '-'])))
    await output.line(row)
}
