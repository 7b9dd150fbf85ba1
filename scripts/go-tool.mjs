/**
 * A program that the Go toolchain builds from a module under tools/, once, into a cache outside the checkout:
 * the path of its binary, or of the one that an environment variable names. Built under a name of its own and
 * renamed, so that two builds at once do no harm. Progress goes to stderr.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * `tool` is the folder under tools/, `module` the module in its go.mod whose version counts, `main` the package
 * in it that is built, `name` the binary's, and `variable` names the binary of those who have one.
 */
export function goTool({ tool, module, main, name, variable }) {
  const given = process.env[variable]
  if (given) {
    if (!existsSync(given)) throw new Error(`${variable} is ${given}, which is not there.`)
    return given
  }
  const folder = fileURLToPath(new URL(`../tools/${tool}/`, import.meta.url))
  const path = join(cacheOf(tool, versionOf(module, folder)), executable(name))
  if (!existsSync(path)) build({ folder, packageName: `${module}${main}`, path, variable })
  return path
}

function versionOf(module, folder) {
  const words = readFileSync(join(folder, 'go.mod'), 'utf8').split(/\s+/)
  const version = words.find((word, at) => words[at - 1] === module && /^v\d/.test(word))
  if (version === undefined) throw new Error(`${folder}go.mod names no version of ${module}.`)
  return version.slice(1)
}

function cacheOf(tool, version) {
  const cache = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache')
  return join(cache, 'cairn', `${tool}-${version}-${process.platform}-${process.arch}`)
}

const executable = (name) => (process.platform === 'win32' ? `${name}.exe` : name)

function build({ folder, packageName, path, variable }) {
  mkdirSync(dirname(path), { recursive: true })
  const fresh = `${path}.${process.pid}`
  process.stderr.write(`Building ${packageName} into ${path}: a few minutes, once.\n`)
  try {
    const built = spawnSync('go', ['build', '-o', fresh, packageName], {
      cwd: folder,
      stdio: ['ignore', process.stderr, process.stderr],
    })
    if (built.error) throw new Error(`No Go toolchain: ${built.error.message}. Set ${variable}.`)
    if (built.status !== 0) throw new Error(`go build ended with ${built.status}. Set ${variable}.`)
    renameSync(fresh, path)
  } finally {
    rmSync(fresh, { force: true })
  }
}
