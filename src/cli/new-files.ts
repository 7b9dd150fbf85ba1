/**
 * Several files into one folder, all of them or none: written and synced in a folder of their own inside it, and put
 * in place when all are whole. A name that is taken is never taken over. Dying while they are put in place, which
 * takes a moment, leaves whole files.
 */
import { mkdir, mkdtemp, rm, rmdir, type FileHandle } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { publish } from '../backup/publish.ts'
import { syncPath, writeSynced } from '../util/durable-file.ts'
import { withFiles } from '../util/file-error.ts'

const FLUSH_CHARS = 256 * 1024

export interface WrittenFile {
  /** Where it lies in the end. */
  readonly path: string
  readonly bytes: number
}

interface Waiting {
  readonly temporary: string
  readonly nameOf: (nth: number) => string
  readonly bytes: number
}

export class NewFiles {
  readonly #folder: string
  /** The outermost folder that was made for it. */
  readonly #made: string | undefined
  readonly #temporary: string
  readonly #waiting: Waiting[] = []

  private constructor(folder: string, made: string | undefined, temporary: string) {
    this.#folder = folder
    this.#made = made
    this.#temporary = temporary
  }

  static begin(path: string): Promise<NewFiles> {
    return withFiles(path, async () => {
      const made = await mkdir(resolve(path), { recursive: true })
      return new NewFiles(path, made, await mkdtemp(join(path, '.cairn-export-')))
    })
  }

  /** Writes a file that will be named `nameOf(1)`, or with the next number whose name is free. */
  async write(nameOf: Waiting['nameOf'], parts: AsyncIterable<string>): Promise<void> {
    const temporary = join(this.#temporary, String(this.#waiting.length))
    await withFiles(this.#folder, async () => {
      let bytes = 0
      await writeSynced(temporary, async (file) => {
        bytes = await writeAll(file, parts)
      })
      this.#waiting.push({ temporary, nameOf, bytes })
    })
  }

  /** Gives all files their names; they come in the order in which they were written. */
  async publish(): Promise<WrittenFile[]> {
    const placed: WrittenFile[] = []
    try {
      return await withFiles(this.#folder, async () => {
        for (const { temporary, nameOf, bytes } of this.#waiting)
          placed.push({ path: await place(temporary, this.#folder, nameOf), bytes })
        await rm(this.#temporary, { recursive: true, force: true })
        await syncPath(this.#folder)
        return placed
      })
    } catch (error) {
      await Promise.allSettled(placed.map(({ path }) => rm(path, { force: true })))
      throw error
    }
  }

  /** Leaves nothing behind of what was not published. */
  async drop(): Promise<void> {
    await rm(this.#temporary, { recursive: true, force: true })
    if (this.#made === undefined) return
    // Only what is empty goes.
    for (let one = resolve(this.#folder); one.startsWith(this.#made); one = dirname(one)) {
      try {
        await rmdir(one)
      } catch {
        return
      }
    }
  }
}

async function writeAll(handle: FileHandle, parts: AsyncIterable<string>): Promise<number> {
  let pending = ''
  let bytes = 0
  const flush = async (): Promise<void> => {
    const part = Buffer.from(pending)
    pending = ''
    bytes += part.length
    await handle.writeFile(part)
  }
  for await (const part of parts) {
    pending += part
    if (pending.length >= FLUSH_CHARS) await flush()
  }
  await flush()
  return bytes
}

async function place(
  temporary: string,
  folder: string,
  nameOf: Waiting['nameOf'],
): Promise<string> {
  for (let nth = 1; ; nth++) {
    const path = join(folder, nameOf(nth))
    if (await publish(temporary, path)) return path
  }
}
