/** Writing a file whole or not at all: to a temporary one beside it, synced, then renamed. */
import { randomBytes } from 'node:crypto'
import { stat, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { CairnError } from '../errors.ts'
import { replaceFile } from '../util/durable-file.ts'
import { withFiles } from '../util/file-error.ts'

const FLUSH_CHARS = 256 * 1024

export interface NewFile {
  line(text: string): Promise<void>
}

/** Nothing is left of a file whose `write` failed. Only with `force` a file that is there is replaced. */
export async function writeNewFile(
  path: string,
  force: boolean,
  write: (file: NewFile) => Promise<void>,
): Promise<number> {
  await refuseExisting(path, force)
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.new`)
  let bytes = 0
  const writeLines = async (handle: FileHandle): Promise<void> => {
    const file = new LineFile(handle)
    await write(file)
    await file.flush()
    bytes = file.bytes
  }
  await withFiles(path, () => replaceFile(path, temporary, writeLines))
  return bytes
}

async function refuseExisting(path: string, force: boolean): Promise<void> {
  const there = await stat(path).catch(() => undefined)
  // A device or a pipe would be replaced by the file: /dev/null, for everybody on the machine.
  if (there?.isFile() === false) {
    const what = there.isDirectory() ? 'a folder' : 'no regular file'
    throw new CairnError('usage', `The file ${path} cannot be written: it is ${what}.`, {
      hint: 'Name a file, or write to standard output and redirect that.',
      path,
    })
  }
  if (there === undefined || force) return
  throw new CairnError('usage', `The file ${path} is there already.`, {
    hint: 'Name another file, or replace it with --force.',
    path,
  })
}

class LineFile implements NewFile {
  readonly #handle: FileHandle
  #pending = ''
  bytes = 0

  constructor(handle: FileHandle) {
    this.#handle = handle
  }

  async line(text: string): Promise<void> {
    this.#pending += `${text}\n`
    if (this.#pending.length >= FLUSH_CHARS) await this.flush()
  }

  async flush(): Promise<void> {
    const bytes = Buffer.from(this.#pending)
    this.#pending = ''
    this.bytes += bytes.length
    await this.#handle.writeFile(bytes)
  }
}
