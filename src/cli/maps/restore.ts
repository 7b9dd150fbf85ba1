import { CairnError } from '../../errors.ts'
import { restoreMaps, type RestoredMaps } from '../../live/restore.ts'
import { whenFree } from '../../live/when-free.ts'
import { restoreFromBackup } from '../../session/backups.ts'
import { withStore, type CommandContext, type CommandSpec } from '../command.ts'
import { counted, formatCount } from '../format.ts'
import { addMoment, momentOf } from '../moment.ts'

export const restore: CommandSpec = {
  examples: [
    ['cairn maps restore --snapshot latest~1', 'all of them, as in the snapshot before'],
    ['cairn maps restore users tokens --from latest', 'two of them, from the newest backup'],
  ],
  writes: true,
  define: (command) => {
    command
      .argument('[map...]', 'only these; all of them unless named')
      .option('--from <backup>', 'from a backup: latest, latest~1, its file or its CID')
    addMoment(command)
  },
  run: async (context) => {
    const { args, output } = context
    const restored = await restoredMaps(context, args.length === 0 ? undefined : args)
    const { set, deleted } = restored
    const status = set + deleted === 0 ? 'already_restored' : 'restored'
    if (output.json) return output.document({ status, set, deleted })
    await output.line(
      `restored: ${counted(set, 'key')} set again, ${formatCount(deleted)} deleted that were not there then`,
    )
  },
}

function restoredMaps(
  context: CommandContext,
  maps: readonly string[] | undefined,
): Promise<RestoredMaps> {
  const { config, options, signal } = context
  const { dataset: name, backups_dir: folder } = config.values
  const [from, at] = [options.text('--from'), momentOf(options)]
  if ((from === undefined) === (at === undefined)) {
    throw new CairnError('usage', 'What is to be restored is a moment or a backup.', {
      hint: 'Give one of --from, --at, --seq, --snapshot and --commit.',
    })
  }
  return withStore(context, false, async (cairn) => {
    if (from !== undefined) {
      const place = { cairn, dataset: name, folder, now: Date.now }
      return whenFree(() => restoreFromBackup(place, from, { maps, signal }), signal)
    }
    const dataset = await cairn.dataset(name)
    return restoreMaps(dataset, { dataset, at }, { maps, now: Date.now, signal })
  })
}
