/**
 * What saving a live state costs: as an attached source and as map writes, beside Redis and single files.
 *
 *   node scripts/live.mjs [--sizes N,N] [--rounds N] [--ways A,B] [--seconds N] [--out DIR] [--docs]
 *
 * Needs `redis-server` (or REDIS_BIN) for that one. Writes live.json, live.md and live.svg to DIR; `--docs`
 * also puts them into docs/.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { machine } from './charts/machine.mjs'
import { writeBetween } from './charts/page.mjs'
import { libraryUrl } from './library.mjs'
import { redisVersion } from './live/redis.mjs'
import { liveChart, liveTables } from './live/report.mjs'
import { runIdle, runMemory, runSaves } from './live/run.mjs'

const WAYS = [
  { name: 'source', label: 'Cairn, source', isOurs: true },
  { name: 'map', label: 'Cairn, map', isOurs: true },
  { name: 'redis', label: 'Redis BGSAVE' },
  { name: 'json', label: 'JSON file' },
  { name: 'v8', label: 'node:v8 file' },
]

const { values: flags } = parseArgs({
  options: {
    sizes: { type: 'string', default: '100,1000,10000,100000' },
    rounds: { type: 'string', default: '7' },
    ways: { type: 'string', default: WAYS.map(({ name }) => name).join(',') },
    /** How long a process is watched that saves and has nothing new. */
    seconds: { type: 'string', default: '60' },
    /** Before memory is looked at. */
    saves: { type: 'string', default: '20' },
    /** Of which idle processes and memory are measured. */
    objects: { type: 'string', default: '10000' },
    library: { type: 'string' },
    out: { type: 'string', default: '.bench' },
    docs: { type: 'boolean', default: false },
  },
})

const wanted = flags.ways.split(',')
const unknown = wanted.filter((name) => !WAYS.some((way) => way.name === name))
if (unknown.length > 0) throw new Error(`There is no way "${unknown.join(', ')}".`)
const ways = WAYS.filter(({ name }) => wanted.includes(name))

const began = performance.now()
const env = { CAIRN_LIBRARY: libraryUrl(flags.library) }
const [rounds, seconds, size] = [flags.rounds, flags.seconds, flags.objects].map(Number)
const where = machine()
const redis = wanted.includes('redis') ? redisVersion() : undefined
const cells = await runSaves({
  ways,
  sizes: flags.sizes.split(',').map(Number),
  rounds,
  env,
  say: (line) => process.stderr.write(`${line}\n`),
})
const idle = await runIdle({ ways, size, seconds, env })
const memory = await runMemory({
  ways,
  size,
  saves: Number(flags.saves),
  share: 0.01,
  rounds: Math.min(rounds, 3),
  env,
})
const results = { machine: where, redis, cells, idle, memory }
const text = liveTables(results, ways)
const chart = liveChart(results, ways)

function writeAll(dir) {
  mkdirSync(dir, { recursive: true })
  writeFileSync(`${dir}/live.json`, `${JSON.stringify(results, null, 2)}\n`)
  writeFileSync(`${dir}/live.svg`, chart)
}

writeAll(flags.out)
writeFileSync(`${flags.out}/live.md`, `${text}\n`)
if (flags.docs) {
  writeAll('docs/benchmarks')
  writeBetween('docs/BENCHMARKS.md', 'live', text)
}
process.stdout.write(`${text}\n`)
process.stderr.write(`${Math.round((performance.now() - began) / 1000)} s\n`)
