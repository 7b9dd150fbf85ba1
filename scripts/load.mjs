/**
 * A real `cairn serve` under the load of clients in processes of their own: how much it takes, what builds
 * cost those who append meanwhile, what memory it needs, and that a SIGKILL under load loses nothing.
 *
 *   node scripts/load.mjs [--only appends,pages,memory,builds,kills] [--seconds 5] [--out DIR] [--docs]
 *
 * Writes service.json and service.md to DIR; `--docs` also puts the table into docs/BENCHMARKS.md.
 * `--profile DIR` leaves CPU profiles of the service there.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { machine } from './charts/machine.mjs'
import { median, printNumber } from './charts/numbers.mjs'
import { writeBetween } from './charts/page.mjs'
import { libraryUrl } from './library.mjs'
import { killUnderLoad } from './load/kills.mjs'
import { above, below, growthOf, medians, NONE, serviceTable } from './load/report.mjs'
import { build, fill, placeOf, runClients } from './load/run.mjs'
import { startServer } from './load/server.mjs'

const { values: flags } = parseArgs({
  options: {
    only: { type: 'string', default: 'appends,pages,memory,builds,kills' },
    entities: { type: 'string', default: '100000' },
    clients: { type: 'string', default: '64' },
    /** Of each measurement. */
    seconds: { type: 'string', default: '5' },
    alternations: { type: 'string', default: '5' },
    /** Appends a second that clients keep to, where they do not ask as often as they can. */
    rate: { type: 'string', default: '2000' },
    batch: { type: 'string', default: '100' },
    kills: { type: 'string', default: '5' },
    /** Each comes after so many single appends at most. */
    'kill-after': { type: 'string', default: '2000' },
    library: { type: 'string' },
    profile: { type: 'string' },
    out: { type: 'string', default: '.bench' },
    docs: { type: 'boolean', default: false },
  },
})

const MAIN = 'main'
/** Nothing but the measurement builds in it: its chain is never long enough. */
const QUIET = 'quiet'
const QUIET_LIMIT = 5_000_000
/** As the service builds by itself, unless told otherwise. */
const REBUILD_AT = 5000

const began = performance.now()
const where = machine()
const [entities, count, seconds] = [flags.entities, flags.clients, flags.seconds].map(Number)
const dir = mkdtempSync(join(process.env.CAIRN_BENCH_DIR ?? tmpdir(), 'cairn-load-'))
const library = libraryUrl(flags.library)
const start = () => startServer({ library, dir, profile: flags.profile })
const task = { entities, clients: count, ms: seconds * 1000 }
const rows = []

const say = (line) => process.stderr.write(`${line}\n`)

function note(name, value, unit, goal, details) {
  rows.push({ name, value, unit, goal, details })
  say(`${name}: ${value} ${unit} ${JSON.stringify(details)}`)
}

async function appends({ url }) {
  for (const batch of [1, Number(flags.batch)]) {
    const done = await runClients({ ...task, name: 'append', url, place: placeOf(MAIN), batch })
    const what = batch === 1 ? 'one entry a request' : `${batch} entries a request`
    const goal = batch === 1 ? above(5000, ' /s') : undefined
    const { p50, p99, requests } = done
    const details = { 'p50, ms': p50, 'p99, ms': p99, requests }
    note(`appends from ${count} clients, ${what}`, done.entries / done.seconds, '/s', goal, details)
  }
}

async function pages({ url }) {
  for (const [limit, goal] of [
    [10, 3000],
    [100, 800],
  ]) {
    const done = await runClients({ ...task, name: 'pages', url, place: placeOf(MAIN), limit })
    const { p50, p99, requests } = done
    const details = { 'p50, ms': p50, 'p99, ms': p99, requests }
    const name = `pages of ${limit} at any offset, ${count} clients`
    note(name, done.requests / done.seconds, '/s', above(goal, ' /s'), details)
  }
}

/**
 * Appends with and without builds in turn, which of the two is first in turn as well. A build begins as soon as
 * so many entries are new; what is told of the side with builds is of the requests that met one.
 */
async function builds({ url, memory }) {
  const before = memory.length
  await fill(url, QUIET, entities, { chain_limit: QUIET_LIMIT })
  const rate = Number(flags.rate)
  await alternate(url, { buildAt: REBUILD_AT }, below(2))
  await alternate(url, { buildAt: rate / 2, perSecond: rate })
  await alternate(url, { buildAt: 1 })
  const most = Math.max(...memory.slice(before))
  note('memory with such a dataset beside it, at most', most, 'MB', undefined, {})
}

