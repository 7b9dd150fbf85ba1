/** Which moments could be brought back, as the service works it out. */
import type { CoverageRecord } from '../../../../src/client/index.ts'
import { usePolled, type Polled } from '../../app/live.ts'
import { datasetClient } from '../../app/session.ts'

export type Interval = CoverageRecord['intervals'][number]
export type Recovery = NonNullable<Interval['store']>

export function useCoverage(dataset: string): Polled<CoverageRecord> {
  return usePolled({ key: `coverage ${dataset}`, everyMs: 30_000 }, (signal) =>
    datasetClient(dataset).coverage({}, { signal }),
  )
}
