/** Builds kept for all test files: each made once for a state of its sources, whoever asks first. */
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT: string = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const KEEP_MS = 3_600_000

/** The folder that `make` filled from `sources`, files and folders of the project. */
export async function builtOnce(
  name: string,
  sources: readonly string[],
  make: (folder: string) => Promise<void>,
): Promise<string> {
  const cache = join(ROOT, 'node_modules', '.cache', name)
  const target = join(cache, await hashOf(sources))
  if (await exists(target)) return target
  await mkdir(cache, { recursive: true })
  await dropOld(cache)
  const unfinished = join(cache, `new-${process.pid}-${randomBytes(4).toString('hex')}`)
  await make(unfinished)
  await rename(unfinished, target).catch(async (error: unknown) => {
    await rm(unfinished, { recursive: true, force: true })
    if (!(await exists(target))) throw error
  })
  return target
}

async function hashOf(sources: readonly string[]): Promise<string> {
  const hash = createHash('sha256')
  for (const source of sources) {
    for (const path of await filesOf(join(ROOT, source))) {
      hash
        .update(path)
        .update('\0')
        .update(await readFile(path))
        .update('\0')
    }
  }
  return hash.digest('hex').slice(0, 20)
}

async function filesOf(path: string): Promise<string[]> {
  if ((await stat(path)).isFile()) return [path]
  const files = await readdir(path, { recursive: true, withFileTypes: true })
  return files
    .filter((file) => file.isFile())
    .map((file) => join(file.parentPath, file.name))
    .sort()
}

async function dropOld(cache: string): Promise<void> {
  for (const name of await readdir(cache)) {
    const path = join(cache, name)
    const age = await stat(path).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0,
    )
    if (age > KEEP_MS) await rm(path, { recursive: true, force: true })
  }
}

export async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  )
}
