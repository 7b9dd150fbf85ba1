/**
 * Giving files their final names. Everything is written and synced under names nobody looks for; a file
 * then gets its name in one step, and never takes that of one that is there.
 */
import type { Stats } from 'node:fs'
import { link, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { CairnError } from '../errors.ts'
import { replaceFile, writeSynced } from '../util/durable-file.ts'
import { ifAbsent, systemCodeOf } from '../util/system-error.ts'
import { isUnfinishedName, unfinishedName } from './name.ts'

const STALE_MS = 24 * 3_600_000
/** What a disk says that knows no hard links. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'])

/** False when a file of that name is there. The temporary name may stay, too: its owner removes it. */
export async function publish(temporary: string, final: string): Promise<boolean> {
  try {
    await link(temporary, final)
    return true
  } catch (error) {
    const code = systemCodeOf(error)
    if (code === 'EEXIST') return false
    if (!NO_LINKS.has(code)) throw error
  }
  if ((await statOf(final)) !== undefined) return false
  await rename(temporary, final)
  return true
}

/** A synced file of this text under a name that nobody looks for. */
export async function writeTemporary(folder: string, name: string, text: string): Promise<string> {
  const path = join(folder, unfinishedName(name))
  await writeSynced(path, (file) => file.writeFile(text))
  return path
}

/** Replaces a file as a whole, or makes it. */
export async function writeWhole(folder: string, name: string, text: string): Promise<void> {
  const temporary = join(folder, unfinishedName(name))
  await replaceFile(join(folder, name), temporary, (file) => file.writeFile(text))
}

async function statOf(path: string): Promise<Stats | undefined> {
  return stat(path).catch(ifAbsent)
}

/** Refuses to write where something is; with `force` only where that is no regular file, as a device is not. */
export async function refuseExisting(paths: readonly string[], force = false): Promise<void> {
  for (const path of paths) {
    const there = await statOf(path)
    if (there === undefined || (force && there.isFile())) continue
    if (!there.isFile()) {
      throw new CairnError('usage', `The file ${path} cannot be replaced: it is no regular file.`, {
        hint: 'Name a file, or write to standard output with "-".',
        path,
      })
    }
    throw new CairnError('usage', `The file ${path} is there already.`, {
      hint: 'Name another file, or replace it with --force.',
      path,
    })
  }
}

/** Refuses to write the file `path` where there is no `folder` for it, or where it is one itself. */
export async function checkFolder(folder: string, path: string): Promise<void> {
  const cannot = (why: string, hint: string): CairnError =>
    new CairnError('usage', `The file ${path} cannot be written: ${why}.`, { hint, path })
  if ((await statOf(folder)) === undefined)
    throw cannot('there is no such folder', 'Check the path.')
  if ((await statOf(path))?.isDirectory() === true) throw cannot('it is a folder', 'Name a file.')
}

/** What was never finished, by processes that are long gone: nothing was written to it for a day. */
export async function staleIn(folder: string, now: number): Promise<string[]> {
  const stale: string[] = []
  for (const name of (await readdir(folder)).filter(isUnfinishedName)) {
    const path = join(folder, name)
    const written = await stat(path).then(
      ({ mtimeMs }) => mtimeMs,
      () => now,
    )
    if (now - written > STALE_MS) stale.push(path)
  }
  return stale
}

export async function removeStale(folder: string, now: number): Promise<void> {
  await removeAll(await staleIn(folder, now))
}

export async function removeAll(paths: readonly string[]): Promise<void> {
  for (const path of paths) await rm(path, { force: true })
}
