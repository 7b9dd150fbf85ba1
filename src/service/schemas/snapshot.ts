/** Kept snapshots, their chunks, what lies between two of them, and going back to one. */
import type {
  ChangeRecord,
  ChunkRecord,
  RollbackRecord,
  SnapshotRecord,
} from '../../engine/records.ts'
import {
  CidText,
  Count,
  flag,
  integer,
  list,
  MOST,
  nullable,
  oneOf,
  optional,
  Reason,
  schemaOf,
  Selector,
  strict,
  Text,
  TimeOut,
  type ObjectSchema,
} from './common.ts'
import { Entry } from './entry.ts'

export interface SnapshotNow extends SnapshotRecord {
  readonly current: boolean
}

export const Snapshot: ObjectSchema<SnapshotNow> = strict({
  cid: CidText,
  seq: Count,
  ts: TimeOut,
  entries: Count,
  live: Count,
  reason: Text,
  tags: list(Text),
  current: flag('after a rollback this is not the newest one'),
})

export const Snapshots: ObjectSchema<{ items: readonly SnapshotNow[]; has_more: boolean }> = strict(
  { items: list(Snapshot), has_more: flag() },
)

/** One line each. */
export const Chunk: ObjectSchema<ChunkRecord> = strict({
  cid: CidText,
  last: Text,
  entries: Count,
  live: Count,
  bytes: Count,
})

export interface DiffQuery {
  readonly from: string
  readonly to?: string | undefined
}

export const DiffQuery: ObjectSchema<DiffQuery> = strict({
  from: Selector,
  to: optional(schemaOf<string>({ ...Selector, description: 'latest unless given' })),
})

/** One line each. */
export const Change: ObjectSchema<ChangeRecord> = strict({
  change: oneOf(['added', 'removed', 'changed']),
  pi: Text,
  before: nullable(Entry),
  after: nullable(Entry),
})

export interface RollbackRequest {
  readonly to: string | number
  readonly keep_chain?: boolean | undefined
  readonly reason?: string | undefined
}

export const RollbackRequest: ObjectSchema<RollbackRequest> = strict({
  to: schemaOf<string | number>({
    ...Selector,
    ...integer(0, MOST),
    type: ['string', 'integer'],
    description: 'a kept snapshot by selector, or a commit by number',
  }),
  keep_chain: optional(flag('keep the entries of the recent chain on top')),
  reason: optional(Reason),
})

export const RolledBack: ObjectSchema<RollbackRecord> = strict({
  status: oneOf(['rolled_back']),
  snapshot: CidText,
  seq: Count,
  generation: Count,
  undo: integer(0, MOST, 'a rollback to this commit undoes it'),
  recent_count: Count,
  total_count: Count,
})
