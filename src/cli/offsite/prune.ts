import { CairnError } from '../../errors.ts'
import { pruneOffsiteTask, type PruneOffsiteRecord } from '../../tasks/offsite.ts'
import { parseRetention } from '../../tasks/retention.ts'
import type { CommandContext, CommandSpec } from '../command.ts'
import { counted, formatBytes, printable } from '../format.ts'
import { taskBase } from '../task.ts'
import { addPlace, namedDataset, placeOf } from './place.ts'

export const prune: CommandSpec = {
  examples: [
    ['cairn offsite prune --dry-run', 'each copy, and the rule that keeps it'],
    [
      'cairn offsite prune --keep-offsite daily=7,monthly=12',
      'other rules than those of the setting',
    ],
  ],
  writes: true,
  define: (command) =>
    addPlace(command).option('-n, --dry-run', 'say what would go and change nothing'),
  run: async (context) => {
    const { options, config } = context
    const policy = parseRetention(config.values.keep_offsite)
    if (policy === undefined) {
      throw new CairnError('usage', 'Nothing is pruned: keep_offsite is "never".', {
        hint: 'Give rules, such as --keep-offsite daily=30,weekly=12,monthly=12.',
      })
    }
    const record = await pruneOffsiteTask(taskBase(context), {
      address: placeOf(context),
      policy,
      dataset: namedDataset(context),
      dryRun: options.switch('--dry-run'),
    })
    await print(context, record)
  },
}

async function print({ output }: CommandContext, record: PruneOffsiteRecord): Promise<void> {
  if (output.json) return output.document(record)
  const { status, cars, kept, forgotten, freed_bytes, dropped_uploads, place } = record
  for (const { name, keep, reasons } of cars) {
    if (status !== 'planned' && keep) continue
    const what = keep ? `keep    ${name}  (${reasons.join(', ')})` : `remove  ${name}`
    await output.line(printable(what))
  }
  await output.flush()
  const uploads = dropped_uploads === 0 ? '' : `, ${counted(dropped_uploads, 'unfinished upload')}`
  const gone = `${counted(forgotten, 'copy', 'copies')}, ${formatBytes(freed_bytes)}${uploads}`
  const verb = status === 'planned' ? 'would be removed from' : 'removed from'
  output.note(`${gone} ${verb} ${place}; ${counted(kept, 'copy', 'copies')} kept`)
}
