/** The library as its users get it: compiled from `src`, for scripts that measure it. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

const OUT = 'node_modules/.cache/cairn-library'

/** The URL of its entry, compiled anew unless `ready` names one. */
export function libraryUrl(ready) {
  if (ready) return pathToFileURL(ready).href
  const args = ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', '--outDir', OUT]
  const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' })
  if (status !== 0) throw new Error(`tsc ended with ${status}.`)
  mkdirSync(OUT, { recursive: true })
  // Below node_modules no package.json says what kind of modules these are.
  writeFileSync(`${OUT}/package.json`, '{ "type": "module" }\n')
  return pathToFileURL(`${OUT}/index.js`).href
}
