/** The viewer as it is given away: one file, built once for each test file. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'vite'

const CONFIG = fileURLToPath(new URL('../../web/vite.config.ts', import.meta.url))

export interface BuiltViewer {
  /** Of the file itself. */
  readonly url: string
  readonly remove: () => Promise<void>
}

export async function buildViewer(): Promise<BuiltViewer> {
  const outDir = await mkdtemp(join(tmpdir(), 'cairn-viewer-'))
  await build({ configFile: CONFIG, mode: 'viewer', logLevel: 'error', build: { outDir } })
  return {
    url: pathToFileURL(join(outDir, 'cairn-car-viewer.html')).href,
    remove: () => rm(outDir, { recursive: true, force: true }),
  }
}
