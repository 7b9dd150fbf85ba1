/**
 * Prints the folder of schemathesis, which holds a service to its API document: for PYTHONPATH. It is installed
 * from tools/schemathesis/requirements.txt into a cache outside the checkout, once; under a name of its own that
 * is then changed, so that two at once do no harm. Progress goes to stderr.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const requirements = fileURLToPath(
  new URL('../tools/schemathesis/requirements.txt', import.meta.url),
)

/** Below it what was installed; another list of versions is another folder. */
function cached() {
  const text = readFileSync(requirements)
  const version = /^schemathesis==(\S+)$/m.exec(text.toString())?.[1]
  if (version === undefined) throw new Error(`${requirements} names no version of schemathesis.`)
  const list = createHash('sha256').update(text).digest('hex').slice(0, 8)
  const cache = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache')
  return join(cache, 'cairn', `schemathesis-${version}-${list}`)
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', process.stderr, 2] })
  if (error) throw new Error(`No ${command}: ${error.message}.`)
  if (status !== 0) throw new Error(`${command} ended with ${status}.`)
}

/** As packages in a folder and no environment: that may be renamed, and has no paths in it. */
function install(folder) {
  const fresh = `${folder}.${process.pid}`
  process.stderr.write(`Installing schemathesis into ${folder}: a minute, once.\n`)
  mkdirSync(dirname(folder), { recursive: true })
  try {
    const quiet = ['--quiet', '--disable-pip-version-check', '--only-binary', ':all:']
    run('python3', ['-m', 'pip', 'install', ...quiet, '--target', fresh, '-r', requirements])
    try {
      renameSync(fresh, folder)
    } catch (error) {
      // Another one was there first.
      if (!existsSync(folder)) throw error
    }
  } finally {
    rmSync(fresh, { recursive: true, force: true })
  }
}

const folder = cached()
if (!existsSync(folder)) install(folder)
process.stdout.write(`${folder}\n`)
