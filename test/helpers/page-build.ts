/**
 * The project as it is installed: the built sources with the built page beside them. Built once for each
 * state of what it is made of, whoever asks first.
 */
import { createHash, randomBytes } from 'node:crypto'
import { cp, mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'
import { builtDist } from './built.ts'

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const CACHE = join(ROOT, 'node_modules', '.cache', 'cairn-page')
const KEEP_MS = 3_600_000

let built: Promise<string> | undefined

/** As `builtDist`, with the page in `web`. */
export async function builtWithPage(): Promise<string> {
  built ??= make()
  return await built
}

/** The folder of the built page alone. */
export async function builtPage(): Promise<string> {
  return join(await builtWithPage(), 'web')
}

async function make(): Promise<string> {
  const target = join(CACHE, await hashOfSource())
  if (await exists(target)) return target
  await mkdir(CACHE, { recursive: true })
  await dropOld()
  const unfinished = join(CACHE, `new-${process.pid}-${randomBytes(4).toString('hex')}`)
  await cp(await builtDist(), unfinished, { recursive: true })
  await build({
    configFile: join(ROOT, 'web', 'vite.config.ts'),
    logLevel: 'error',
    build: { outDir: join(unfinished, 'web') },
  })
  await rename(unfinished, target).catch(async (error: unknown) => {
    await rm(unfinished, { recursive: true, force: true })
    if (!(await exists(target))) throw error
  })
  return target
}

async function hashOfSource(): Promise<string> {
  const hash = createHash('sha256')
  for (const folder of ['src', 'web']) {
    const files = await readdir(join(ROOT, folder), { recursive: true, withFileTypes: true })
    const paths = files.filter((f) => f.isFile()).map((f) => join(f.parentPath, f.name))
    for (const path of paths.sort()) {
      hash
        .update(path)
        .update('\0')
        .update(await readFile(path))
        .update('\0')
    }
  }
  return hash.digest('hex').slice(0, 20)
}

async function dropOld(): Promise<void> {
  for (const name of await readdir(CACHE)) {
    const path = join(CACHE, name)
    const age = await stat(path).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0,
    )
    if (age > KEEP_MS) await rm(path, { recursive: true, force: true })
  }
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  )
}
