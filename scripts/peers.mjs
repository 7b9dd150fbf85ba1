/**
 * Cairn beside other engines: same data, same machine, rounds of all in turn.
 *
 *   npm ci --prefix bench/peers && node scripts/peers.mjs [--sizes N,N] [--rounds N] [--engines A,B] [--out DIR] [--docs]
 *
 * Needs `redis-server` (or REDIS_BIN) and a Kubo binary (KUBO_BIN, or Go to build one) for those two.
 * Writes peers.json, peers.md and peers.svg to DIR; `--docs` also puts them into docs/.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { machine } from './charts/machine.mjs'
import { writeBetween } from './charts/page.mjs'
import { libraryUrl } from './library.mjs'
import { ENGINES } from './peers/plan.mjs'
import { peersChart, peersTable } from './peers/report.mjs'
import { runRounds } from './peers/run.mjs'

const { values: flags } = parseArgs({
  options: {
    sizes: { type: 'string', default: '10000,100000,1000000' },
    rounds: { type: 'string', default: '5' },
    /** Seconds that an engine may take for all rounds of one task and size. */
    budget: { type: 'string', default: '45' },
    /** How long appends are counted, in milliseconds. */
    'append-ms': { type: 'string', default: '2000' },
    /** Of a live state, whose median counts. */
    saves: { type: 'string', default: '20' },
    engines: { type: 'string', default: ENGINES.map(({ name }) => name).join(',') },
    library: { type: 'string' },
    out: { type: 'string', default: '.bench' },
    docs: { type: 'boolean', default: false },
  },
})

const wanted = flags.engines.split(',')
const engines = ENGINES.filter(({ name }) => wanted.includes(name))
const unknown = wanted.filter((name) => !ENGINES.some((engine) => engine.name === name))
if (unknown.length > 0) throw new Error(`There is no engine "${unknown.join(', ')}".`)
if (engines.some(({ packages }) => packages) && !existsSync('bench/peers/node_modules'))
  throw new Error('The peers are not installed. Try: npm ci --prefix bench/peers')

const env = { CAIRN_LIBRARY: libraryUrl(flags.library) }
if (wanted.includes('kubo')) {
  const found = spawnSync(process.execPath, ['scripts/kubo.mjs'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (found.status !== 0) throw new Error('There is no Kubo binary.')
  env.KUBO_BIN = found.stdout.trim()
}

const began = performance.now()
const where = machine()
const found = await runRounds({
  engines,
  sizes: flags.sizes.split(',').map(Number),
  rounds: Number(flags.rounds),
  budget: Number(flags.budget),
  appendMs: Number(flags['append-ms']),
  saves: Number(flags.saves),
  env,
  say: (line) => process.stderr.write(`${line}\n`),
})
const results = { machine: where, ...found }
const text = peersTable(results, engines)
const chart = peersChart(results, engines)

function writeAll(dir) {
  mkdirSync(dir, { recursive: true })
  writeFileSync(`${dir}/peers.json`, `${JSON.stringify(results, null, 2)}\n`)
  writeFileSync(`${dir}/peers.svg`, chart)
}

writeAll(flags.out)
writeFileSync(`${flags.out}/peers.md`, `${text}\n`)
if (flags.docs) {
  writeAll('docs/benchmarks')
  writeBetween('docs/BENCHMARKS.md', 'peers', text)
}
process.stdout.write(`${text}\n`)
process.stderr.write(`${Math.round((performance.now() - began) / 1000)} s\n`)
