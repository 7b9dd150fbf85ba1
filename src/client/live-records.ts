/**
 * What the service takes and answers about live maps and the session, under its own names.
 * test/client/records.test.ts holds them to the schemas of the service.
 */
import type { Job } from './job-records.ts'
import type { TimeOut } from './records.ts'

export interface MapRecord {
  readonly name: string
  readonly kind: 'default' | 'named' | 'expiring'
  /** How long a key lives that is set without a time of its own; null: for good. */
  readonly ttl_ms: number | null
  readonly count: number
}

export interface MapsPageRecord {
  readonly items: readonly MapRecord[]
  readonly has_more: boolean
  readonly next_cursor: string | null
}

export interface KeysQuery {
  readonly limit?: number | undefined
  readonly cursor?: string | undefined
  readonly prefix?: string | undefined
  readonly order?: 'asc' | 'desc' | undefined
  readonly values?: boolean | undefined
}

export interface KeyItem {
  readonly key: string
  readonly ver: number
  readonly tip: string
  readonly ts: TimeOut
  readonly exp: TimeOut | null
  readonly value?: unknown
  /** Base64. */
  readonly bytes?: string | undefined
}

export interface KeysPageRecord {
  readonly items: readonly KeyItem[]
  readonly has_more: boolean
  readonly next_cursor: string | null
}

export interface KeysFoundRecord {
  readonly items: readonly KeyItem[]
  /** Keys that did not fit the answer. */
  readonly left: readonly string[]
}

export interface WrittenKeyRecord {
  readonly key: string
  readonly ver: number
  readonly tip: string | null
  readonly position: number | null
  readonly status: 'appended' | 'already'
}

export interface UserRecord {
  readonly user: string
  readonly since: TimeOut
  readonly timeout_ms: number | null
}

export interface SessionRecord {
  readonly initialized: boolean
  readonly user_count: number
  readonly users: readonly UserRecord[]
  readonly metadata: Readonly<Record<string, unknown>>
}

export interface ConnectedRecord extends UserRecord {
  readonly user_count: number
  readonly initialized: boolean
}

export interface SavedRecord {
  /** A snapshot holds all that was written before. */
  readonly saved: boolean
  readonly job: Job
}

export interface DisconnectedRecord {
  readonly user: string
  /** False: they were not connected, and nothing was saved. */
  readonly disconnected: boolean
  readonly user_count: number
  readonly saved: boolean
  readonly job: Job | null
}
