import { listOffsite, type OffsiteList } from '../../tasks/offsite-list.ts'
import type { CommandContext, CommandSpec } from '../command.ts'
import { formatBytes, printable } from '../format.ts'
import { taskBase } from '../task.ts'
import { addPlace, namedDataset, placeOf } from './place.ts'

export const list: CommandSpec = {
  examples: [
    ['cairn offsite list', 'when, size, snapshot, name, and why'],
    ['cairn offsite list --json', 'with what is unfinished and damaged'],
  ],
  define: addPlace,
  run: async (context) => {
    const found = await listOffsite(taskBase(context), {
      address: placeOf(context),
      dataset: namedDataset(context),
    })
    await print(context, found)
  },
}

async function print({ output }: CommandContext, found: OffsiteList): Promise<void> {
  if (output.json) return output.document(found)
  for (const { modified, size, seq, filename, reason } of found.copies) {
    const why = reason === '' ? '' : `  ${reason}`
    await output.line(
      printable(`${modified}  ${formatBytes(size).padStart(9)}  seq:${seq}  ${filename}${why}`),
    )
  }
  await output.flush()
  for (const name of found.unfinished) output.note(printable(`unfinished: ${name}`))
  for (const { name, reason } of found.damaged)
    output.note(printable(`damaged: ${name}: ${reason}`))
}
