import { pullTask, type PullRecord } from '../../tasks/offsite.ts'
import type { CommandContext, CommandSpec } from '../command.ts'
import { formatBytes } from '../format.ts'
import { taskBase } from '../task.ts'
import { addPlace, namedDataset, placeOf } from './place.ts'

export const pull: CommandSpec = {
  examples: [
    ['cairn offsite pull', 'the newest copy and what it needs, into the backups folder'],
    ['cairn offsite pull seq:7 --into fetched', 'an older one, elsewhere'],
    ['cairn offsite pull main-7-....car', 'one by its name'],
  ],
  writes: true,
  define: (command) =>
    addPlace(command)
      .argument('[copy]', 'newest, seq:N or the name of a CAR')
      .option('--into <dir>', 'this folder instead of that of backups'),
  run: async (context) => {
    const { args, options } = context
    const record = await pullTask(taskBase(context), {
      address: placeOf(context),
      which: args[0],
      dataset: namedDataset(context),
      into: options.text('--into'),
    })
    await print(context, record)
  },
}

async function print({ output }: CommandContext, record: PullRecord): Promise<void> {
  if (output.json) return output.document(record)
  const { status, read_bytes, place, path } = record
  const what = status === 'pulled' ? `read ${formatBytes(read_bytes)}` : 'all of it was there'
  output.note(`${what}, from ${place}`)
  await output.line(path)
}
