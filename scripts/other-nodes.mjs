/**
 * Runs the demo on the other versions of Node that Cairn supports. They come from the npm packages in
 * which Node itself is published, into a cache outside the checkout.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

const MAJORS = [22, 24]
const packageName = `node-${process.platform}-${process.arch}`
const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'cairn')

function run(command, args) {
  const { status } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}.`)
}

for (const major of MAJORS) {
  const folder = join(cache, `node-${major}`)
  const node = join(folder, 'node_modules', packageName, 'bin', 'node')
  if (!existsSync(node)) {
    mkdirSync(folder, { recursive: true })
    run('npm', [
      'install',
      '--prefix',
      folder,
      '--no-save',
      '--no-audit',
      '--no-fund',
      `${packageName}@${major}`,
    ])
  }
  run(node, ['--version'])
  run(node, ['scripts/demo.mjs'])
}
