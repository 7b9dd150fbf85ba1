/**
 * Programs of Debian packages, for tests: unpacked into a cache outside the checkout and not installed, so
 * that nothing of them starts. That they cannot be had is a failure, never a reason to skip.
 */
import { execFile } from 'node:child_process'
import { access, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** The folder that stands for `/` of these packages. */
export async function debianRoot(...names: readonly string[]): Promise<string> {
  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'cairn')
  const root = join(cache, `debian-${process.arch}-${names.join('-')}`)
  if (await isThere(root)) return root
  await mkdir(cache, { recursive: true })
  // Under a name of its own first, so that two at once do no harm.
  const fresh = await mkdtemp(`${root}-`)
  try {
    await download(names, fresh)
    const files = (await readdir(fresh)).filter((one) => one.endsWith('.deb'))
    if (files.length !== names.length) throw new Error(`No packages ${names.join(', ')}.`)
    for (const file of files) await run('dpkg-deb', ['-x', join(fresh, file), join(fresh, 'root')])
    await rename(join(fresh, 'root'), root).catch(async (error: unknown) => {
      if (!(await isThere(root))) throw error
    })
    return root
  } finally {
    await rm(fresh, { recursive: true, force: true })
  }
}

async function download(names: readonly string[], cwd: string): Promise<void> {
  const get = (): Promise<unknown> => run('apt-get', ['download', ...names], { cwd })
  await get().catch(async () => {
    // Its lists are missing, or older than the packages.
    await run('apt-get', ['update'])
    await get()
  })
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
