/**
 * The project as it is installed: the built sources with the built page beside them. Built once for each
 * state of what it is made of, whoever asks first.
 */
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'vite'
import { builtOnce, ROOT } from './build-cache.ts'
import { builtDist } from './built.ts'

let built: Promise<string> | undefined

/** As `builtDist`, with the page in `web`. */
export async function builtWithPage(): Promise<string> {
  built ??= builtOnce('cairn-page', ['src', 'web'], make)
  return await built
}

/** The folder of the built page alone. */
export async function builtPage(): Promise<string> {
  return join(await builtWithPage(), 'web')
}

async function make(folder: string): Promise<void> {
  await cp(await builtDist(), folder, { recursive: true })
  await build({
    configFile: join(ROOT, 'web', 'vite.config.ts'),
    logLevel: 'error',
    build: { outDir: join(folder, 'web') },
  })
}
