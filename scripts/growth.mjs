/**
 * Curves of growth: what each step takes from 1,000 entities on, and the law it follows.
 *
 *   node scripts/growth.mjs [--max 1000000] [--rounds 3] [--out DIR] [--docs]
 *
 * Writes growth.json, growth.md and growth.svg to DIR; `--docs` also puts them into docs/.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { machine } from './charts/machine.mjs'
import { writeBetween } from './charts/page.mjs'
import { curvesOf, growthChart, growthTable } from './growth/report.mjs'
import { measureSize, sizesUpTo } from './growth/run.mjs'
import { libraryUrl } from './library.mjs'

const { values: flags } = parseArgs({
  options: {
    max: { type: 'string', default: '1000000' },
    /** Of sizes below a million; their median counts. */
    rounds: { type: 'string', default: '3' },
    library: { type: 'string' },
    out: { type: 'string', default: '.bench' },
    docs: { type: 'boolean', default: false },
  },
})

const began = performance.now()
const where = machine()
const env = { CAIRN_LIBRARY: libraryUrl(flags.library) }
const sizes = []
for (const size of sizesUpTo(Number(flags.max))) {
  const figures = await measureSize(size, Number(flags.rounds), env)
  sizes.push({ size, figures })
  const shown = Object.entries(figures).map(([name, value]) => `${name} ${value.toFixed(1)}`)
  process.stderr.write(`${size}: ${shown.join('; ')}\n`)
}

const curves = curvesOf(sizes)
const text = growthTable(where, curves)

function writeAll(dir) {
  mkdirSync(dir, { recursive: true })
  writeFileSync(`${dir}/growth.json`, `${JSON.stringify({ machine: where, curves }, null, 2)}\n`)
  writeFileSync(`${dir}/growth.svg`, growthChart(curves))
}

writeAll(flags.out)
writeFileSync(`${flags.out}/growth.md`, `${text}\n`)
if (flags.docs) {
  writeAll('docs/benchmarks')
  writeBetween('docs/BENCHMARKS.md', 'growth', text)
}
process.stdout.write(`${text}\n`)
process.stderr.write(`${Math.round((performance.now() - began) / 1000)} s\n`)
