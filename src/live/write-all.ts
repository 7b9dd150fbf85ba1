/** Writing entries in one commit, all or none, however many there are. */
import type { Dataset } from '../engine/dataset.ts'
import type { ImportEntry } from '../engine/import-entry.ts'
import type { CallOptions } from '../store/backend.ts'

/** More than the recent chain may have are loaded in bulk. */
export async function writeAll(
  dataset: Dataset,
  entries: readonly ImportEntry[],
  { signal }: CallOptions = {},
): Promise<void> {
  const { chainLimit } = await dataset.head({ signal })
  if (entries.length <= chainLimit) await dataset.writeBatch(entries, { signal })
  else await dataset.bulkLoad(entries, { signal })
}
