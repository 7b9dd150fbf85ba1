/** A file without a name, for bytes that must be read here and there: gone when its process is, however that ends. */
import { randomBytes } from 'node:crypto'
import { open, rm, type FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export async function openSpool(folder: string = tmpdir()): Promise<FileHandle> {
  const path = join(folder, `cairn-spool-${randomBytes(8).toString('hex')}`)
  const file = await open(path, 'wx+', 0o600)
  await rm(path)
  return file
}

/** Under this path the system opens it once more, as long as it is open here. */
export const spoolPath = ({ fd }: FileHandle): string => `/dev/fd/${fd}`
