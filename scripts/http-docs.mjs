/**
 * Writes docs/HTTP.md from the built code's OpenAPI document, or with --check says where it differs.
 *
 *   node scripts/http-docs.mjs [--check] [--dist DIR]
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { format, resolveConfig as prettierConfig } from 'prettier'
import { httpPage } from './http-docs/page.mjs'

const { values: args } = parseArgs({
  options: { check: { type: 'boolean', default: false }, dist: { type: 'string' } },
})
const root = fileURLToPath(new URL('..', import.meta.url))
const page = join(root, 'docs', 'HTTP.md')
const made = await format(httpPage(await documentOf(resolve(args.dist ?? `${root}dist`))), {
  ...(await prettierConfig(page)),
  parser: 'markdown',
})

if (!args.check) {
  writeFileSync(page, made)
  process.stdout.write('docs/HTTP.md is written\n')
} else compare(readFileSync(page, 'utf8').split('\n'), made.split('\n'))

function compare(stored, lines) {
  const at = lines.findIndex((line, n) => line !== stored[n])
  if (at < 0 && lines.length === stored.length) {
    process.stdout.write('docs/HTTP.md is as the code says\n')
    return
  }
  const n = at < 0 ? lines.length : at
  process.stderr.write(
    `docs/HTTP.md, line ${n + 1}:\n  stored ${stored[n]}\n  made   ${lines[n]}\n` +
      'The API changed: look whether that was meant, then run node scripts/http-docs.mjs.\n',
  )
  process.exitCode = 1
}

/** The OpenAPI document of a service on an empty store in memory, and the right of each operation. */
async function documentOf(dist) {
  const load = (path) => import(new URL(path, pathToFileURL(`${dist}/`)).href)
  const { openMemory } = await load('backend/memory.js')
  const { resolveConfig } = await load('config/resolve.js')
  const { Cairn } = await load('cairn.js')
  const { assemble } = await load('service/run/assemble.js')
  const { Metrics } = await load('service/metrics/metrics.js')
  const { createServer } = await load('service/server.js')
  const { ROUTES } = await load('service/routes/index.js')
  const dir = mkdtempSync(join(tmpdir(), 'cairn-http-docs-'))
  const config = await resolveConfig({ flags: { data_dir: dir }, env: {}, cwd: dir })
  const log = { info: () => {}, error: () => {}, debug: () => {} }
  const backend = openMemory()
  const now = Date.now
  const metrics = new Metrics({ version: '' })
  const parts = { backend, metrics, config: () => config, log, now }
  const service = assemble({
    ...parts,
    cairn: new Cairn(backend, { now, log }),
    draining: new AbortController().signal,
  })
  const rights = new Map()
  const noteRights = async (app) =>
    app.addHook('onRoute', ({ schema, config }) => rights.set(schema?.operationId, config?.right))
  // So that its hook holds for its siblings, too.
  noteRights[Symbol.for('skip-override')] = true
  const app = await createServer(service, { routes: [() => noteRights, ...ROUTES] })
  const document = app.swagger()
  await app.close()
  rmSync(dir, { recursive: true, force: true })
  return { document, rights }
}
