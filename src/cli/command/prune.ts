import { basename } from 'node:path'
import { pruneCarsTask, type PruneCarsRecord, type PrunedCar } from '../../tasks/prune-cars.ts'
import { pruneTask, type PrunedSnapshot, type PruneRecord } from '../../tasks/prune.ts'
import type { CommandContext, CommandSpec } from '../command.ts'
import { counted, formatBytes, printable } from '../format.ts'
import { addRetentionOptions, parseSpan, retentionPolicy } from '../retention-options.ts'
import { taskBase, withTask } from '../task.ts'

export const prune: CommandSpec = {
  examples: [
    [
      'cairn prune --keep-last 24 --keep-weekly 5 --keep-monthly 12 --dry-run',
      'what would go, and why the rest stays',
    ],
    ['cairn prune --keep-within 30d --keep-tag release', 'the last 30 days, and releases'],
    ['cairn prune --keep-last 10 --gc', 'and give the space back to the system'],
    ['cairn prune --cars --keep-daily 7 --keep-monthly 12', 'the CARs of the folder of backups'],
  ],
  writes: true,
  define: (command) =>
    addRetentionOptions(command)
      .option('--cars', 'CARs in the folder of backups, instead of snapshots in the store')
      .option('--wait <time>', 'how long to wait for builds and restores under way', '1m')
      .option(
        '--release-damaged',
        'let go of what a fall back to an earlier state kept for a repair',
      )
      .option('--gc', 'then compact the store, or run the garbage collection of the node')
      .option('-n, --dry-run', 'say what would go and change nothing'),
  run: (context) =>
    context.options.switch('--cars') ? pruneCars(context) : pruneSnapshots(context),
}

// --- Snapshots --------------------------------------------------------------------------------------

async function pruneSnapshots(context: CommandContext): Promise<void> {
  const { options } = context
  const policy = retentionPolicy(options)
  await withTask(context, async (task) => {
    const record = await pruneTask(task, {
      policy,
      dryRun: options.switch('--dry-run'),
      waitMs: parseSpan('--wait', options.text('--wait') ?? '1m'),
      releaseDamaged: options.switch('--release-damaged'),
      gc: options.switch('--gc'),
    })
    await printSnapshots(context, record)
  })
}

async function printSnapshots({ output }: CommandContext, record: PruneRecord): Promise<void> {
  if (output.json) return output.document(record)
  const { status, snapshots, kept, forgotten, freed_blocks, freed_bytes, space } = record
  for (const one of snapshots)
    await output.line([one.seq, one.ts, one.live, one.cid, ...decided(one)].join('\t'))
  await output.flush()
  const verb = status === 'planned' ? 'would go' : 'forgotten'
  output.note(`${counted(kept, 'snapshot')} kept, ${forgotten} ${verb}`)
  if (status === 'planned') return
  const bytes = freed_bytes === null ? '' : ` (${formatBytes(freed_bytes)})`
  output.note(`${counted(freed_blocks, 'block')} freed${bytes}`)
  if (space?.before !== undefined && space.after !== undefined)
    output.note(`the store has ${formatBytes(space.after)}, before ${formatBytes(space.before)}`)
}

function decided({ keep, reasons }: PrunedCar | PrunedSnapshot): string[] {
  return [keep ? 'keep' : 'forget', printable(reasons.join(', '))]
}

// --- CARs -------------------------------------------------------------------------------------------

async function pruneCars(context: CommandContext): Promise<void> {
  const { options } = context
  const policy = retentionPolicy(options)
  const dryRun = options.switch('--dry-run')
  await printCars(context, await pruneCarsTask(taskBase(context), { policy, dryRun }))
}

async function printCars(
  { output, config }: CommandContext,
  record: PruneCarsRecord,
): Promise<void> {
  if (output.json) return output.document(record)
  const { status, cars, kept, forgotten } = record
  for (const car of cars) {
    const size = formatBytes(car.size_bytes)
    await output.line([basename(car.path), car.ts, size, ...decided(car)].join('\t'))
  }
  await output.flush()
  const verb = status === 'planned' ? 'would go' : 'removed'
  output.note(`${counted(kept, 'CAR')} kept in ${config.values.backups_dir}, ${forgotten} ${verb}`)
}
