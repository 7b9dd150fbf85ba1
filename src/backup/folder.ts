/**
 * The backups in a folder. A CAR is a backup when its sidecar is there: that is written last, and
 * removed first. Which one is newer is told by what is in them, never by the times of files.
 */
import { open, readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { CairnError, isCairnError, toCairnError } from '../errors.ts'
import { isCarName, parseCarName, parseTimestamp, pathsBeside, type BackupPaths } from './name.ts'
import { parseSidecar, type Sidecar } from './sidecar.ts'

export const MAX_SIDECAR_BYTES: number = 1 << 20

export interface Backup {
  readonly sidecar: Sidecar
  readonly paths: BackupPaths
}

export interface DamagedBackup {
  readonly path: string
  readonly reason: string
  /** Its sidecar is of another version, so that what it needs is not known. */
  readonly unknown?: CairnError
}

export interface BackupFolder {
  /** Whole, newest first. */
  readonly backups: readonly Backup[]
  /** CARs without a sidecar: cut off between two steps, or not made by Cairn. */
  readonly unfinished: readonly string[]
  readonly damaged: readonly DamagedBackup[]
}

export async function readBackups(folder: string): Promise<BackupFolder> {
  return sortOut(await namesIn(folder), (name) => join(folder, name), readBackup)
}

/** What the names beside each other are; `pathOf` says where each is, and `read` throws at what is no backup. */
export async function sortOut(
  names: readonly string[],
  pathOf: (name: string) => string,
  read: (paths: BackupPaths) => Promise<Backup>,
): Promise<BackupFolder> {
  const there = new Set(names)
  const backups: Backup[] = []
  const unfinished: string[] = []
  const damaged: DamagedBackup[] = []
  for (const name of names.filter(isCarName)) {
    const paths = pathsBeside(pathOf(name))
    if (!there.has(basename(paths.sidecar))) {
      unfinished.push(paths.car)
      continue
    }
    try {
      backups.push(await read(paths))
    } catch (error) {
      const unknown = isCairnError(error, 'format_unsupported') ? { unknown: error } : {}
      damaged.push({ path: paths.car, reason: toCairnError(error).message, ...unknown })
    }
  }
  damaged.push(...lostCars(names, pathOf))
  return { backups: newestFirst(backups), unfinished, damaged }
}

/** Which backup is the newest, and which is needed by another, is known only where all can be read. */
export function checkAllKnown({ damaged }: BackupFolder): void {
  for (const { unknown, path } of damaged) {
    if (unknown === undefined) continue
    const { code, message, hint = '', details } = unknown
    throw new CairnError(code, `${message.replace(/\.$/, '')}: that of ${path}.`, {
      ...details,
      hint,
      path,
      cause: unknown,
    })
  }
}

/** The backup that a CAR and the files beside it are. */
export async function readBackup(paths: BackupPaths): Promise<Backup> {
  const sidecar = await readSidecar(paths.sidecar)
  const { size } = await stat(paths.car)
  if (size === sidecar.size_bytes) return { sidecar, paths }
  throw new CairnError(
    'invalid_car',
    `The CAR ${paths.car} has ${size} bytes, its sidecar says ${sidecar.size_bytes}.`,
    { hint: 'Take another copy of it.', path: paths.car },
  )
}

export async function readSidecar(path: string): Promise<Sidecar> {
  return parseSidecar(await readBounded(path))
}

/** Sidecars whose CAR is gone. */
function lostCars(names: readonly string[], pathOf: (name: string) => string): DamagedBackup[] {
  const stems = new Set(names.filter(isCarName).map((name) => pathsBeside(name).sidecar))
  return names
    .filter((name) => !stems.has(name) && isSidecarName(name))
    .map((name) => ({ path: pathOf(name), reason: 'The CAR of this sidecar is missing.' }))
}

const isSidecarName = (name: string): boolean =>
  name.endsWith('.json') && parseCarName(name.replace(/\.json$/, '.car')) !== undefined

async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort()
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
    if (code === 'ENOENT') return []
    if (code === 'EACCES' || code === 'EPERM') {
      throw new CairnError('access_denied', `The folder ${folder} may not be read by this user.`, {
        hint: 'Check who may use it, or run as its owner.',
        path: folder,
        cause,
      })
    }
    throw new CairnError('usage', `The folder of backups ${folder} cannot be read.`, {
      hint: 'Check --backups-dir.',
      path: folder,
      cause,
    })
  }
}

async function readBounded(path: string): Promise<string> {
  await using file = await open(path)
  const bytes = Buffer.alloc(MAX_SIDECAR_BYTES + 1)
  let used = 0
  for (;;) {
    const { bytesRead } = await file.read(bytes, used, bytes.length - used)
    used += bytesRead
    if (bytesRead === 0) break
  }
  if (used <= MAX_SIDECAR_BYTES) return bytes.toString('utf8', 0, used)
  throw new CairnError('invalid_car', `The sidecar ${path} is too large to be one.`, { path })
}

/**
 * Within one dataset a later generation is newer, then the higher position, then the higher number, then
 * the later export: none of which a clock that went back can turn around. Datasets of different
 * identities (one of them made anew under the old name) follow each other by their newest export.
 */
export function newestFirst(backups: readonly Backup[]): Backup[] {
  const newestOf = new Map<string, number>()
  for (const { sidecar } of backups) {
    const { identity } = sidecar
    newestOf.set(identity, Math.max(newestOf.get(identity) ?? 0, exportedAt(sidecar)))
  }
  const newest = (identity: string): number => newestOf.get(identity) ?? 0
  return backups.toSorted(
    ({ sidecar: a }, { sidecar: b }) =>
      newest(b.identity) - newest(a.identity) ||
      compareText(a.identity, b.identity) ||
      b.generation - a.generation ||
      b.next - a.next ||
      b.seq - a.seq ||
      exportedAt(b) - exportedAt(a) ||
      compareText(a.filename, b.filename),
  )
}

export const exportedAt = ({ timestamp }: Pick<Sidecar, 'timestamp'>): number =>
  parseTimestamp(timestamp) ?? 0

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
