/** All that the rules of health look at, as values: taken by `observe`, judged by `rules`. */
import type { Backup, BackupFolder } from '../backup/folder.ts'
import type { ErrorCode } from '../errors.ts'

/** Why something could not be looked at. */
export interface Trouble {
  readonly code: ErrorCode
  readonly message: string
  readonly hint?: string | undefined
}

/** What was looked at, or why that failed. */
export type Looked<T> = { readonly value: T } | { readonly trouble: Trouble }

export interface DatasetFacts {
  readonly identity: string
  readonly generation: number
  /** The position that the next entry gets. */
  readonly next: number
  /** When the newest commit was made. */
  readonly commitTs: number
  readonly chainLimit: number
  readonly recentCount: number
  readonly snapshotSeq: number
  readonly snapshotTs: number
  readonly location: string
  /** Undefined where the store does not tell. */
  readonly synced: boolean | undefined
  readonly notes: readonly string[]
}

export interface Space {
  /** As it goes on after "is free for". */
  readonly where: string
  readonly freePercent: number
}

export interface DrillFacts {
  readonly dataset: string
  readonly passed: boolean
  readonly finishedAt: number
  readonly rtoMs: number | undefined
  readonly snapshot: string | undefined
  readonly sources: readonly string[]
}

/** What the ledgers of `cairn verify` know of this dataset. */
export interface ProofFacts {
  readonly parts: number
  /** Parts that were never proved. */
  readonly never: number
  /** Damaged and missing blocks. */
  readonly problems: number
  /** When the part was proved that was proved the longest ago; undefined without any. */
  readonly oldest: number | undefined
}

/** How a job of the automation last ended. */
export interface RunFacts {
  readonly failed: boolean
  readonly finishedAt: number
  readonly durationMs: number | undefined
  readonly failuresInRow: number
  readonly message: string | undefined
}

/** Undefined where no service looks after the dataset, or it has not yet done such a job. */
export interface AutomationFacts {
  readonly build: RunFacts | undefined
  readonly export: RunFacts | undefined
}

/** The copies that are whole, newest first. */
export interface OffsiteFacts {
  readonly place: string
  readonly backups: readonly Backup[]
}

export interface Observation {
  readonly dataset: string
  /** When it was taken. */
  readonly at: number
  readonly backupsDir: string
  readonly status: Looked<DatasetFacts>
  readonly backups: Looked<BackupFolder>
  /** Undefined: no place was set. */
  readonly offsite?: Looked<OffsiteFacts> | undefined
  readonly backupsBytes: Looked<number>
  readonly space: Looked<readonly Space[]>
  /** Undefined: there is no report. */
  readonly drill: Looked<DrillFacts | undefined>
  readonly proof: Looked<ProofFacts>
  readonly automation: Looked<AutomationFacts | undefined>
}
