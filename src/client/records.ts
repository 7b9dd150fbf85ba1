/**
 * What the service takes and answers, under its own names. Written out here so that the client needs nothing
 * of the rest; test/client/records.test.ts holds them to the schemas of the service.
 */

/** RFC 3339 in UTC; milliseconds since 1970 for what is later than the year 9999. */
export type TimeOut = string | number

export interface EntryRecord {
  readonly pi: string
  readonly ver: number
  readonly tip: string | null
  readonly ts: TimeOut
  readonly exp: TimeOut | null
}

export interface LoggedRecord extends EntryRecord {
  readonly position: number | null
}

export interface PlacedRecord extends EntryRecord {
  readonly position: number
}

export interface LogPageRecord {
  readonly items: readonly PlacedRecord[]
  readonly next: number
  readonly generation: number
  readonly floor: number
}

export interface PageRecord {
  readonly items: readonly EntryRecord[]
  readonly total_count: number
  readonly has_more: boolean
  readonly next_cursor: string | null
}

/** At most one of these. */
export interface Moment {
  readonly at_snapshot?: string | undefined
  readonly at_commit?: number | undefined
  readonly at_time?: string | undefined
}

export interface PageQuery extends Moment {
  readonly limit?: number | undefined
  readonly offset?: number | undefined
  readonly cursor?: string | undefined
  readonly order?: 'asc' | 'desc' | undefined
  readonly prefix?: string | undefined
  readonly from?: string | undefined
  readonly to?: string | undefined
}

/** What a write asks for beside its content. */
export interface Conditions {
  /** Not given: the next version. */
  readonly ver?: number | undefined
  readonly ts?: string | number | undefined
  readonly exp?: string | number | null | undefined
  /** The version that the entity must have now; 0: it must not exist. */
  readonly expect_ver?: number | undefined
  /** The tip that it must have now; null: it must not exist, or be deleted. */
  readonly expect_tip?: string | null | undefined
}

/** As it is sent: one of tip (null deletes), value and bytes (base64). */
export interface BatchEntry extends Conditions {
  readonly pi: string
  readonly tip?: string | null | undefined
  readonly value?: unknown
  readonly bytes?: string | undefined
}

export interface WrittenRecord {
  readonly pi: string
  readonly ver: number
  readonly tip: string | null
  /** Null when it was there before and is folded into the snapshot. */
  readonly position: number | null
  readonly status: 'appended' | 'already'
}

export interface SnapshotRecord {
  readonly cid: string
  readonly seq: number
  readonly ts: TimeOut
  readonly entries: number
  readonly live: number
  readonly reason: string
  readonly tags: readonly string[]
  readonly current: boolean
}

export interface ChunkRecord {
  readonly cid: string
  readonly last: string
  readonly entries: number
  readonly live: number
  readonly bytes: number
}

export interface ChangeRecord {
  readonly change: 'added' | 'removed' | 'changed'
  readonly pi: string
  readonly before: EntryRecord | null
  readonly after: EntryRecord | null
}

export interface RollbackRequest {
  /** A kept snapshot by selector, or a commit by number. */
  readonly to: string | number
  readonly keep_chain?: boolean | undefined
  readonly reason?: string | undefined
}

export interface RollbackRecord {
  readonly status: 'rolled_back'
  readonly snapshot: string
  readonly seq: number
  readonly generation: number
  /** A rollback to this commit undoes it. */
  readonly undo: number
  readonly recent_count: number
  readonly total_count: number
}

export interface CheckpointRecord {
  readonly commit: string
  readonly number: number
  readonly generation: number
  readonly next: number
  readonly floor: number
  readonly snapshot: string
  readonly seq: number
  readonly recent_count: number
  readonly total_count: number
  readonly ts: TimeOut
}

export interface DatasetSettings {
  readonly content?: 'linked' | 'external' | undefined
  readonly chunk_size?: number | undefined
  readonly chain_limit?: number | undefined
}

/** The fields of the index pointer stand beside these; docs/FORMAT.md has them. */
export interface StatusRecord {
  readonly commit: string
  readonly root: string
  readonly chunk_count: number
  readonly tree_bytes: number
  readonly meta: Readonly<Record<string, unknown>>
  readonly store: {
    readonly kind: string
    readonly size_bytes: number | null
    readonly free_bytes: number | null
    readonly synced: boolean | null
    readonly notes: readonly string[]
  }
  readonly [pointer: string]: unknown
}

export interface Finding {
  readonly check: string
  readonly level: 'ok' | 'warning' | 'critical'
  readonly message: string
  readonly hint?: string
  readonly value?: number
  readonly threshold?: number
  readonly code?: string
}

export interface HealthReport {
  readonly healthy: boolean
  readonly level: 'ok' | 'warning' | 'critical'
  readonly dataset: string
  readonly checked_at: string
  readonly recent_count: number | null
  readonly snapshot_ts: string | null
  readonly alerts: readonly Finding[]
  readonly checks: readonly Finding[]
}

export interface CarQuery {
  readonly content?: 'full' | 'tips' | 'index' | undefined
  readonly since?: string | undefined
  readonly snapshot?: string | undefined
  readonly version?: 1 | 2 | undefined
}

export interface UploadQuery {
  readonly replace?: boolean | undefined
  readonly as?: string | undefined
  readonly dry_run?: boolean | undefined
}

export interface BackupRecord {
  readonly schema: string
  readonly dataset: string
  readonly identity: string
  readonly generation: number
  readonly checkpoint_cid: string
  readonly snapshot_cid: string
  readonly seq: number
  /** Why its snapshot was built; older sidecars do not say. */
  readonly reason?: string | undefined
  readonly timestamp: string
  readonly ts: string
  readonly next: number
  readonly total_count: number
  readonly recent_count: number
  readonly tips: 'linked' | 'external'
  readonly content: 'full' | 'tips' | 'index'
  readonly since: string | null
  readonly filename: string
  readonly size_bytes: number
  readonly sha256: string
  readonly car_sha256: string
  readonly car_version: 1 | 2
  readonly blocks: number
  readonly encrypted: boolean
  readonly encrypted_to: readonly string[]
  readonly verified_at: string
}
