import type { DatasetStatus } from '../../engine/status.ts'
import { CairnError } from '../../errors.ts'
import { buildTask, type BuildRecord } from '../../tasks/build.ts'
import type { TaskContext } from '../../tasks/context.ts'
import type { CommandContext, CommandSpec } from '../command.ts'
import { counted, formatBytes, formatCount } from '../format.ts'
import { collect } from '../options.ts'
import { withTask } from '../task.ts'

export const buildSnapshot: CommandSpec = {
  examples: [
    ['cairn build-snapshot', "prints the snapshot's CID"],
    ['cairn build-snapshot --if-needed --quiet', 'for cron: only when enough is new'],
    ['cairn build-snapshot --tag v1 --reason release', 'with a tag to find it by'],
  ],
  writes: true,
  define: (command) =>
    command
      .option('--if-needed', 'build only when the recent chain has reached the rebuild threshold')
      .option('--force', 'build even when nothing is new')
      .option('--reason <text>', 'why, for the snapshot list')
      .option('--tag <tag>', 'a tag of the snapshot; may be repeated', collect)
      .option('--meta <json>', 'metadata of the snapshot, a JSON object'),
  run: async (context) => {
    const { options } = context
    options.atMostOne('--if-needed', '--force')
    const build = {
      force: options.switch('--force'),
      reason: options.text('--reason'),
      tags: options.texts('--tag'),
      meta: options.object('--meta'),
    }
    await withTask(context, async (task) => {
      const need = options.switch('--if-needed') ? await needOf(context, task) : undefined
      if (need?.status === 'not_needed') return printNotNeeded(context, need.dataset)
      await print(
        context,
        await buildTask(task, { ...build, reason: build.reason ?? need?.status }),
      )
    })
  },
}

interface Need {
  readonly status: 'not_needed' | 'threshold' | 'emergency'
  readonly dataset: DatasetStatus
}

/** Thresholds that were not set follow the limit that the dataset itself has. */
async function needOf(
  { config, output, signal }: CommandContext,
  { cairn, dataset }: TaskContext,
): Promise<Need> {
  const status = await (await cairn.dataset(dataset)).status({ signal })
  const { settings, recent_count: recent } = status.pointer
  const limit = settings.chain_limit
  const threshold = (name: 'rebuild_threshold' | 'emergency_threshold', part: number): number =>
    config.origins[name] === 'default' ? Math.max(1, Math.floor(limit * part)) : config.values[name]
  const rebuild = threshold('rebuild_threshold', 0.5)
  const emergency = threshold('emergency_threshold', 0.8)
  if (rebuild > limit) {
    throw new CairnError(
      'config',
      `The rebuild threshold ${rebuild} is above the chain limit ${limit}.`,
      {
        hint: `"${dataset}" never has that many recent entries; set rebuild_threshold lower.`,
      },
    )
  }
  if (recent < rebuild) return { status: 'not_needed', dataset: status }
  if (recent < emergency) return { status: 'threshold', dataset: status }
  const counts = `${formatCount(recent)} of ${formatCount(limit)}`
  output.error(
    `${output.yellow('warning:')} the recent chain holds ${counts} entries; build more often.`,
  )
  return { status: 'emergency', dataset: status }
}

/** The same fields whatever happened. */
async function printNotNeeded({ output }: CommandContext, dataset: DatasetStatus): Promise<void> {
  const { pointer, root, chunkCount } = dataset
  if (!output.json) {
    await output.line(pointer.latest_snapshot_cid)
    output.note(`not needed: ${counted(pointer.recent_count, 'recent entry', 'recent entries')}`)
    return
  }
  await output.document({
    status: 'not_needed',
    snapshot: pointer.latest_snapshot_cid,
    root,
    seq: pointer.snapshot_seq,
    ts: pointer.snapshot_ts,
    entries: null,
    live: pointer.snapshot_count,
    chunk_count: chunkCount,
    folded: 0,
    chunks_written: 0,
    chunks_dropped: 0,
    blocks_written: 0,
    bytes_written: 0,
    recent_count: pointer.recent_count,
  })
}

async function print({ output }: CommandContext, record: BuildRecord): Promise<void> {
  if (output.json) return output.document(record)
  await output.line(record.snapshot)
  await output.flush()
  if (record.status === 'already_built') {
    output.note(`nothing new: snapshot ${record.seq} is current`)
    return
  }
  output.note(
    `snapshot ${record.seq}: ${counted(record.live, 'entity', 'entities')} in ` +
      `${counted(record.chunk_count, 'chunk')}; folded ${counted(record.folded, 'entry', 'entries')}, wrote ` +
      `${counted(record.chunks_written, 'chunk')}, ${counted(record.blocks_written, 'block')}, ` +
      `${formatBytes(record.bytes_written)}`,
  )
}
