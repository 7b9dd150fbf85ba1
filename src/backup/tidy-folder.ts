/**
 * What processes that died have left in a folder of backups. Under names that nobody looks for it is removed,
 * once nothing was written to it for a day.
 *
 * A process that died while it gave a backup its names may have left a whole CAR, and the sidecar under such a
 * name. That sidecar gets its own name, if the CAR proves to be the one that it tells of: else the CAR would
 * take room for ever, as no rule counts what has no sidecar.
 */
import { open } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { LongOptions } from '../engine/context.ts'
import { isCairnError } from '../errors.ts'
import { readBackup, readSidecar, type Backup } from './folder.ts'
import { nameOfUnfinished, pathsBeside } from './name.ts'
import { completeBeside } from './publish-backup.ts'
import { removeAll, staleIn } from './publish.ts'
import { hashAll } from './read-file.ts'

export async function tidyFolder(
  folder: string,
  now: number,
  options: LongOptions = {},
): Promise<void> {
  const stale = await staleIn(folder, now)
  for (const path of stale) {
    const backup = await provedBackup(folder, path, options)
    if (backup !== undefined) await completeBeside(backup)
  }
  await removeAll(stale)
}

/** The backup whose sidecar lies at `path`, if its CAR has its name and its bytes. */
async function provedBackup(
  folder: string,
  path: string,
  options: LongOptions,
): Promise<Backup | undefined> {
  const name = nameOfUnfinished(basename(path))
  if (name?.endsWith('.json') !== true) return undefined
  try {
    const { filename } = await readSidecar(path)
    const paths = pathsBeside(join(folder, filename))
    if (basename(filename) !== filename || basename(paths.sidecar) !== name) return undefined
    const { sidecar } = await readBackup({ ...paths, sidecar: path })
    await using file = await open(paths.car)
    const sha256 = await hashAll(file, sidecar.size_bytes, 'read back', options)
    return sha256 === sidecar.sha256 ? { sidecar, paths } : undefined
  } catch (error) {
    if (isCairnError(error, 'aborted')) throw error
    // A sidecar cut short, or a CAR that never got its name: nothing that could be finished.
    return undefined
  }
}
