/** What the engine tells, as the JSON in which the command line and the service print it. */
import { printCid } from '../model/cid.ts'
import { entryRecord, type EntryRecord } from '../model/entry-record.ts'
import type { KeptSnapshot } from '../model/kept.ts'
import { formatTime } from '../model/time.ts'
import type { Change } from '../tree/diff.ts'
import type { Chunk } from './chunks.ts'
import type { FallBackReport } from './fall-back.ts'
import type { Damage } from './prove-state.ts'
import type { RollbackReport } from './rollback.ts'

export interface SnapshotRecord {
  readonly cid: string
  readonly seq: number
  readonly ts: string | number
  readonly entries: number
  readonly live: number
  readonly reason: string
  readonly tags: readonly string[]
}

export function snapshotRecord(kept: KeptSnapshot): SnapshotRecord {
  const { cid, seq, ts, entries, live, reason, tags } = kept
  return { cid: printCid(cid), seq, ts: formatTime(ts), entries, live, reason, tags }
}

export interface ChunkRecord {
  readonly cid: string
  readonly last: string
  readonly entries: number
  readonly live: number
  readonly bytes: number
}

export function chunkRecord({ cid, last, entries, live, bytes }: Chunk): ChunkRecord {
  return { cid: printCid(cid), last, entries, live, bytes }
}

export type ChangeKind = 'added' | 'removed' | 'changed'

export interface ChangeRecord {
  readonly change: ChangeKind
  readonly pi: string
  readonly before: EntryRecord | null
  readonly after: EntryRecord | null
}

/** A deleted entity counts as not there; one that is there on neither side has not changed. */
export function changeKind({ before, after }: Change): ChangeKind | undefined {
  const was = before !== undefined && before.tip !== null
  const is = after !== undefined && after.tip !== null
  if (was && is) return 'changed'
  if (was) return 'removed'
  return is ? 'added' : undefined
}

export function changeRecord({ pi, before, after }: Change, change: ChangeKind): ChangeRecord {
  return {
    change,
    pi,
    before: before === undefined ? null : entryRecord(before),
    after: after === undefined ? null : entryRecord(after),
  }
}

/** Of those that changed what is there. */
export async function* changeRecords(changes: AsyncIterable<Change>): AsyncGenerator<ChangeRecord> {
  for await (const change of changes) {
    const kind = changeKind(change)
    if (kind !== undefined) yield changeRecord(change, kind)
  }
}

export interface RollbackRecord {
  readonly status: 'rolled_back'
  readonly snapshot: string
  readonly seq: number
  readonly generation: number
  /** The commit that a rollback to undoes it. */
  readonly undo: number
  readonly recent_count: number
  readonly total_count: number
}

export function rollbackRecord(report: RollbackReport): RollbackRecord {
  return {
    status: 'rolled_back',
    snapshot: printCid(report.snapshot),
    seq: report.seq,
    generation: report.generation,
    undo: report.undo,
    recent_count: report.recentCount,
    total_count: report.totalCount,
  }
}

export type FallBackRecord =
  | { readonly status: 'good'; readonly commit: number }
  | {
      readonly status: 'fell_back'
      readonly from: number
      readonly to: number
      readonly commit: number
      readonly generation: number
      readonly snapshot: string
      readonly seq: number
      readonly total_count: number
      readonly damage: readonly Damage[]
      readonly lost: { readonly from: number; readonly to: number }
      readonly unlisted: number
    }

export function fallBackRecord(report: FallBackReport): FallBackRecord {
  if (report.status === 'good') return report
  const { snapshot, totalCount, ...same } = report
  return { ...same, snapshot: printCid(snapshot), total_count: totalCount }
}
