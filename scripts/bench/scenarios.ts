/** One scenario a process: `node scenarios.js NAME ARGS...` prints its figures as JSON on the last line. */
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { openBackend, openCairn } from '../../src/compose.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import type { AppendEntry } from '../../src/engine/draft.ts'
import { NodeStager, readBack } from '../../src/engine/stage-nodes.ts'
import { REAL_TIMERS, type Context } from '../../src/engine/context.ts'
import { SILENT } from '../../src/engine/logger.ts'
import { mergeTree, type NodeSink } from '../../src/tree/merge.ts'
import { NodeStore } from '../../src/tree/node-store.ts'
import { carExport, carRestore, carStore, ipfsCommand, type CarContentKind } from './cars.ts'
import { entriesOf, idOf, runsOf, sortedEntries, tipOf, valuesOf } from './data.ts'
import { measure, median, scratch, type Figure } from './measure.ts'

const EXTERNAL = { content: 'external' } as const
const PAGE = 100

/** The tree alone: cut, hash, discard. */
async function tree(count: number): Promise<Figure[]> {
  const sink: NodeSink = { put: () => Promise.resolve() }
  const nodes = new NodeStore({ getBlocks: () => Promise.reject(new Error('nothing to read')) }, 0)
  const options = { nodes, root: undefined, leafCount: 0, chunkSize: 10_000, at: 0, sink }
  const entries = [...sortedEntries(count)]
  const times: number[] = []
  // The first rounds are the compiler's.
  for (let i = 0; i < 7; i++)
    times.push((await measure(() => mergeTree(options, runsOf(entries)))).ms)
  const ms = median(times.slice(2))
  return [{ name: `tree from sorted entries, ${count}`, value: (count / ms) * 1000, unit: '/s' }]
}

/** Sorted entries into the store, read back and proved. */
async function fold(count: number): Promise<Figure[]> {
  const backend = await openBackend(`lmdb:${scratch()}`, { create: true })
  const nodes = new NodeStore(backend, 16 << 20)
  const context: Context = {
    backend,
    nodes,
    now: Date.now,
    timers: REAL_TIMERS,
    randomBytes: (n) => new Uint8Array(n),
    writer: 'bench',
    log: SILENT,
  }
  const staging = await backend.stage('main', 'bench')
  const stager = new NodeStager(context, staging)
  const { ms, peakMb } = await measure(async () => {
    const options = { nodes, root: undefined, leafCount: 0, chunkSize: 10_000, at: 0, sink: stager }
    await mergeTree(options, runsOf(sortedEntries(count)))
    await stager.finish()
    await readBack(context, stager.written, undefined, () => {})
  })
  await backend.close()
  const details = {
    blocks: stager.written.length,
    bytes: stager.bytes,
    entries_per_s: rate(count, ms),
  }
  return [
    { name: `full fold, ${count}`, value: ms, unit: 'ms', details },
    { name: `full fold, ${count}, memory`, value: peakMb, unit: 'MB' },
  ]
}

function rate(count: number, ms: number): number {
  return Math.round((count / ms) * 1000)
}

/** Makes a store of `count` entities in this process, then leaves it to another one. */
async function prepare(count: number, dir: string): Promise<Figure[]> {
  const cairn = await openCairn(`lmdb:${dir}`, { create: true })
  const { dataset } = await cairn.init('main', EXTERNAL)
  const { ms, peakMb, result } = await measure(() => dataset.bulkLoad(entriesOf(count)))
  await cairn.close()
  const details = { entries_per_s: rate(result.appended, ms) }
  return [
    { name: `bulk load, ${count}`, value: ms, unit: 'ms', details },
    { name: `bulk load, ${count}, memory`, value: peakMb, unit: 'MB' },
  ]
}

const UPDATES = 5_000

/** Updates spread over all keys, into the chain. */
async function spread(count: number, dir: string): Promise<Figure[]> {
  await using cairn = await openCairn(`lmdb:${dir}`)
  const dataset = await cairn.dataset('main')
  await appendAll(dataset, updatesOf(count, UPDATES))
  return []
}

/** New versions of `updates` entities, at even distances. */
function updatesOf(count: number, updates: number): AppendEntry[] {
  const step = Math.floor(count / updates)
  return Array.from({ length: updates }, (_, i) => ({
    pi: idOf(i * step),
    tip: tipOf(Date.now() + i),
  }))
}

/** Folds them, as cron does: a process that knows nothing opens the store and builds. */
async function merge(count: number, dir: string): Promise<Figure[]> {
  const opening = await measure(() =>
    openCairn(`lmdb:${dir}`).then((cairn) =>
      cairn.dataset('main').then((dataset) => ({ cairn, dataset })),
    ),
  )
  const { cairn, dataset } = opening.result
  const { ms, peakMb, result } = await measure(() => dataset.build())
  await cairn.close()
  const updates = result.folded
  const details = {
    open_ms: Math.round(opening.ms),
    chunks: result.chunkCount,
    blocks: result.blocksWritten,
    bytes: result.bytesWritten,
  }
  return [
    { name: `build, ${updates} updates spread over ${count}`, value: ms, unit: 'ms', details },
    { name: `build, ${updates} updates spread over ${count}, memory`, value: peakMb, unit: 'MB' },
  ]
}

