/** How much of a disk is free, and how much a folder takes. */
import { readdir, stat, statfs } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { ifAbsent, systemCodeOf } from '../util/system-error.ts'

/** Of the disk of the nearest folder that is there; undefined where the system does not tell. */
export async function freePercentAt(path: string): Promise<number | undefined> {
  for (let folder = resolve(path); ; folder = dirname(folder)) {
    try {
      const { blocks, bavail } = await statfs(folder)
      return blocks > 0 ? (bavail / blocks) * 100 : undefined
    } catch (error) {
      if (systemCodeOf(error) !== 'ENOENT' || dirname(folder) === folder) throw error
    }
  }
}

/** Of the files directly in it; 0 where it is not there. */
export async function folderBytes(folder: string): Promise<number> {
  let sum = 0
  for (const name of await namesIn(folder)) {
    const found = await stat(join(folder, name)).catch(ifAbsent)
    if (found?.isFile() === true) sum += found.size
  }
  return sum
}

async function namesIn(folder: string): Promise<readonly string[]> {
  return (await readdir(folder).catch(ifAbsent)) ?? []
}
