/** Forgetting snapshots that retention rules do not name, and freeing what nothing kept needs. */
import { checkAllKnown, readBackups } from '../backup/folder.ts'
import type { PruneReport } from '../engine/prune/prune.ts'
import { formatTime } from '../model/time.ts'
import type { RetentionPolicy } from '../retention/policy.ts'
import { longOptions, type TaskContext } from './context.ts'

export interface PruneTaskOptions {
  readonly policy: RetentionPolicy
  /** Say what would go and change nothing. */
  readonly dryRun?: boolean | undefined
  /** How long to wait for builds and restores under way; a minute unless given. */
  readonly waitMs?: number | undefined
  /** Let go of damaged states that were kept for a repair. */
  readonly releaseDamaged?: boolean | undefined
  /** Then give the space back to the system, as far as the store can. */
  readonly gc?: boolean | undefined
}

export type PruneRecord = Readonly<{
  status: PruneReport['status']
  kept: number
  forgotten: number
  commits_forgotten: number
  freed_blocks: number
  freed_bytes: number | null
  snapshots: readonly PrunedSnapshot[]
  /** Bytes of the store before and after; null where nothing was compacted. */
  space: Readonly<{ before: number | undefined; after: number | undefined }> | null
}>

export interface PrunedSnapshot {
  readonly cid: string
  readonly seq: number
  readonly ts: string | number
  readonly live: number
  readonly tags: readonly string[]
  readonly keep: boolean
  readonly reasons: readonly string[]
}

export async function pruneTask(
  context: TaskContext,
  { policy, dryRun, waitMs, releaseDamaged, gc }: PruneTaskOptions,
): Promise<PruneRecord> {
  const { cairn, signal } = context
  const pinned = await exportedSnapshot(context)
  const dataset = await cairn.dataset(context.dataset)
  const options = { policy, pinned, dryRun, waitMs, releaseDamaged }
  const report = await dataset.prune({ ...options, ...longOptions(context) })
  const compacts = gc === true && report.status !== 'planned'
  return { ...recordOf(report), space: compacts ? await cairn.compact({ signal }) : null }
}

/** The snapshot of the newest CAR stays: what was exported last can be compared with, and built upon. */
async function exportedSnapshot({
  backupsDir,
  dataset,
}: TaskContext): Promise<ReadonlyMap<string, string>> {
  const folder = await readBackups(backupsDir)
  checkAllKnown(folder)
  const newest = folder.backups.find(({ sidecar }) => sidecar.dataset === dataset)
  return new Map(newest === undefined ? [] : [[newest.sidecar.snapshot_cid, 'exported']])
}

function recordOf({
  status,
  verdicts,
  kept,
  forgotten,
  commits,
  freed,
}: PruneReport): Omit<PruneRecord, 'space'> {
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
