/**
 * Prints the path of a Kubo binary: KUBO_BIN, or one built by the Go toolchain from tools/kubo into a
 * cache outside the checkout, once. Built under a name of its own and renamed, so that two builds at
 * once do no harm. Progress goes to stderr.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const tools = fileURLToPath(new URL('../tools/kubo/', import.meta.url))

function cached() {
  const version = /github\.com\/ipfs\/kubo v(\S+)/.exec(readFileSync(join(tools, 'go.mod'), 'utf8'))
  if (version === null) throw new Error(`${tools}go.mod names no version of github.com/ipfs/kubo.`)
  const cache = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache')
  const platform = `${process.platform}-${process.arch}`
  const name = process.platform === 'win32' ? 'ipfs.exe' : 'ipfs'
  return join(cache, 'cairn', `kubo-${version[1]}-${platform}`, name)
}

function build(path) {
  mkdirSync(dirname(path), { recursive: true })
  const fresh = `${path}.${process.pid}`
  process.stderr.write(`Building Kubo into ${path}: a few minutes, once.\n`)
  try {
    const built = spawnSync('go', ['build', '-o', fresh, 'github.com/ipfs/kubo/cmd/ipfs'], {
      cwd: tools,
      stdio: ['ignore', process.stderr, process.stderr],
    })
    if (built.error) throw new Error(`No Go toolchain: ${built.error.message}. Set KUBO_BIN.`)
    if (built.status !== 0) throw new Error(`go build ended with ${built.status}. Set KUBO_BIN.`)
    renameSync(fresh, path)
  } finally {
    rmSync(fresh, { force: true })
  }
}

const path = process.env['KUBO_BIN'] || cached()
if (!existsSync(path)) {
  if (process.env['KUBO_BIN']) throw new Error(`KUBO_BIN is ${path}, which is not there.`)
  build(path)
}
process.stdout.write(`${path}\n`)