async function appendAll(dataset: Dataset, entries: readonly AppendEntry[]): Promise<void> {
  for (let i = 0; i < entries.length; i += 1000)
    await dataset.appendBatch(entries.slice(i, i + 1000))
}

async function lookup(count: number, dir: string): Promise<Figure[]> {
  const figures: Figure[] = []
  {
    await using cairn = await openCairn(`lmdb:${dir}`, { cacheBytes: 256 << 20 })
    const dataset = await cairn.dataset('main')
    const rounds = Array.from({ length: 5 }, () => 0)
    for (const round of rounds.keys()) {
      const start = performance.now()
      for (let i = 0; i < 100_000; i++) await dataset.get(idOf((i * 7919) % count))
      rounds[round] = (performance.now() - start) / 100
    }
    figures.push({ name: `lookup, ${count}, warm`, value: median(rounds.slice(1)), unit: 'us' })
  }
  await using cairn = await openCairn(`lmdb:${dir}`, { cacheBytes: 1 << 20 })
  const dataset = await cairn.dataset('main')
  const times: number[] = []
  for (let i = 0; i < 400; i++) {
    const start = performance.now()
    await dataset.get(idOf((i * 104_729) % count))
    times.push((performance.now() - start) * 1000)
  }
  figures.push({ name: `lookup, ${count}, leaf not cached`, value: median(times), unit: 'us' })
  return figures
}

/** Pages at every tenth of the offsets, chain and snapshot together. */
async function pages(count: number, dir: string): Promise<Figure[]> {
  await using cairn = await openCairn(`lmdb:${dir}`, { cacheBytes: 256 << 20 })
  const dataset = await cairn.dataset('main')
  await appendAll(dataset, updatesOf(count, 1000))
  const figures: Figure[] = []
  for (let tenth = 0; tenth < 10; tenth++) {
    const offset = Math.floor((count * tenth) / 10)
    for (let i = 0; i < 200; i++) await dataset.list({ limit: PAGE, offset })
    const times: number[] = []
    for (let i = 0; i < 500; i++) {
      const start = performance.now()
      await dataset.list({ limit: PAGE, offset })
      times.push((performance.now() - start) * 1000)
    }
    figures.push({
      name: `page of 100 at ${tenth * 10}%, ${count}`,
      value: median(times),
      unit: 'us',
    })
  }
  return figures
}

async function appends(clients: number, seconds: number): Promise<Figure[]> {
  const dir = scratch()
  await using cairn = await openCairn(`lmdb:${dir}`, { create: true })
  const { dataset } = await cairn.init('main', { content: 'external', chainLimit: 10_000_000 })
  let count = 0
  const until = performance.now() + seconds * 1000
  const client = async (): Promise<void> => {
    while (performance.now() < until) {
      const index = count++
      await dataset.append({ pi: idOf(index), ver: 1, tip: tipOf(index) })
    }
  }
  const { ms, peakMb } = await measure(async () => {
    await Promise.all(Array.from({ length: clients }, client))
  })
  const { pointer } = await dataset.status()
  const syncUs = syncTime(dir)
  const limit = (0.7 * clients * 1e6) / (2 * syncUs)
  const details = {
    commits: pointer.number,
    sync_us: Math.round(syncUs),
    seventy_percent_of_two_syncs: Math.round(limit),
    memory_mb: Math.round(peakMb),
  }
  return [
    { name: `durable appends, ${clients} clients`, value: rate(count, ms), unit: '/s', details },
  ]
}

/** One sync of this disk, in microseconds. */
function syncTime(dir: string): number {
  const file = openSync(join(dir, 'sync-probe'), 'w', 0o600)
  const times: number[] = []
  for (let i = 0; i < 200; i++) {
    writeSync(file, Buffer.alloc(8192), 0, 8192, i * 8192)
    const start = performance.now()
    fdatasyncSync(file)
    times.push((performance.now() - start) * 1000)
  }
  closeSync(file)
  return median(times)
}

