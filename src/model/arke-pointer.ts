/**
 * A commit in the words of the system that Cairn replaces: the fields of an `arke/index-pointer@v1` or
 * `@v2`, in their order, times with microseconds. The CIDs name Cairn's blocks, which the old programs cannot
 * walk; it is for what reads counts and CIDs.
 */
import type { CidBytes } from './cid.ts'
import type { Commit } from './commit.ts'
import { printOrNull } from './entry-record.ts'
import { formatTime } from './time.ts'

export type ArkeShape = 'arke-v1' | 'arke-v2'

export interface ArkePointerV1 {
  readonly schema: 'arke/index-pointer@v1'
  readonly latest_snapshot_cid: string | null
  readonly snapshot_seq: number
  readonly snapshot_count: number
  readonly snapshot_ts: string | null
  readonly recent_chain_head: string | null
  readonly recent_count: number
  readonly total_count: number
  readonly last_updated: string
}

export interface ArkePointerV2 {
  readonly schema: 'arke/index-pointer@v2'
  readonly event_head: string | null
  readonly event_count: number
  readonly latest_snapshot_cid: string | null
  readonly snapshot_event_cid: string | null
  readonly snapshot_seq: number
  readonly snapshot_count: number
  readonly snapshot_ts: string | null
  readonly total_count: number
  readonly last_snapshot_trigger: null
  readonly last_updated: string
}

export function arkePointer(shape: ArkeShape, commit: Commit): ArkePointerV1 | ArkePointerV2 {
  return shape === 'arke-v1' ? pointerV1(commit) : pointerV2(commit)
}

function pointerV1(commit: Commit): ArkePointerV1 {
  const { cid, ts } = snapshotOf(commit)
  return {
    schema: 'arke/index-pointer@v1',
    latest_snapshot_cid: printOrNull(cid),
    snapshot_seq: commit.snapshotSeq,
    snapshot_count: commit.snapshotCount,
    snapshot_ts: ts,
    recent_chain_head: printOrNull(commit.head),
    recent_count: commit.recentCount,
    total_count: commit.totalCount,
    last_updated: arkeTime(commit.ts),
  }
}

/** Its events are all that were ever written: the head outlives a build, and the count goes on. */
function pointerV2(commit: Commit): ArkePointerV2 {
  const { cid, ts } = snapshotOf(commit)
  return {
    schema: 'arke/index-pointer@v2',
    event_head: printOrNull(commit.head ?? commit.base),
    event_count: commit.next,
    latest_snapshot_cid: printOrNull(cid),
    snapshot_event_cid: printOrNull(commit.base),
    snapshot_seq: commit.snapshotSeq,
    snapshot_count: commit.snapshotCount,
    snapshot_ts: ts,
    total_count: commit.totalCount,
    last_snapshot_trigger: null,
    last_updated: arkeTime(commit.ts),
  }
}

/** The empty snapshot that a dataset begins with was none in the old system. */
function snapshotOf({ snapshot, snapshotSeq, snapshotTs }: Commit): {
  readonly cid: CidBytes | null
  readonly ts: string | null
} {
  if (snapshotSeq === 0) return { cid: null, ts: null }
  return { cid: snapshot, ts: arkeTime(snapshotTs) }
}

/** RFC 3339 in UTC with microseconds; later than the year 9999, milliseconds. */
export const arkeTime = (ms: number): string => String(formatTime(ms)).replace('Z', '000Z')
