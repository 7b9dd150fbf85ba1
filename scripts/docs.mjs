/**
 * The documentation: what is made from the code, the site, the man pages and the completions.
 *
 *   node scripts/docs.mjs [--check] [--dist DIR] [--no-site]
 *
 * --check writes nothing, and says where a page is not what the code says. The code must be built.
 */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { referencePages } from './docs/reference.mjs'

const { values: args } = parseArgs({
  options: {
    check: { type: 'boolean', default: false },
    dist: { type: 'string' },
    site: { type: 'boolean', default: true },
  },
  allowNegative: true,
})
const root = fileURLToPath(new URL('..', import.meta.url))
const dist = resolve(args.dist ?? join(root, 'dist'))

if (args.check) await check()
else {
  for (const { path, stored, made } of await referencePages(root, dist))
    if (stored !== made) {
      writeFileSync(join(root, path), made)
      process.stdout.write(`${path} is written\n`)
    }
  run('http-docs.mjs')
  run('man.mjs')
  if (args.site) await site()
}

function run(script) {
  const { status } = spawnSync(process.execPath, [`scripts/${script}`, '--dist', dist], {
    cwd: root,
    stdio: 'inherit',
  })
  if (status !== 0) process.exit(status ?? 1)
}

async function check() {
  const different = (await referencePages(root, dist)).filter(({ stored, made }) => stored !== made)
  for (const { path, stored, made } of different) {
    const [had, has] = [stored.split('\n'), made.split('\n')]
    const n = has.findIndex((line, at) => line !== had[at])
    process.stderr.write(`${path}, line ${n + 1}:\n  stored ${had[n]}\n  made   ${has[n]}\n`)
  }
  if (different.length === 0) process.stdout.write('the reference is as the code says\n')
  else {
    process.stderr.write('Look whether that was meant, then run npm run docs.\n')
    process.exitCode = 1
  }
}

async function site() {
  // The generator takes a while to load.
  const { buildSite } = await import('./docs/site.mjs')
  const { pages, links, broken, milliseconds } = await buildSite(root)
  for (const one of broken) process.stderr.write(`${one}\n`)
  const seconds = (milliseconds / 1000).toFixed(1)
  process.stdout.write(`docs/site: ${pages} pages, ${links} links checked, ${seconds} s\n`)
  if (broken.length > 0) process.exitCode = 1
}
