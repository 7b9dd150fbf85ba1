/** Snapshots, CARs and what jobs have told of them, as they stand together. Pure. */
import type { BackupRecord, Job, SnapshotRecord } from '../../../../src/client/index.ts'
import { timeOf } from '../../ui/format.ts'

/** A snapshot with what belongs to it. */
export interface Moment {
  readonly snapshot: SnapshotRecord
  /** The next older one that is kept. */
  readonly before: SnapshotRecord | undefined
  readonly build: BuildFacts | undefined
  readonly cars: readonly BackupRecord[]
  /** It is newer than the current one: a rollback or a restore has left it. */
  readonly left: boolean
}

export interface BuildFacts {
  readonly chunks: number
  readonly written: number
  readonly bytes: number
  readonly tookMs: number
}

export interface History {
  /** Newest first. */
  readonly moments: readonly Moment[]
  /** CARs of snapshots that are not kept here, newest first. */
  readonly strays: readonly BackupRecord[]
}

export function historyOf(
  snapshots: readonly SnapshotRecord[],
  backups: readonly BackupRecord[],
  jobs: readonly Job[],
): History {
  const builds = buildsOf(jobs)
  const kept = new Set(snapshots.map(({ cid }) => cid))
  const current = snapshots.findIndex((one) => one.current)
  return {
    moments: snapshots.map((snapshot, i) => ({
      snapshot,
      before: snapshots[i + 1],
      build: builds.get(snapshot.cid),
      cars: backups.filter(({ snapshot_cid }) => snapshot_cid === snapshot.cid),
      left: i < current,
    })),
    strays: backups.filter(({ snapshot_cid }) => !kept.has(snapshot_cid)),
  }
}

/** Of the builds since the service began. */
function buildsOf(jobs: readonly Job[]): Map<string, BuildFacts> {
  const found = new Map<string, BuildFacts>()
  for (const { kind, result, started_at, finished_at } of jobs) {
    if (kind !== 'build' || result?.['status'] !== 'built') continue
    if (started_at === null || finished_at === null) continue
    const number = (name: string): number => Number(result[name] ?? 0)
    found.set(String(result['snapshot']), {
      chunks: number('chunk_count'),
      written: number('chunks_written'),
      bytes: number('bytes_written'),
      tookMs: timeOf(finished_at) - timeOf(started_at),
    })
  }
  return found
}

/** Where a CAR is of another generation than the one before it: a rollback or a restore lies between. */
export function generationsOf(
  cars: readonly BackupRecord[],
): readonly { readonly at: number; readonly generation: number }[] {
  const sorted = cars.toSorted((a, b) => a.generation - b.generation || timeOf(a.ts) - timeOf(b.ts))
  return sorted.flatMap(({ generation, timestamp, ts }, i) => {
    const before = sorted[i - 1]
    if (before === undefined || before.generation === generation) return []
    const at = Math.min(timeOf(ts), Date.parse(timestamp) || Infinity)
    return [{ at, generation }]
  })
}
