/** The CARs in the folder of backups, by name. A name never leads out of the folder. */
import { join } from 'node:path'
import { readBackup, readBackups, type Backup } from '../../backup/folder.ts'
import { isCarName, pathsBeside } from '../../backup/name.ts'
import { CairnError, isCairnError } from '../../errors.ts'

/** Newest first. */
export async function backupsOf(folder: string, dataset: string): Promise<Backup[]> {
  const { backups } = await readBackups(folder)
  return backups.filter(({ sidecar }) => sidecar.dataset === dataset)
}

const NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/

/** `not_found` unless it is a whole backup of this dataset. */
export async function readBackupOf(folder: string, dataset: string, name: string): Promise<Backup> {
  const backup = NAME.test(name) && isCarName(name) ? await tryRead(join(folder, name)) : undefined
  if (backup?.sidecar.dataset === dataset) return backup
  throw new CairnError('not_found', `There is no backup "${name.slice(0, 100)}" of "${dataset}".`, {
    hint: 'The list of backups has the names.',
  })
}

/** One that is cut off, damaged or gone is none. */
async function tryRead(path: string): Promise<Backup | undefined> {
  try {
    return await readBackup(pathsBeside(path))
  } catch (error) {
    const isGone = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    if (isGone || isCairnError(error)) return undefined
    throw error
  }
}
