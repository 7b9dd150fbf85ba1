/** The client writes out what the service takes and answers; both must say the same. */
import type { Static } from 'typebox'
import { expect, test } from 'vitest'
import type { Job as ServiceJob, JobKind } from '../../src/jobs/job.ts'
import type { AutomationState } from '../../src/automation/state.ts'
import type { CoverageReport } from '../../src/health/coverage-report.ts'
import type { HealthReport as ServiceHealth } from '../../src/health/report.ts'
import type * as care from '../../src/client/care-records.ts'
import type * as jobs from '../../src/client/job-records.ts'
import type * as live from '../../src/client/live-records.ts'
import type * as mine from '../../src/client/records.ts'
import type * as backups from '../../src/service/schemas/backup.ts'
import type * as datasets from '../../src/service/schemas/dataset.ts'
import type * as entries from '../../src/service/schemas/entry.ts'
import type * as jobSchemas from '../../src/service/schemas/job.ts'
import type * as maps from '../../src/service/schemas/map.ts'
import type * as pages from '../../src/service/schemas/page.ts'
import type * as samples from '../../src/service/schemas/sample.ts'
import type * as sessions from '../../src/service/schemas/session.ts'
import type * as snapshots from '../../src/service/schemas/snapshot.ts'

/** Each can stand for the other. */
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : never) : never

/** What is sent may be less strict than what is taken, in what the service fills in. */
type Takes<A, B> = A extends B ? true : never

const held: readonly true[] = [
  yes<Same<mine.PageRecord, pages.PageRecord>>(),
  yes<Same<mine.Moment, pages.MomentQuery>>(),
  yes<Same<mine.PageQuery, Partial<pages.PageQuery>>>(),
  yes<Same<mine.LoggedRecord, entries.LoggedRecord>>(),
  yes<Same<mine.WrittenRecord, entries.WrittenRecord>>(),
  yes<Same<mine.BatchEntry, entries.BatchEntry>>(),
  yes<Same<mine.SnapshotRecord, snapshots.SnapshotNow>>(),
  yes<Same<mine.ChunkRecord, Static<typeof snapshots.Chunk>>>(),
  yes<Same<mine.ChangeRecord, Static<typeof snapshots.Change>>>(),
  yes<Same<mine.RollbackRequest, snapshots.RollbackRequest>>(),
  yes<Same<mine.RollbackRecord, Static<typeof snapshots.RolledBack>>>(),
  yes<Same<mine.DatasetSettings, datasets.DatasetSettings>>(),
  yes<Takes<datasets.StatusRecord, Omit<mine.StatusRecord, never>>>(),
  yes<Same<mine.CarQuery, Partial<backups.DownloadQuery>>>(),
  yes<Same<mine.UploadQuery, backups.UploadQuery>>(),
  yes<Takes<backups.SidecarRecord, mine.BackupRecord>>(),
  yes<Takes<ServiceHealth, mine.HealthReport>>(),
  yes<Takes<AutomationState, care.AutomationRecord>>(),
  yes<Same<care.CoverageRecord, CoverageReport>>(),
  yes<Same<care.SamplesRecord, samples.SamplesRecord>>(),
  yes<Same<care.SamplesQuery, Partial<samples.SamplesQuery>>>(),
  yes<Same<live.MapRecord, maps.MapAnswer>>(),
  yes<Same<live.MapsPageRecord, maps.MapsPage>>(),
  yes<Same<live.KeysQuery, Partial<maps.KeysQuery>>>(),
  yes<Same<live.KeysPageRecord, maps.KeysPage>>(),
  yes<Same<live.KeysFoundRecord, maps.KeysFound>>(),
  yes<Same<live.WrittenKeyRecord, maps.WrittenKey>>(),
  yes<Same<live.SessionRecord, sessions.SessionAnswer>>(),
  yes<Same<live.ConnectedRecord, sessions.ConnectedRecord>>(),
  yes<Same<live.SavedRecord, sessions.SavedRecord>>(),
  yes<Same<live.DisconnectedRecord, sessions.DisconnectedRecord>>(),
  yes<Same<jobs.Job, ServiceJob>>(),
  yes<Same<jobs.JobRequest, jobSchemas.JobRequest>>(),
  yes<Same<jobs.JobKind, JobKind>>(),
]

function yes<T extends true>(): T {
  return true as T
}

test('the records of the client are those of the service', () => {
  // The types above are what is tested, by the type check.
  expect(held.every(Boolean)).toBe(true)
})