/** Builds with content on a node: `count` entities there, `fresh` new ones in the chain. */
async function kuboBuild(url: string, count: number, fresh: number): Promise<Figure[]> {
  await using cairn = await openCairn(`kubo:${url}`)
  const { dataset } = await cairn.init(`b-${count}-${fresh}`, {})
  const figures: Figure[] = []
  if (count > 0) {
    const { ms } = await measure(() => dataset.bulkLoad(valuesOf(count)))
    figures.push({ name: `kubo: bulk load with content, ${count}`, value: ms, unit: 'ms' })
  }
  const puts = Array.from({ length: fresh }, (_, i) => {
    const index = count === 0 ? i : i * Math.floor(count / fresh)
    return { pi: idOf(index), value: { schema: 'bench/manifest@v1', pi: idOf(index), fresh: true } }
  })
  const chain = await measure(async () => {
    for (let i = 0; i < puts.length; i += 500) await dataset.putBatch(puts.slice(i, i + 500))
  })
  figures.push({
    name: `kubo: put ${fresh} with content onto ${count}`,
    value: chain.ms,
    unit: 'ms',
  })
  const { ms, result } = await measure(() => dataset.build())
  const details = {
    chunks: result.chunkCount,
    blocks: result.blocksWritten,
    bytes: result.bytesWritten,
  }
  figures.push({ name: `kubo: build ${fresh} new onto ${count}`, value: ms, unit: 'ms', details })
  const page = await pageTime(dataset, Math.floor((count + fresh) / 2))
  figures.push({ name: `kubo: page of 100, ${count + fresh}`, value: page, unit: 'us' })
  return figures
}

async function pageTime(dataset: Dataset, offset: number): Promise<number> {
  const times: number[] = []
  for (let i = 0; i < 50; i++) {
    const start = performance.now()
    await dataset.list({ limit: PAGE, offset })
    times.push((performance.now() - start) * 1000)
  }
  return median(times)
}

/** The same without content: what is left when the node has no content to walk. */
async function kuboBuildExternal(url: string, count: number, fresh: number): Promise<Figure[]> {
  await using cairn = await openCairn(`kubo:${url}`)
  const { dataset } = await cairn.init(`x-${count}-${fresh}`, EXTERNAL)
  await dataset.bulkLoad(entriesOf(count))
  await appendAll(dataset, updatesOf(count, fresh))
  const { ms, result } = await measure(() => dataset.build())
  const details = { blocks: result.blocksWritten, bytes: result.bytesWritten }
  return [
    {
      name: `kubo: build ${fresh} new onto ${count}, without content`,
      value: ms,
      unit: 'ms',
      details,
    },
  ]
}

/** A chain of one entry a block, walked by a process that knows none of it, and folded. */
async function kuboWalk(url: string, count: number): Promise<Figure[]> {
  {
    await using cairn = await openCairn(`kubo:${url}`)
    const { dataset } = await cairn.init('walk', EXTERNAL)
    for (let i = 0; i < count; i++) await dataset.append({ pi: idOf(i), ver: 1, tip: tipOf(i) })
  }
  await using cairn = await openCairn(`kubo:${url}`)
  const { ms, result: dataset } = await measure(() => cairn.dataset('walk'))
  const built = await measure(() => dataset.build())
  return [
    { name: `kubo: walk of ${count} chain blocks`, value: ms, unit: 'ms' },
    { name: `kubo: build of ${count} one-entry blocks`, value: built.ms + ms, unit: 'ms' },
  ]
}

const kindOf = (text: string | undefined): CarContentKind =>
  text === 'index' ? 'index' : 'content'

const SCENARIOS: Readonly<Record<string, (...args: string[]) => Promise<Figure[]>>> = {
  tree: (count) => tree(Number(count)),
  fold: (count) => fold(Number(count)),
  prepare: (count, dir) => prepare(Number(count), String(dir)),
  spread: (count, dir) => spread(Number(count), String(dir)),
  merge: (count, dir) => merge(Number(count), String(dir)),
  lookup: (count, dir) => lookup(Number(count), String(dir)),
  pages: (count, dir) => pages(Number(count), String(dir)),
  appends: (clients, seconds) => appends(Number(clients), Number(seconds)),
  kuboBuild: (url, count, fresh) => kuboBuild(String(url), Number(count), Number(fresh)),
  kuboBuildExternal: (url, count, fresh) =>
    kuboBuildExternal(String(url), Number(count), Number(fresh)),
  kuboWalk: (url, count) => kuboWalk(String(url), Number(count)),
  carStore: (count, kind, dir) => carStore(Number(count), kindOf(kind), String(dir)),
  carExport: (store, kind, path) => carExport(String(store), kindOf(kind), String(path)),
  carRestore: (store, kind, path) => carRestore(String(store), kindOf(kind), String(path)),
  carImportByNode: (url, path, label) =>
    ipfsCommand(String(url), 'import', String(path), String(label)),
  carExportByNode: (url, root, label) =>
    ipfsCommand(String(url), 'export', String(root), String(label)),
}

const [name = '', ...args] = process.argv.slice(2)
const scenario = SCENARIOS[name]
if (scenario === undefined) throw new Error(`There is no scenario "${name}".`)
process.stdout.write(`${JSON.stringify(await scenario(...args))}\n`)
