/** Node's `fs/promises` for the files that somebody has chosen: opening one. */
import { closeBlob, openBlob } from './blobs.ts'

export interface FileHandle {
  readonly fd: number
  stat(): Promise<{ size: number; isFile(): boolean }>
  close(): Promise<void>
}

export async function open(path: string): Promise<FileHandle> {
  const blob = openBlob(path)
  if (blob === undefined) throw Object.assign(new Error(`no file ${path}`), { code: 'ENOENT' })
  const { fd, size } = blob
  return {
    fd,
    stat: async () => ({ size, isFile: () => true }),
    close: async () => closeBlob(fd),
  }
}
