/** Head: where a dataset stands, in few words; all of it is in the commit. */
import type { CidBytes } from '../model/cid.ts'
import type { Generation } from '../model/generation.ts'
import { isWritable } from './replica/standing.ts'
import type { State } from './state.ts'

export interface DatasetHead {
  /** The CID of the newest commit. */
  readonly commit: CidBytes
  readonly number: number
  readonly identity: string
  readonly generation: Generation
  /** The position that the next entry gets. */
  readonly next: number
  /** The oldest position that is kept. */
  readonly floor: number
  readonly snapshot: CidBytes
  readonly seq: number
  /** When the snapshot was made. */
  readonly snapshotTs: number
  readonly recentCount: number
  /** How many entries may wait for a snapshot. */
  readonly chainLimit: number
  readonly totalCount: number
  /** False for a replica, and for a dataset that was replaced. */
  readonly writable: boolean
  /** When it was committed, in milliseconds since 1970. */
  readonly ts: number
}

export function headOf({ stored, commit }: State): DatasetHead {
  return {
    commit: stored.cid,
    number: commit.number,
    identity: commit.identity,
    generation: commit.generation,
    next: commit.next,
    floor: commit.floor,
    snapshot: commit.snapshot,
    seq: commit.snapshotSeq,
    snapshotTs: commit.snapshotTs,
    recentCount: commit.recentCount,
    chainLimit: commit.settings.chainLimit,
    totalCount: commit.totalCount,
    writable: isWritable(commit),
    ts: commit.ts,
  }
}
