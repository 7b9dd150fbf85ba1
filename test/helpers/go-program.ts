/** Go programs of tools/, each built into a cache outside the checkout, once for each of its versions. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access, mkdir, readdir, readFile, rename } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** The path of the program that is called so there; building it may take minutes. */
export async function goProgram(name: string, sources: string): Promise<string> {
  const hash = createHash('sha256')
  for (const file of (await readdir(sources)).toSorted())
    hash.update(await readFile(join(sources, file)))
  const version = hash.digest('hex').slice(0, 12)
  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'cairn')
  const path = join(cache, `${name}-${version}-${process.platform}-${process.arch}`)
  const there = await access(path).then(
    () => true,
    () => false,
  )
  if (there) return path
  await mkdir(cache, { recursive: true })
  const fresh = `${path}.${process.pid}`
  await run('go', ['build', '-mod=readonly', '-o', fresh, '.'], { cwd: sources })
  await rename(fresh, path)
  return path
}
