/** Where a dataset stands, asked for by several views together. */
import type { AutomationRecord, BackupRecord, StatusRecord } from '../../../src/client/index.ts'
import { usePolled, type Polled } from './live.ts'
import { datasetClient } from './session.ts'

/** The fields of the index pointer that views show; the service checks them where it prints them. */
export interface DatasetStatus extends StatusRecord {
  readonly dataset: string
  readonly number: number
  /** When it was committed last, in milliseconds since 1970. */
  readonly ts: number
  readonly settings: {
    readonly content: 'linked' | 'external'
    readonly chunk_size: number
    readonly chain_limit: number
  }
  readonly generation: { readonly number: number; readonly tag: string }
  readonly latest_snapshot_cid: string
  readonly snapshot_seq: number
  readonly snapshot_ts: string | number
  readonly snapshot_count: number
  readonly recent_count: number
  readonly total_count: number
  /** The position that the next entry gets. */
  readonly next: number
}

export function useStatus(dataset: string): Polled<DatasetStatus> {
  return usePolled(
    { key: `status ${dataset}`, everyMs: 10_000, onChangeOf: dataset },
    async (signal) => (await datasetClient(dataset).status({ signal })) as unknown as DatasetStatus,
  )
}

export function useAutomation(dataset: string): Polled<AutomationRecord> {
  return usePolled({ key: `automation ${dataset}`, everyMs: 15_000 }, (signal) =>
    datasetClient(dataset).automation({ signal }),
  )
}

/** Newest first. */
export function useBackups(dataset: string): Polled<readonly BackupRecord[]> {
  return usePolled({ key: `backups ${dataset}`, everyMs: 30_000 }, (signal) =>
    datasetClient(dataset).backups({ signal }),
  )
}
