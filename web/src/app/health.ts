/** How a dataset is: asked for by the badge and by the view of safety, together. */
import type { HealthReport } from '../../../src/client/index.ts'
import { usePolled, type Polled } from './live.ts'
import { datasetClient } from './session.ts'

const EVERY_MS = 15_000

export function useHealth(dataset: string): Polled<HealthReport> {
  return usePolled({ key: `health ${dataset}`, everyMs: EVERY_MS }, (signal) =>
    datasetClient(dataset).health({ signal }),
  )
}
