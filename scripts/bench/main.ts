/**
 * Runs the benchmarks, each in a process of its own, and writes `.bench/results.json` and a table.
 * `npm run bench -- --quick` leaves out the largest sizes; `--only TEXT` runs scenarios by name.
 */
import { execFile } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { parseArgs } from 'node:util'
import { startKuboNode } from '../../test/helpers/kubo-node.ts'
import { GOALS } from './goals.ts'
import { scratch, type Figure } from './measure.ts'

const run = promisify(execFile)
const scenarios = fileURLToPath(new URL('scenarios.js', import.meta.url))
const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    out: { type: 'string', default: '.bench' },
  },
})

const figures: Figure[] = []

async function scenario(name: string, ...args: (string | number)[]): Promise<void> {
  const title = [name, ...args].join(' ')
  if (!title.includes(flags.only) && !['prepare', 'spread'].includes(name)) return
  process.stderr.write(`${title}\n`)
  const { stdout } = await run(process.execPath, [scenarios, name, ...args.map(String)], {
    maxBuffer: 1 << 24,
  })
  for (const figure of JSON.parse(stdout.trim().split('\n').at(-1) ?? '[]') as Figure[]) {
    figures.push(figure)
    process.stderr.write(`  ${row(figure).join('  ')}\n`)
  }
}

async function embedded(): Promise<void> {
  const sizes = flags.quick ? [10_000, 100_000] : [10_000, 100_000, 1_000_000]
  for (const count of sizes) await scenario('tree', count)
  for (const count of flags.quick ? sizes : [...sizes, 10_000_000]) await scenario('fold', count)
  for (const count of sizes) {
    const dir = scratch()
    await scenario('prepare', count, dir)
    await scenario('lookup', count, dir)
    await scenario('spread', count, dir)
    await scenario('merge', count, dir)
    await scenario('pages', count, dir)
    rmSync(dir, { recursive: true, force: true })
  }
  for (const clients of [1, 64]) await scenario('appends', clients, flags.quick ? 3 : 8)
}

async function onKubo(): Promise<void> {
  await using node = await startKuboNode()
  await scenario('kuboBuild', node.url, 0, 2_300)
  await scenario('kuboBuild', node.url, 0, 10_000)
  if (!flags.quick) {
    await scenario('kuboBuild', node.url, 100_000, 5_000)
    await scenario('kuboBuildExternal', node.url, 100_000, 5_000)
  }
  await scenario('kuboWalk', node.url, 2_295)
}

/** The same CAR through Cairn and through the node's own commands, each on a new store or node. */
async function cars(count: number, kind: 'content' | 'index'): Promise<void> {
  const dir = scratch()
  const [store, other, car] = [`${dir}/store`, `${dir}/other`, `${dir}/out.car`]
  const label = `${count} ${kind}`
  await scenario('carStore', count, kind, store)
  await scenario('carExport', `lmdb:${store}`, kind, car)
  await scenario('carRestore', `lmdb:${other}`, kind, car)
  const root = figures.find(({ name }) => name === `embedded: export, ${label}`)?.details?.['root']
  {
    await using node = await startKuboNode()
    await scenario('carImportByNode', node.url, car, label)
    await scenario('carExportByNode', node.url, String(root), label)
  }
  {
    await using node = await startKuboNode()
    await scenario('carRestore', `kubo:${node.url}`, kind, car)
    await scenario('carExport', `kubo:${node.url}`, kind, `${dir}/again.car`)
  }
  for (const where of ['embedded', 'kubo']) {
    compare(`${where}: export, ${label}`, `ipfs dag export, ${label}`)
    compare(`${where}: restore, ${label}`, `ipfs dag import, ${label}`)
  }
  rmSync(dir, { recursive: true, force: true })
}

/** How many times as fast ours was. */
function compare(ours: string, theirs: string): void {
  const [a, b] = [ours, theirs].map((one) => figures.find(({ name }) => name === one)?.value)
  if (a === undefined || b === undefined) return
  figures.push({ name: `${ours}, to ${theirs.replace(/,.*/, '')}`, value: b / a, unit: 'ratio' })
}

function verdict({ name, value }: Figure): [string, string] {
  const goal = GOALS.find(({ figure }) => figure.test(name))
  if (goal === undefined) return ['', '']
  const met = goal.side === 'below' ? value <= goal.limit : value >= goal.limit
  return [goal.text, met ? 'met' : 'missed']
}

function row(figure: Figure): string[] {
  const { name, value, unit, details } = figure
  const shown = value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(1)
  const more = Object.entries(details ?? {}).map(([key, one]) => `${key} ${String(one)}`)
  return [name, `${shown} ${unit}`, ...verdict(figure), more.join(', ')]
}

const carsAlone = flags.only.startsWith('car')
if (!carsAlone) {
  await embedded()
  await onKubo()
}
if (flags.only === '' || carsAlone) {
  await cars(flags.quick ? 20_000 : 200_000, 'content')
  await cars(flags.quick ? 100_000 : 1_000_000, 'index')
}

mkdirSync(flags.out, { recursive: true })
const machine = `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`
writeFileSync(`${flags.out}/results.json`, `${JSON.stringify({ machine, figures }, null, 2)}\n`)
const head = ['| what | measured | goal | | details |', '| --- | --- | --- | --- | --- |']
const table = [...head, ...figures.map((figure) => `| ${row(figure).join(' | ')} |`)].join('\n')
writeFileSync(`${flags.out}/results.md`, `${machine}\n\n${table}\n`)
process.stdout.write(`${machine}\n\n${table}\n`)
