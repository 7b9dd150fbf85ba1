/** Real CARs of a dataset, in a folder of backups, as an export publishes them. */
import type { Cairn } from '../../src/cairn.ts'
import { SILENT } from '../../src/engine/logger.ts'
import type { Backend } from '../../src/store/backend.ts'
import type { TaskContext } from '../../src/tasks/context.ts'

export interface Owner {
  readonly cairn: Cairn
  readonly backend: Backend
  readonly dir: string
  readonly now: () => number
}

export const task = ({ cairn, backend, dir, now }: Owner, dataset = 'main'): TaskContext => ({
  cairn,
  backend,
  dataset,
  dataDir: dir,
  backupsDir: `${dir}/backups`,
  now,
  log: SILENT,
})
