/** `session_metadata.json`: what was saved last, in the fields of the older servers, for people and their scripts. */
import { mkdir } from 'node:fs/promises'
import { writeWhole } from '../backup/publish.ts'
import { printCid } from '../model/cid.ts'
import type { SnapshotHeader } from '../model/snapshot.ts'
import type { Logger } from '../engine/logger.ts'
import type { Dataset } from '../engine/dataset.ts'

/** Of `main` as the older servers called it; of other datasets with their name. */
const sessionFileName = (dataset: string): string =>
  dataset === 'main' ? 'session_metadata.json' : `session_metadata.${dataset}.json`

/** The file is for people: what was saved is saved without it, so that it cannot be written is only logged. */
export async function tellSessionFile(
  folder: string | undefined,
  dataset: Dataset,
  log: Logger | undefined,
): Promise<void> {
  if (folder === undefined) return
  try {
    await writeSessionFile(folder, dataset)
  } catch (error) {
    const message = `The file with the facts of the last save cannot be written: ${String(error)}`
    log?.error('session.file_unwritten', { dataset: dataset.name, message })
  }
}

/** Of the newest snapshot; nothing where that is not a session's. */
async function writeSessionFile(folder: string, dataset: Dataset): Promise<void> {
  const { commit, header } = await dataset.pointer()
  if (header.meta['user_count'] === undefined) return
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const text = JSON.stringify(recordOf(header, printCid(commit.snapshot)), null, 2)
  await writeWhole(folder, sessionFileName(dataset.name), `${text}\n`)
}

function recordOf({ ts, reason, meta, seq }: SnapshotHeader, cid: string): Record<string, unknown> {
  return {
    timestamp: ts / 1000,
    datetime: new Date(ts).toISOString(),
    reason,
    user_count: meta['user_count'],
    node_count: meta['node_count'],
    initialized: meta['initialized'],
    seq,
    snapshot_cid: cid,
  }
}
