/**
 * Round trips of datasets of many sizes, each step in a process of its own, and what is left after a
 * prune. `--sizes N,N`, `--backends lmdb,kubo,s3`, `--parts round-trip,churn`. Kubo is left out above 100,000
 * entities, and s3 of the second part: a prune of a bucket takes half an hour. Beside what ran on lmdb in the same
 * run its multiples are told. Writes `.bench/scale.json` and a table; the exit code says whether all limits were met.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { parseArgs } from 'node:util'
import { churnPart } from './churn.ts'
import type { BackendName } from './places.ts'
import { failedOf, multiplesOf, tableOf, type Row } from './rows.ts'
import { roundTrip } from './round-trip.ts'

const BACKENDS: readonly string[] = ['lmdb', 'kubo', 's3'] satisfies BackendName[]
const isBackend = (name: string): name is BackendName => BACKENDS.includes(name)
const MOST_ON_KUBO = 100_000

const { values: flags } = parseArgs({
  options: {
    sizes: { type: 'string', default: '2300,100000,1000000' },
    backends: { type: 'string', default: 'lmdb,kubo' },
    parts: { type: 'string', default: 'round-trip,churn' },
    out: { type: 'string', default: '.bench' },
  },
})

const rows: Row[] = []
const add = (more: readonly Row[]): void => {
  rows.push(...more)
  process.stdout.write(`${tableOf(more)}\n`)
}

for (const backend of flags.backends.split(',')) {
  if (!isBackend(backend)) throw new Error(`There is no backend "${backend}".`)
  if (flags.parts.includes('round-trip'))
    for (const size of flags.sizes.split(',').map(Number))
      if (backend !== 'kubo' || size <= MOST_ON_KUBO) add(await roundTrip(backend, size))
  if (flags.parts.includes('churn') && backend !== 's3') add(await churnPart(backend))
}

rows.push(...multiplesOf(rows, 's3', 'lmdb'))
mkdirSync(flags.out, { recursive: true })
const machine = `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`
writeFileSync(`${flags.out}/scale.json`, `${JSON.stringify({ machine, rows }, null, 2)}\n`)
const failed = failedOf(rows)
process.stdout.write(`\n${machine}\n\n${tableOf(rows)}\n\n`)
for (const { where, what } of failed) process.stdout.write(`NOT MET: ${where}: ${what}\n`)
process.stdout.write(failed.length === 0 ? 'all limits are met\n' : `${failed.length} not met\n`)
process.exitCode = failed.length === 0 ? 0 : 1
