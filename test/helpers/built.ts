/**
 * The project as JavaScript, for tests that start other processes: Node 20 cannot run TypeScript.
 *
 * Built once for each state of `src` into `node_modules/.cache/cairn-built/HASH`, whoever asks first.
 */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { builtOnce, exists, ROOT } from './build-cache.ts'

let built: Promise<string> | undefined

/** The folder that holds `index.js` and the rest of `dist`. */
export async function builtDist(): Promise<string> {
  built ??= builtOnce('cairn-built', ['src', 'tsconfig.json'], make)
  return await built
}

async function make(folder: string): Promise<void> {
  const report = await compile(folder)
  if (!(await exists(join(folder, 'errors.js')))) throw new Error(`tsc wrote nothing:\n${report}`)
  // The cache lies in node_modules, where no package.json above it says what kind of modules these are.
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }\n')
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
