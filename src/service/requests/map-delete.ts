/** Deleting a map with all its keys: in one commit, however many there are. */
import type { Dataset } from '../../engine/dataset.ts'
import type { ImportEntry } from '../../engine/import-entry.ts'
import { itemPrefix, recordId } from '../../live/layout.ts'

interface Calls {
  readonly signal?: AbortSignal | undefined
}

/** How many keys it had; undefined where there is no such map. */
export async function deleteMap(
  dataset: Dataset,
  name: string,
  options: Calls,
): Promise<number | undefined> {
  const hasRecord = (await dataset.get(recordId(name), options)) !== undefined
  const { chainLimit } = await dataset.head(options)
  const few = await fewEntries(dataset, name, hasRecord, chainLimit, options)
  if (few === undefined) {
    const all = deletions(dataset, name, hasRecord, options)
    const report = await dataset.bulkLoad(all, { ...options, reason: 'delete a map' })
    return report.appended - Number(hasRecord)
  }
  if (few.length === 0) return undefined
  await dataset.writeBatch(few, options)
  return few.length - Number(hasRecord)
}

/** Undefined where they are more than a commit of the recent chain may have. */
async function fewEntries(
  dataset: Dataset,
  name: string,
  hasRecord: boolean,
  most: number,
  options: Calls,
): Promise<ImportEntry[] | undefined> {
  const few: ImportEntry[] = []
  for await (const one of deletions(dataset, name, hasRecord, options)) {
    if (few.length === most) return undefined
    few.push(one)
  }
  return few
}

async function* deletions(
  dataset: Dataset,
  name: string,
  hasRecord: boolean,
  { signal }: Calls,
): AsyncGenerator<ImportEntry> {
  for await (const { pi } of dataset.entries({ prefix: itemPrefix(name), order: 'asc', signal }))
    yield { pi, tip: null }
  if (hasRecord) yield { pi: recordId(name), tip: null }
}