async function alternate(url, { buildAt, perSecond }, goal) {
  const place = placeOf(QUIET)
  const work = { ...task, name: 'append', url, place, perSecond }
  const sides = { without: work, beside: { ...work, buildAt } }
  const found = { without: [], beside: [] }
  for (let i = 0; i < Number(flags.alternations); i++) {
    const order = i % 2 === 0 ? ['without', 'beside'] : ['beside', 'without']
    for (const side of order) {
      await build(url, place)
      found[side].push(await runClients(sides[side]))
      const { p50, p99, max, requests, measured, builds: built } = found[side].at(-1)
      say(`  ${side}: ${JSON.stringify({ p50, p99, max, requests, measured, built })}`)
    }
  }
  const { without, beside } = found
  const ratios = without.flatMap(({ p99 }, i) =>
    beside[i].measured === 0 ? [] : beside[i].p99 / p99,
  )
  const pace = perSecond === undefined ? '' : `, ${printNumber(perSecond)} appends a second`
  const when = buildAt === 1 ? 'without a pause' : `at ${printNumber(buildAt)} entries each`
  note(
    `p99 of appends during builds, to that without${pace}; builds ${when}`,
    ratios.length === 0 ? Infinity : median(ratios),
    '',
    goal,
    {
      'ms without': medians(without, 'p99').p99,
      'ms during': medians(beside, 'p99').p99,
      'longest, ms': Math.max(...beside.map(({ max }) => max)),
      builds: beside.reduce((sum, one) => sum + one.builds, 0),
      ratios: ratios.map((ratio) => ratio.toFixed(1)).join(' '),
    },
  )
}

async function kills(first) {
  const rounds = []
  const batch = Math.min(Number(flags.batch), entities >> 1)
  const what = { restart: start, dataset: MAIN, entities, clients: count, batch }
  let server = first
  for (let i = 0; i < Number(flags.kills); i++) {
    const afterAcks = 1 + Math.floor(Math.random() * Number(flags['kill-after']))
    const { server: again, ...round } = await killUnderLoad({ ...what, server, afterAcks })
    server = again
    rounds.push(round)
    say(`  killed after ${afterAcks} single appends: ${JSON.stringify(round)}`)
  }
  const sum = (name) => rounds.reduce((so, one) => so + one[name], 0)
  note('acknowledged appends missing after SIGKILL', sum('missing'), '', NONE, {
    kills: rounds.length,
    acknowledged: sum('acknowledged'),
    'requests cut': sum('cut'),
    'restart, ms': medians(rounds, 'restartMs').restartMs,
  })
  return server
}

/** The same again and again: what memory is since the service began, and whether it grows meanwhile. */
async function memory({ url, memory: samples }) {
  const before = samples.length
  for (let i = 0; i < 2 * Number(flags.alternations); i++)
    await runClients({ ...task, name: 'append', url, place: placeOf(MAIN), batch: 1 })
  const steady = samples.slice(before)
  const details = { 'last quarter over the second, MB': growthOf(steady), samples: samples.length }
  const most = Math.max(...samples)
  note('memory of the service (RssAnon), at most', most, 'MB', below(512, ' MB'), details)
}

function writeAll(out, text) {
  mkdirSync(out, { recursive: true })
  writeFileSync(`${out}/service.json`, `${JSON.stringify({ machine: where, rows }, null, 2)}\n`)
  if (text !== undefined) writeFileSync(`${out}/service.md`, `${text}\n`)
}

// The service ends with this process, and leaves nothing behind.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))
process.once('exit', () => rmSync(dir, { recursive: true, force: true }))

let server = await start()
try {
  await fill(server.url, MAIN, entities)
  const wanted = flags.only.split(',')
  if (wanted.includes('appends')) await appends(server)
  if (wanted.includes('pages')) await pages(server)
  if (wanted.includes('memory')) await memory(server)
  if (wanted.includes('builds')) await builds(server)
  if (wanted.includes('kills')) server = await kills(server)
} finally {
  await server.stop()
}
const text = serviceTable({ machine: where, rows })
writeAll(flags.out, text)
if (flags.docs) {
  writeAll('docs/benchmarks')
  writeBetween('docs/BENCHMARKS.md', 'service', text)
}
process.stdout.write(`${text}\n`)
say(`${Math.round((performance.now() - began) / 1000)} s`)
