/**
 * The project as JavaScript, for tests that start other processes: Node 20 cannot run TypeScript.
 *
 * Built once for each state of `src` into `node_modules/.cache/cairn-built/HASH`, whoever asks first.
 */
import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { access, mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const CACHE = join(ROOT, 'node_modules', '.cache', 'cairn-built')
const KEEP_MS = 3_600_000

let built: Promise<string> | undefined

/** The folder that holds `index.js` and the rest of `dist`. */
export async function builtDist(): Promise<string> {
  built ??= build()
  return await built
}

async function build(): Promise<string> {
  const target = join(CACHE, await hashOfSource())
  if (await exists(target)) return target
  await mkdir(CACHE, { recursive: true })
  await dropOld()
  const unfinished = join(CACHE, `new-${process.pid}-${randomBytes(4).toString('hex')}`)
  const report = await compile(unfinished)
  if (!(await exists(join(unfinished, 'errors.js'))))
    throw new Error(`tsc wrote nothing:\n${report}`)
  // The cache lies in node_modules, where no package.json above it says what kind of modules these are.
  await writeFile(join(unfinished, 'package.json'), '{ "type": "module" }\n')
  await rename(unfinished, target).catch(async (error: unknown) => {
    await rm(unfinished, { recursive: true, force: true })
    if (!(await exists(target))) throw error
  })
  return target
}

/** Type errors do not keep a test from running: `npm run check` reports them. */
async function compile(outDir: string): Promise<string> {
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
  const project = join(ROOT, 'tsconfig.build.json')
  const args = [tsc, '-p', project, '--noEmitOnError', 'false', '--outDir', outDir]
  return await new Promise((resolve) => {
    execFile(process.execPath, args, { cwd: ROOT }, (_error, stdout, stderr) => {
      resolve(stdout + stderr)
    })
  })
}

async function hashOfSource(): Promise<string> {
  const hash = createHash('sha256')
  const files = await readdir(join(ROOT, 'src'), { recursive: true, withFileTypes: true })
  const paths = files.filter((f) => f.isFile()).map((f) => join(f.parentPath, f.name))
  for (const path of [...paths.sort(), join(ROOT, 'tsconfig.json')]) {
    hash
      .update(path)
      .update('\0')
      .update(await readFile(path))
      .update('\0')
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
  return await access(path).then(
    () => true,
    () => false,
  )
}
