/** The pages of which parts are made from the built code: each its path and what it should be. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { format, resolveConfig } from 'prettier'
import { cliPage } from './cli-page.mjs'
import { commandRecords } from './commands.mjs'
import { decisionsPage, examplesPage } from './lists.mjs'
import { configPage, errorsPage, metricsPage } from './tables.mjs'

/** How modules of the built code in `dist` are loaded, by their paths. */
export const loaderOf = (dist) => (path) => import(new URL(path, pathToFileURL(`${dist}/`)).href)

export async function referencePages(root, dist) {
  const load = loaderOf(dist)
  const makers = {
    'docs/CLI.md': async (page) => cliPage(page, await commandRecords(load)),
    'docs/CONFIG.md': async (page) => configPage(page, await load('config/schema.js')),
    'docs/ERRORS.md': async (page) => errorsPage(page, await load('errors.js')),
    'docs/METRICS.md': async (page) => metricsPage(page, await metricsOf(load)),
    'docs/adr/README.md': (page) => decisionsPage(page, join(root, 'docs/adr')),
    'docs/EXAMPLES.md': (page) => examplesPage(page, join(root, 'scripts/examples')),
  }
  const pages = []
  for (const [path, make] of Object.entries(makers)) {
    const stored = readFileSync(join(root, path), 'utf8')
    const options = { ...(await resolveConfig(join(root, path))), parser: 'markdown' }
    pages.push({ path, stored, made: await format(await make(stored), options) })
  }
  return pages
}

async function metricsOf(load) {
  const { Metrics } = await load('service/metrics/metrics.js')
  return new Metrics({ version: '' }).registry.getMetricsAsArray()
}
