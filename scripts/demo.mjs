/**
 * The main job, from nothing: entities in, a snapshot, updates, a second snapshot that shares most of
 * its chunks with the first, pages, and all of it in one file from which a second store is restored.
 *
 *   node scripts/demo.mjs [--keep DIR]
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { openCairn, printCid } from '../dist/index.js'

const ENTITIES = 5_000
const UPDATES = 12
const CHUNK_SIZE = 500
const cairnCommand = fileURLToPath(new URL('../bin/cairn', import.meta.url))

const { values: flags } = parseArgs({ options: { keep: { type: 'string' } } })
const folder = flags.keep ?? (await mkdtemp(join(tmpdir(), 'cairn-demo-')))
const first = `lmdb:${join(folder, 'first')}`
const second = `lmdb:${join(folder, 'second')}`
const car = join(folder, 'backup.car')

const say = (text = '') => process.stdout.write(`${text}\n`)
const step = (text) => say(`\n== ${text}`)

const idOf = (n) => `book-${createHash('sha256').update(String(n)).digest('hex').slice(0, 12)}`
const bookOf = (n, edition) => ({
  pi: idOf(n),
  value: { title: `Book ${n}`, edition, shelf: n % 40 },
})

async function timed(work) {
  const start = performance.now()
  const result = await work()
  return [result, `${Math.round(performance.now() - start)} ms`]
}

async function chunksOf(dataset, selector) {
  const chunks = []
  for await (const chunk of dataset.chunks(selector)) chunks.push(chunk)
  return chunks
}

async function fill(dataset) {
  step(`Putting ${ENTITIES} entities, each a small JSON value`)
  const [, time] = await timed(async () => {
    for (let n = 0; n < ENTITIES; n += 500) {
      await dataset.putBatch(Array.from({ length: 500 }, (_, i) => bookOf(n + i, 1)))
    }
  })
  say(`${ENTITIES} saved in ${time}; each batch was on disk before it was acknowledged.`)
}

async function build(dataset, title) {
  step(title)
  const [report, time] = await timed(() => dataset.build())
  say(`snapshot ${report.seq}: ${printCid(report.snapshot)}`)
  say(
    `  ${report.live} entities in ${report.chunkCount} chunks; ${report.chunksWritten} chunks written, ${time}`,
  )
  return report
}

async function showRewritten(dataset) {
  const before = new Set((await chunksOf(dataset, 'latest~1')).map(({ cid }) => printCid(cid)))
  const after = await chunksOf(dataset, 'latest')
  const map = after.map(({ cid }) => (before.has(printCid(cid)) ? '.' : '#')).join('')
  say(`  chunks by id, "#" rewritten, "." the same block as before: [${map}]`)
}

async function pages(dataset) {
  step('Paging through, newest ids first, 1,000 at a time')
  let cursor
  let seen = 0
  do {
    const page = await dataset.list({ limit: 1000, ...(cursor ? { cursor } : {}) })
    seen += page.items.length
    say(`  ${page.items[0]?.pi} ... ${page.items.at(-1)?.pi}   ${seen} of ${page.totalCount}`)
    cursor = page.nextCursor
  } while (cursor !== null)
}

/** Runs `cairn` as a shell would, and answers with its last line. */
async function run(...words) {
  say(`  $ cairn ${words.join(' ').replaceAll(folder, '...')}`)
  const child = spawn(process.execPath, [cairnCommand, ...words, '--quiet'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [lines, [code]] = await Promise.all([text(child.stdout), once(child, 'close')])
  if (code !== 0) throw new Error(`cairn ${words[0]} ended with ${code}.`)
  return lines.trim().split('\n').at(-1)
}

async function carryOver() {
  step('Backing everything up into one file, and restoring it into a second store')
  const [, exported] = await timed(() => run('export-car', '--store', first, '--out', car))
  const { size } = await stat(car)
  say(`  ${(size / 1e6).toFixed(1)} MB, written, read back and compared in ${exported}`)
  const [snapshot, restored] = await timed(() => run('restore-car', car, '--store', second))
  say(`  ${snapshot}: proved, then loaded, in ${restored}`)
}

const cairn = await openCairn(first)
const { dataset } = await cairn.init('main', { chunkSize: CHUNK_SIZE })
await fill(dataset)
await build(dataset, 'Building the first snapshot')
step(`Updating ${UPDATES} of them`)
await dataset.putBatch(Array.from({ length: UPDATES }, (_, i) => bookOf(i * 3, 2)))
say(
  `book 3 is now edition ${(await dataset.content((await dataset.get(idOf(3))).tip)).value.edition}`,
)
const latest = await build(dataset, 'Building again')
await showRewritten(dataset)
await pages(dataset)

await carryOver()
const copy = await openCairn(second)
const copied = await (await copy.dataset('main')).status()
step('Comparing the two stores')
say(`  first   ${printCid(latest.root)}`)
say(`  second  ${copied.root}`)
if (printCid(latest.root) !== copied.root) throw new Error('The stores differ.')
say('  The same root: both hold the same entities, byte for byte.')
await cairn.close()
await copy.close()
if (flags.keep === undefined) await rm(folder, { recursive: true, force: true })
