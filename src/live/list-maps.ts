/** The maps of a dataset, without loading any of them. */
import type { Dataset } from '../engine/dataset.ts'
import type { CallOptions } from '../store/backend.ts'
import {
  itemPrefix,
  parseMapRecord,
  parseRecordId,
  RECORDS_PREFIX,
  type MapKind,
} from './layout.ts'
import { readValue } from './load.ts'

export interface ListedMap {
  readonly name: string
  readonly kind: MapKind
  readonly ttlMs: number | null
  /** Keys that expired since the last snapshot count until the next. */
  readonly count: number
}

export async function* listMaps(
  dataset: Dataset,
  options: CallOptions = {},
): AsyncGenerator<ListedMap> {
  for await (const { pi, tip } of dataset.entries({
    prefix: RECORDS_PREFIX,
    order: 'asc',
    ...options,
  })) {
    const name = parseRecordId(pi)
    if (name === undefined || tip === null) continue
    const { kind, ttl_ms: ttlMs } = parseMapRecord(
      await readValue(dataset, tip, options.signal),
      name,
    )
    yield {
      name,
      kind,
      ttlMs,
      count: await dataset.count({ prefix: itemPrefix(name), ...options }),
    }
  }
}
