/**
 * The backups of a session: CARs in a folder, each with the whole of it. They are made of a save, are proved
 * before older ones go, and bring back all maps or some.
 */
import { basesOf } from '../backup/bases.ts'
import { readBackups, type Backup } from '../backup/folder.ts'
import { openCars } from '../backup/open-cars.ts'
import type { Cairn } from '../cairn.ts'
import { cairnOfCars } from '../compose.ts'
import type { Logger } from '../engine/logger.ts'
import { CairnError } from '../errors.ts'
import type { LiveMaps } from '../live/maps.ts'
import { restoreMaps, type RestoredMaps } from '../live/restore.ts'
import type { RetentionPolicy } from '../retention/policy.ts'
import { exportTask } from '../tasks/export.ts'
import { betweenWrites } from './between-writes.ts'

/** Newest first. */
export interface BackupItem {
  readonly filename: string
  readonly filepath: string
  /** Bytes. */
  readonly size: number
  /** When it was made. */
  readonly modified: string
  /** Of the snapshot in it. */
  readonly cid: string
  readonly seq: number
  readonly reason: string
}

export interface BackupsOptions {
  readonly cairn: Cairn
  readonly dataset: string
  readonly maps: LiveMaps
  readonly folder: string
  readonly keep: RetentionPolicy
  readonly log: Logger
  readonly now: () => number
}

export interface RestoreBackupOptions {
  /** All of them unless given; others stay as they are. */
  readonly maps?: readonly string[] | undefined
  readonly signal?: AbortSignal | undefined
}

/** Of a dataset, newest first. */
export async function listBackups(folder: string, dataset: string): Promise<BackupItem[]> {
  return (await backupsOf(folder, dataset)).map(itemOf)
}

async function backupsOf(folder: string, dataset: string): Promise<Backup[]> {
  const { backups } = await readBackups(folder)
  return backups.filter(({ sidecar }) => sidecar.dataset === dataset)
}

/**
 * Makes the maps of a dataset what they were in a backup: `latest`, `latest~1` (the one before), or one by its
 * path, its file's name, or its snapshot's CID. In one commit, on top of what is there.
 */
export async function restoreFromBackup(
  { cairn, dataset, folder, now }: Pick<BackupsOptions, 'cairn' | 'dataset' | 'folder' | 'now'>,
  which: string,
  { maps, signal }: RestoreBackupOptions = {},
): Promise<RestoredMaps> {
  const { backups } = await readBackups(folder)
  const backup = find(await backupsOf(folder, dataset), which, folder)
  const bases = basesOf(backups, backup)
  if (bases === undefined) throw noBase(backup)
  const opened = await openCars(
    [backup, ...bases].map(({ paths }) => paths.car),
    { signal },
  )
  try {
    const source = await (await cairnOfCars(opened.cars)).dataset(dataset)
    const target = await cairn.dataset(dataset)
    return await restoreMaps(target, { dataset: source }, { maps, now, signal })
  } finally {
    await opened.close()
  }
}

export class SessionBackups {
  readonly #options: BackupsOptions

  constructor(options: BackupsOptions) {
    this.#options = options
  }

  /** Writes a CAR of what is current, reads it back, and removes those that the rules do not keep. */
  async create(): Promise<BackupItem & { readonly removed: readonly string[] }> {
    const { cairn, dataset, folder, keep, now, log } = this.#options
    const context = { cairn, dataset, now, log, dataDir: folder, backupsDir: folder }
    const { removed, path } = await exportTask(context, { policy: keep })
    const made = (await this.list()).find(({ filepath }) => filepath === path)
    if (made === undefined) throw new CairnError('internal', 'a backup that is not in its folder')
    return { ...made, removed }
  }

  /** Of this session, newest first. */
  list(): Promise<BackupItem[]> {
    return listBackups(this.#options.folder, this.#options.dataset)
  }

  /** As `restoreFromBackup`; the newest unless another is named. */
  async restore(which = 'latest', options: RestoreBackupOptions = {}): Promise<RestoredMaps> {
    const { cairn, dataset, maps } = this.#options
    const change = (): Promise<RestoredMaps> => restoreFromBackup(this.#options, which, options)
    return betweenWrites(maps, await cairn.dataset(dataset), change)
  }
}

function find(backups: readonly Backup[], which: string, folder: string): Backup {
  const nth = /^latest(?:~(\d{1,6}))?$/.exec(which)
  const found =
    nth === null
      ? backups.find(({ sidecar, paths }) =>
          [sidecar.filename, sidecar.snapshot_cid, paths.car].includes(which),
        )
      : backups[Number(nth[1] ?? 0)]
  if (found !== undefined) return found
  throw new CairnError('not_found', `There is no backup "${which.slice(0, 200)}" in ${folder}.`, {
    hint: 'List those there are; name one by latest, latest~1, its file or its CID.',
  })
}

function noBase({ sidecar }: Backup): CairnError {
  return new CairnError(
    'base_missing',
    `The backup ${sidecar.filename} needs another one that is not there.`,
    { hint: 'Bring back the CAR that it was made on, or restore an older one.' },
  )
}

function itemOf({ sidecar, paths }: Backup): BackupItem {
  return {
    filename: sidecar.filename,
    filepath: paths.car,
    size: sidecar.size_bytes,
    modified: sidecar.verified_at,
    cid: sidecar.snapshot_cid,
    seq: sidecar.seq,
    reason: sidecar.reason ?? '',
  }
}
