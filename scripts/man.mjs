/**
 * Writes the man pages and the completions of the shells, from the definitions of the commands.
 *
 *   node scripts/man.mjs [--dist DIR] [--out DIR]      into OUT/man and OUT/completions; OUT is DIST
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { commandRecords } from './docs/commands.mjs'
import { manPages } from './docs/man-pages.mjs'
import { loaderOf } from './docs/reference.mjs'

const { values: args } = parseArgs({
  options: { dist: { type: 'string' }, out: { type: 'string' } },
})
const root = fileURLToPath(new URL('..', import.meta.url))
const dist = resolve(args.dist ?? join(root, 'dist'))
const out = resolve(args.out ?? dist)
const load = loaderOf(dist)

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const { SETTINGS } = await load('config/schema.js')
const settings = Object.values(SETTINGS).map(({ env, description }) => ({
  env: env[0],
  what: description,
}))
const page = readFileSync(join(root, 'docs', 'CLI.md'), 'utf8')
const program = await commandRecords(load)
write('man', manPages({ program, page, settings, version, date: releaseDate() }))
write('completions', await completions())

/** The same sources give the same bytes: the date is that of the newest entry in the changelog. */
function releaseDate() {
  const changes = readFileSync(join(root, 'CHANGELOG.md'), 'utf8')
  return /\d{4}-\d\d-\d\d/.exec(changes)?.[0] ?? ''
}

async function completions() {
  const { completionOf } = await load('cli/command/completion.js')
  const names = { bash: 'cairn.bash', zsh: '_cairn', fish: 'cairn.fish' }
  const files = new Map()
  for (const [shell, name] of Object.entries(names)) files.set(name, await completionOf(shell))
  return files
}

function write(name, files) {
  const folder = join(out, name)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  for (const [file, text] of files) writeFileSync(join(folder, file), text)
  process.stdout.write(`${folder}: ${files.size} files\n`)
}
