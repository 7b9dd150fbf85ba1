/**
 * A Chromium for the tests of the page: that of CAIRN_CHROMIUM, else the one that is installed, else that of
 * Debian, which is installed now. Prints its path.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import process from 'node:process'

const PLACE = '/usr/bin/chromium'

function install() {
  const asRoot = process.getuid?.() === 0 ? [] : ['sudo', '-n']
  const apt = (...args) => {
    const [command, ...rest] = [...asRoot, 'apt-get', '-q', ...args]
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    // What it says is no path: only that goes to stdout.
    return spawnSync(command, rest, { stdio: ['ignore', 2, 2], env }).status === 0
  }
  const get = () => apt('install', '--yes', 'chromium')
  // Its lists may be missing, or older than the packages.
  return get() || (apt('update') && get())
}

const chosen = process.env.CAIRN_CHROMIUM ?? PLACE
if (!existsSync(chosen) && (process.env.CAIRN_CHROMIUM !== undefined || !install())) {
  process.stderr.write(
    `There is no Chromium at ${chosen}. Install one, and name it with CAIRN_CHROMIUM if it lies elsewhere.\n`,
  )
  process.exit(1)
}
process.stdout.write(`${chosen}\n`)
