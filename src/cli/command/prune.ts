import { planBackupRetention, removeBackup, type BackupCandidate } from '../../backup/retain.ts'
import { checkAllKnown, readBackups, type Backup } from '../../backup/folder.ts'
import { CairnError } from '../../errors.ts'
import type { PruneReport } from '../../engine/prune/prune.ts'
import type { SnapshotCandidate } from '../../engine/prune/plan.ts'
import { printCid } from '../../model/cid.ts'
import type { Verdict } from '../../retention/decide.ts'
import { checkPolicy } from '../../retention/policy.ts'
import { longOptions, withStore, type CommandContext, type CommandSpec } from '../command.ts'
import { counted, formatBytes, formatTime, printable } from '../format.ts'
import { addRetentionOptions, parseSpan, retentionPolicy } from '../retention-options.ts'

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
      .option('--gc', 'then compact the store, or run the garbage collection of the node')
      .option('-n, --dry-run', 'say what would go and change nothing'),
  run: (context) =>
    context.options.switch('--cars') ? pruneCars(context) : pruneSnapshots(context),
}

// --- Snapshots --------------------------------------------------------------------------------------

async function pruneSnapshots(context: CommandContext): Promise<void> {
  const { options, output, config, signal } = context
  const policy = retentionPolicy(options)
  const pinned = await exportedSnapshot(context)
  await withStore(context, false, async (cairn) => {
    const dataset = await cairn.dataset(config.values.dataset)
    const report = await dataset.prune({
      policy,
      pinned,
      dryRun: options.switch('--dry-run'),
      waitMs: parseSpan('--wait', options.text('--wait') ?? '1m'),
      ...longOptions(context),
    })
    const collect = options.switch('--gc') && report.status !== 'planned'
    const space = collect ? await cairn.compact({ signal }) : undefined
    if (output.json) return output.document({ ...record(report), space: space ?? null })
    await printReport(context, report)
    if (space?.before !== undefined && space.after !== undefined)
      output.note(`the store has ${formatBytes(space.after)}, before ${formatBytes(space.before)}`)
  })
}

/** The snapshot of the newest CAR stays: what was exported last can be compared with, and built upon. */
async function exportedSnapshot({ config }: CommandContext): Promise<Map<string, string>> {
  const { backups_dir, dataset } = config.values
  const folder = await readBackups(backups_dir)
  checkAllKnown(folder)
  const newest = folder.backups.find(({ sidecar }) => sidecar.dataset === dataset)
  return new Map(newest === undefined ? [] : [[newest.sidecar.snapshot_cid, 'exported']])
}

function record({ status, verdicts, kept, forgotten, commits, freed }: PruneReport): object {
  return {
    status,
    kept,
    forgotten,
    commits_forgotten: commits,
    freed_blocks: freed.blocks,
    freed_bytes: freed.bytes ?? null,
    snapshots: verdicts.map(({ item, keep, reasons }) => ({
      cid: item.id,
      seq: item.snapshot.seq,
      ts: formatTime(item.ts),
      live: item.snapshot.live,
      tags: item.tags,
      keep,
      reasons,
    })),
  }
}

async function printReport({ output }: CommandContext, report: PruneReport): Promise<void> {
  const { status, verdicts, kept, forgotten, freed } = report
  for (const verdict of verdicts) await output.line(snapshotRow(verdict))
  await output.flush()
  const verb = status === 'planned' ? 'would go' : 'forgotten'
  output.note(`${counted(kept, 'snapshot')} kept, ${forgotten} ${verb}`)
  if (status === 'planned') return
  const bytes = freed.bytes === undefined ? '' : ` (${formatBytes(freed.bytes)})`
  output.note(`${counted(freed.blocks, 'block')} freed${bytes}`)
}

function snapshotRow(verdict: Verdict<SnapshotCandidate>): string {
  const { seq, ts, live, cid } = verdict.item.snapshot
  return [seq, formatTime(ts), live, printCid(cid), ...decided(verdict)].join('\t')
}

function decided({ keep, reasons }: Verdict<BackupCandidate | SnapshotCandidate>): string[] {
  return [keep ? 'keep' : 'forget', printable(reasons.join(', '))]
}

// --- CARs -------------------------------------------------------------------------------------------

async function pruneCars(context: CommandContext): Promise<void> {
  const { options, output, config } = context
  const dryRun = options.switch('--dry-run')
  const verdicts = await carVerdicts(context)
  const going = verdicts.flatMap(({ keep, item }) => (keep ? [] : [item.backup]))
  if (!dryRun) for (const backup of going) await removeBackup(backup)
  const bytes = going.reduce((sum, { sidecar }) => sum + sidecar.size_bytes, 0)
  const status = dryRun ? 'planned' : going.length === 0 ? 'already_pruned' : 'pruned'
  const kept = verdicts.length - going.length
  if (output.json) {
    await output.document({
      status,
      kept,
      forgotten: going.length,
      freed_bytes: bytes,
      cars: verdicts.map(({ item, keep, reasons }) => ({
        path: item.backup.paths.car,
        ts: formatTime(item.ts),
        size_bytes: item.backup.sidecar.size_bytes,
        keep,
        reasons,
      })),
    })
    return
  }
  for (const verdict of verdicts) {
    const { backup, ts } = verdict.item
    const size = formatBytes(backup.sidecar.size_bytes)
    await output.line(
      [backup.sidecar.filename, formatTime(ts), size, ...decided(verdict)].join('\t'),
    )
  }
  await output.flush()
  const verb = dryRun ? 'would go' : 'removed'
  output.note(
    `${counted(kept, 'CAR')} kept in ${config.values.backups_dir}, ${going.length} ${verb}`,
  )
}

/** Of every series of the dataset's CARs: full ones and those without content are judged apart. */
async function carVerdicts({
  options,
  config,
}: CommandContext): Promise<Verdict<BackupCandidate>[]> {
  const { backups_dir, dataset } = config.values
  const policy = retentionPolicy(options)
  checkPolicy(policy)
  const folder = await readBackups(backups_dir)
  checkAllKnown(folder)
  const { backups } = folder
  const own = backups.filter(({ sidecar }) => sidecar.dataset === dataset)
  if (own.length === 0) {
    throw new CairnError('not_found', `There is no CAR of "${dataset}" in ${backups_dir}.`, {
      hint: 'Name another folder with --backups-dir, or another dataset with -d.',
      path: backups_dir,
    })
  }
  const series = new Map<string, Backup>()
  for (const backup of own) {
    const { identity, content } = backup.sidecar
    const name = `${identity} ${content}`
    if (!series.has(name)) series.set(name, backup)
  }
  return [...series.values()].flatMap((newest) =>
    planBackupRetention(backups, newest, policy, Date.now()),
  )
}
