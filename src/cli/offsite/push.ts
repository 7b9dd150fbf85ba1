import { pushTask, type PushRecord } from '../../tasks/offsite.ts'
import { parseRetention } from '../../tasks/retention.ts'
import type { CommandContext, CommandSpec } from '../command.ts'
import { counted, formatBytes, printable } from '../format.ts'
import { taskBase } from '../task.ts'
import { addPlace, placeOf } from './place.ts'

export const push: CommandSpec = {
  examples: [
    ['cairn offsite push --to s3://BUCKET/cairn', 'a second time nothing is sent'],
    ['cairn offsite push --verify', 'reads all copies of the folder back and hashes them'],
    ['cairn offsite push --all', 'also what a prune would remove again'],
  ],
  writes: true,
  define: (command) =>
    addPlace(command)
      .option('--verify', 'read back and hash all copies of the folder, also those that were there')
      .option('--all', 'whatever the rules of keep_offsite would remove again'),
  run: async (context) => {
    const { options, config } = context
    const keep = options.switch('--all') ? undefined : parseRetention(config.values.keep_offsite)
    const record = await pushTask(taskBase(context), {
      address: placeOf(context),
      keep,
      verify: options.switch('--verify'),
    })
    await print(context, record)
  },
}

async function print({ output }: CommandContext, record: PushRecord): Promise<void> {
  if (output.json) return output.document(record)
  const { pushed, sent_bytes, cars, place } = record
  for (const { name, status } of cars) if (status === 'pushed') await output.line(printable(name))
  await output.flush()
  const passed = cars.filter(({ status }) => status === 'not_kept').length
  if (passed > 0) output.note(`${counted(passed, 'CAR')} not copied: the rules would remove them`)
  const what =
    pushed === 0 ? 'nothing new' : `${counted(pushed, 'CAR')}, ${formatBytes(sent_bytes)}`
  output.note(`${what} to ${place}`)
}
