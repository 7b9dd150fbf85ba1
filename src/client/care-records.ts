/**
 * What is done for a dataset by itself, what could be brought back, and how it grows, under the service's own
 * names; held to its schemas by test/client/records.test.ts.
 */
import type { JobKind } from './job-records.ts'

export interface RunRecord {
  readonly last: {
    readonly job: string | null
    readonly state: 'succeeded' | 'failed' | 'cancelled' | 'interrupted'
    readonly reason: string
    readonly reasons: readonly string[]
    readonly started_at: string | null
    readonly finished_at: string
    readonly result: Readonly<Record<string, string | number | boolean | null>> | null
    readonly error: {
      readonly code: string
      readonly message: string
      readonly hint?: string
    } | null
  } | null
  readonly last_success_at: string | null
  /** In a row. */
  readonly failures: number
  readonly retry_at: string | null
  readonly begun_at: string | null
}

export interface ScheduleRecord {
  readonly cron: string
  readonly time_zone: string
  readonly since: string
}

export interface AutomationRecord {
  readonly schema: 'cairn/automation@v1'
  readonly dataset: string
  readonly updated_at: string
  readonly runs: Readonly<Partial<Record<JobKind, RunRecord>>>
  readonly schedules: Readonly<Partial<Record<JobKind, ScheduleRecord>>>
  /** The soonest first. */
  readonly next: readonly { readonly kind: JobKind; readonly at: string; readonly reason: string }[]
}

export interface RecoveryRecord {
  readonly by: 'commit' | 'snapshot' | 'car'
  readonly name: string | null
  /** Every moment of the interval, or only the one of `state_of`. */
  readonly exact: boolean
  readonly state_of: string | null
  readonly loses_ms: number
  readonly proved_at: string | null
  readonly proved_by: 'verify' | 'drill' | 'export' | null
}

export interface CoverageRecord {
  readonly dataset: string
  readonly checked_at: string
  readonly from: string
  readonly to: string
  /** There is no hole, and a CAR besides the store. */
  readonly covered: boolean
  readonly intervals: readonly {
    readonly from: string
    readonly to: string
    readonly store: RecoveryRecord | null
    readonly cars: RecoveryRecord | null
  }[]
  /** Copies elsewhere; null where no place is set. */
  readonly offsite: {
    readonly place: string
    /** `unknown`: the place could not be looked at. */
    readonly status: 'ok' | 'stale' | 'none' | 'unknown'
    readonly copies: number | null
    readonly newest: string | null
    readonly newest_at: string | null
    /** The newest has every entry. */
    readonly complete: boolean | null
  } | null
  readonly findings: readonly {
    readonly kind: 'hole' | 'no_car' | 'unproved' | 'offsite'
    readonly level: 'warning' | 'critical'
    readonly from: string
    readonly to: string
    readonly message: string
    readonly hint: string
  }[]
}

export interface SampleRecord {
  readonly ts: string
  readonly total_count: number
  readonly recent_count: number
  readonly store_bytes: number | null
  /** Of the process that serves. */
  readonly memory_bytes: number
}

export interface SamplesRecord {
  readonly dataset: string
  readonly checked_at: string
  readonly every_ms: number
  readonly items: readonly SampleRecord[]
}

export interface SamplesQuery {
  /** recent: the last half hour, every ten seconds; day: the last day, by the minute. */
  readonly window?: 'recent' | 'day' | undefined
}
