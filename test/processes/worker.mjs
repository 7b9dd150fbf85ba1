/**
 * A process that works on a store: node worker.mjs DIST TASK STORE OPTIONS, OPTIONS being JSON. It tells
 * what it did in lines of JSON on its standard output, each written before it goes on.
 */
import { createHash } from 'node:crypto'
import { readFileSync, writeSync } from 'node:fs'

const [dist, task, store, json = '{}'] = process.argv.slice(2)
const options = JSON.parse(json)
const { openCairn } = await import(`${dist}/index.js`)

const say = (value) => writeSync(1, `${JSON.stringify(value)}\n`)

/** The entries that a writer called `name` appends; `entries.ts` makes the same. */
function entryOf(name, n) {
  const pi = `${name}-${String(n).padStart(6, '0')}`
  const tip = new Uint8Array([1, 0x55, 0x12, 32, ...createHash('sha256').update(pi).digest()])
  return { pi, ver: 1, tip, ts: 1_700_000_000_000 + n }
}

const openDataset = async (more = {}) => {
  const cairn = await openCairn(store, more)
  const { dataset } = await cairn.init('main', { content: 'external', ...options.init })
  return { cairn, dataset }
}

async function appendRange(dataset, from, to, batch) {
  for (let at = from; at < to; at += batch) {
    const entries = Array.from({ length: Math.min(batch, to - at) }, (_, i) =>
      entryOf(options.name, at + i),
    )
    const answers = await dataset.appendBatch(entries)
    say({ acks: answers.map(({ pi, ver, position }) => [pi, ver, position]) })
  }
}

/** Anonymous memory in bytes: the figure of DESIGN.md. */
function anonymousBytes() {
  const line = /RssAnon:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))
  return Number(line[1]) * 1024
}

const tasks = {
  /** Appends `count` entries in batches, one after another. */
  async append() {
    const { cairn, dataset } = await openDataset()
    await appendRange(dataset, 0, options.count, options.batch)
    await cairn.close()
  },

  /** Appends batches at once and builds beside them, until it is killed. */
  async untilKilled() {
    const { dataset } = await openDataset()
    let built = 0
    const build = async () => {
      for (;;) {
        const { status } = await dataset.build()
        if (status === 'built') say({ built: (built += 1) })
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    }
    void build()
    const lane = async (from) => {
      for (let at = from; ; at += 400) await appendRange(dataset, at, at + 100, 25)
    }
    await Promise.all([lane(0), lane(100), lane(200), lane(300)])
  },

  /** Builds again and again until its standard input ends. */
  async build() {
    const { cairn, dataset } = await openDataset()
    let over = false
    process.stdin.resume().once('end', () => (over = true))
    say({ ready: true })
    const counts = { built: 0, already_built: 0, dropped: 0 }
    while (!over) {
      try {
        counts[(await dataset.build()).status] += 1
      } catch (error) {
        if (error.code !== 'conflict') throw error
        counts.dropped += 1
      }
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await cairn.close()
    say(counts)
  },

  /** Makes a dataset far larger than its memory, then pages, streams, updates and builds it. */
  async memory() {
    const { cairn, dataset } = await openDataset({ cacheBytes: options.cacheBytes })
    let peak = 0
    const timer = setInterval(() => (peak = Math.max(peak, anonymousBytes())), 20)
    const idOf = (n) => `${'long-id-'.repeat(50)}${String(n).padStart(8, '0')}`
    const tip = new Uint8Array([1, 0x55, 0x12, 32, ...Buffer.alloc(32, 7)])
    const phase = async (name, work) => {
      peak = anonymousBytes()
      const result = await work()
      peak = Math.max(peak, anonymousBytes())
      say({ phase: name, peak, ...result })
    }
    await phase('append and build', async () => {
      for (let at = 0; at < options.count; at += 5000) {
        await dataset.appendBatch(
          Array.from({ length: 5000 }, (_, i) => ({ pi: idOf(at + i), tip })),
        )
      }
      const { entries } = await dataset.build()
      return { entries, treeBytes: (await dataset.status()).treeBytes }
    })
    await phase('update everywhere', async () => {
      const step = options.count / 2500
      await dataset.appendBatch(
        Array.from({ length: 2500 }, (_, i) => ({ pi: idOf(i * step), tip })),
      )
      return { bytesWritten: (await dataset.build()).bytesWritten }
    })
    await phase('stream', async () => {
      let entries = 0
      for await (const entry of dataset.entries()) entries += entry.ver > 0 ? 1 : 0
      return { entries }
    })
    await phase('pages', async () => {
      let items = 0
      for (let offset = 0; offset < options.count; offset += options.count / 50) {
        items += (await dataset.list({ offset, limit: 1000 })).items.length
      }
      return { items }
    })
    clearInterval(timer)
    await cairn.close()
  },
}

try {
  await tasks[task]()
} catch (error) {
  say({ error: error.code ?? String(error), message: error.message })
  process.exitCode = 1
}
