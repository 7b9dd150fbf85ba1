import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Cairn } from '../../cairn.ts'
import type { HandedOver } from '../../engine/replica/rejoin.ts'
import type { SyncReport } from '../../engine/replica/sync.ts'
import { CairnError } from '../../errors.ts'
import { longOptions, withStore, type CommandContext, type CommandSpec } from '../command.ts'
import { counted } from '../format.ts'
import { writeNewFile } from '../new-file.ts'
import { storeOption } from '../other-store.ts'
import { isService } from '../../remote/address.ts'

export const rejoin: CommandSpec = {
  examples: [
    ['cairn rejoin lmdb:/mnt/new/copy', 'hand over what only this store has, and become a replica'],
    ['cairn rejoin lmdb:/mnt/new/copy --report conflicts.ndjson', 'what did not fit, to this file'],
  ],
  writes: true,
  define: (command) =>
    command
      .argument('<primary>', 'the store that was promoted: lmdb:DIR, kubo:URL, s3://BUCKET/PREFIX')
      .option(
        '--report <file>',
        'where conflicts are listed; DATA_DIR/rejoin-DATASET.ndjson unless given',
      )
      .option('--force', 'replace the report if it is there'),
  run: async (context) => {
    const { args, options, config } = context
    const { dataset, data_dir } = config.values
    const primary = storeOption(context, args[0] ?? '')
    if (isService(primary)) throw notAStore(primary)
    const report = options.text('--report') ?? join(data_dir, `rejoin-${dataset}.ndjson`)
    await withStore(context, false, (cairn) =>
      withStore(
        context,
        false,
        async (heir) => {
          const handed = await handOver(context, cairn, heir, report)
          const synced = await cairn.sync(heir.asSource(), dataset, {
            ...longOptions(context),
            adopt: true,
          })
          await print(context, handed, synced, report)
        },
        primary,
      ),
    )
  },
}

function notAStore(service: string): CairnError {
  return new CairnError('usage', `A store rejoins another store, and ${service} is a service.`, {
    hint: 'Take the folder of the old primary to the machine of the new one, and run `cairn rejoin` there on both. docs/guides/replicas.md says how to go on.',
  })
}

/** The report is on disk before the store becomes a replica: then nothing here says any more what did not fit. */
async function handOver(
  context: CommandContext,
  cairn: Cairn,
  heir: Cairn,
  report: string,
): Promise<HandedOver> {
  const { dataset } = context.config.values
  let handed: HandedOver | undefined
  await writeNewFile(report, context.options.switch('--force'), async (file) => {
    handed = await cairn.handOver(heir, dataset, {
      ...longOptions(context),
      onConflict: (conflict) => file.line(JSON.stringify(conflict)),
    })
  })
  if (handed === undefined) throw new CairnError('internal', 'a handing over without an end')
  if (handed.conflicts === 0) await rm(report)
  return handed
}

async function print(
  { output }: CommandContext,
  handed: HandedOver,
  synced: SyncReport,
  report: string,
): Promise<void> {
  const { status, dataset, fork, appended, already, conflicts } = handed
  const file = conflicts === 0 ? null : report
  if (output.json) {
    const { source, blocks, bytes } = synced
    await output.document({
      status,
      dataset,
      fork,
      appended,
      already,
      conflicts,
      report: file,
      source,
      blocks,
      bytes,
    })
  } else {
    await output.line(`"${dataset}" is a replica of ${synced.source} now.`)
  }
  await output.flush()
  output.note(
    `${counted(appended, 'entry', 'entries')} appended there again, ${already} were there already`,
  )
  if (conflicts === 0) return
  throw new CairnError(
    'conflict',
    `${counted(conflicts, 'entry', 'entries')} did not fit; they are in ${report}.`,
    {
      hint: 'Look at each, and write to the new primary what is still wanted. Their contents stay here until a prune.',
      conflicts,
      report,
    },
  )
}
