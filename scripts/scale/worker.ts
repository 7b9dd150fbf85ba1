/** One task a process: `node worker.js TASK ARGS...` prints what it found as JSON on the last line. */
import { createHash } from 'node:crypto'
import { writeSync } from 'node:fs'
import { openBackend } from '../../src/compose.ts'
import { Cairn } from '../../src/cairn.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import { main } from '../../src/cli/main.ts'
import { append, change, churnEntry, churnOf, CHURN, idOf, load, versionsAfter } from './data.ts'
import { countRequests } from './requests.ts'

/** Who started this process reads it from there. */
const REQUESTS_FD = 3

type Facts = Readonly<Record<string, unknown>>

interface Opened {
  readonly backend: Awaited<ReturnType<typeof openBackend>>
  readonly cairn: Cairn
  readonly dataset: Dataset
}

async function withStore(store: string, use: (opened: Opened) => Promise<Facts>): Promise<Facts> {
  const backend = await openBackend(store)
  const cairn = new Cairn(backend)
  try {
    const { dataset } = await cairn.init('main')
    return await use({ backend, cairn, dataset })
  } finally {
    await cairn.close()
  }
}

const LOOKED_AT = 2_300
const PAGES = 200
const PAGE = 100
const SOME_PRIME = 7919

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return (performance.now() - began) / 1000
}

/** The first page of a process that has seen nothing, pages all over, and every entity in order. */
async function paged({ dataset }: Opened): Promise<Facts> {
  let total = 0
  const first = await secondsOf(async () => {
    total = (await dataset.list({ limit: PAGE })).totalCount
  })
  const pages = await secondsOf(async () => {
    for (let i = 1; i <= PAGES; i++) {
      const offset = (i * SOME_PRIME * PAGE) % Math.max(1, total - PAGE)
      await dataset.list({ limit: PAGE, offset })
    }
  })
  let count = 0
  const all = await secondsOf(async () => {
    for await (const _ of dataset.entries()) count += 1
  })
  return { first, page: pages / PAGES, all, count }
}

/** All that must be the same after a restore. */
async function facts({ dataset }: Opened): Promise<Facts> {
  const { pointer, root } = await dataset.status()
  const entities = createHash('sha256')
  for await (const { pi, ver, tip } of dataset.entries())
    entities.update(`${pi} ${ver} ${Buffer.from(tip ?? []).toString('hex')}\n`)
  const { totalCount } = await dataset.list({ limit: 1 })
  const step = Math.max(1, Math.floor(totalCount / LOOKED_AT))
  const components = createHash('sha256')
  let sampled = 0
  for (let offset = 0; offset < totalCount; offset += step) {
    const { items } = await dataset.list({ offset, limit: 1, order: 'asc' })
    for (const { pi, tip } of items) {
      if (tip === null) continue
      components.update(`${pi} ${Buffer.from(tip).toString('hex')} `)
      const content = await dataset.content(tip)
      if (content.kind === 'value') components.update(JSON.stringify(content.value))
      else for await (const part of content.bytes) components.update(part)
      sampled += 1
    }
  }
  return {
    root,
    totalCount,
    recentCount: pointer.recent_count,
    next: pointer.next,
    entities: entities.digest('hex'),
    components: components.digest('hex'),
    sampled,
  }
}

/** Whether what is appended is there, also after a build. */
async function takesAppends({ dataset }: Opened): Promise<boolean> {
  const before = (await dataset.list({ limit: 1 })).totalCount
  const { ver } = await dataset.put(idOf(0), { after: 'the restore' })
  await dataset.put('new-entity', { after: 'the restore' })
  await dataset.build()
  const [old, fresh] = [await dataset.get(idOf(0)), await dataset.get('new-entity')]
  const after = (await dataset.list({ limit: 1 })).totalCount
  return old?.ver === ver && fresh?.ver === 1 && after === before + 1
}

const TASKS: Readonly<Record<string, (...args: readonly string[]) => Promise<Facts>>> = {
  load: (store = '', count = '') =>
    withStore(store, async ({ backend, dataset }) => {
      await load(backend, dataset, Number(count))
      await append(dataset, Number(count))
      return {}
    }),

  /** Changes spread over all entities, and the build that folds them. */
  build: (store = '', count = '') =>
    withStore(store, async ({ dataset }) => {
      const append = await secondsOf(() => change(dataset, Number(count)))
      const build = await secondsOf(() => dataset.build())
      return { append, build }
    }),

  page: (store = '') => withStore(store, paged),

  /** The command itself; it prints its JSON. */
  command: async (...args) => {
    await main([...args, '--json'])
    return {}
  },

  facts: (store = '') => withStore(store, facts),

  appends: (store = '') =>
    withStore(store, async (opened) => ({ appends: await takesAppends(opened) })),

  churn: (store = '') =>
    withStore(store, async ({ dataset }) => {
      for (let round = 0; round < CHURN.snapshots; round++) {
        const entries = churnOf(round)
        if (round === 0) await dataset.bulkLoad(entries)
        else await dataset.appendBatch(entries)
        if (round > 0) await dataset.build()
      }
      return {}
    }),

  /** The last state of `churn`, and nothing before it. */
  final: (store = '') =>
    withStore(store, async ({ dataset }) => {
      const versions = versionsAfter(CHURN.snapshots)
      await dataset.bulkLoad(versions.map((ver, index) => churnEntry(index, ver)))
      return {}
    }),
}

const [name = '', ...args] = process.argv.slice(2)
const task = TASKS[name]
if (task === undefined) throw new Error(`There is no task "${name}".`)
const requests = countRequests()
process.once('exit', () => void writeSync(REQUESTS_FD, JSON.stringify(requests())))
const found = await task(...args)
if (name !== 'command') process.stdout.write(`${JSON.stringify(found)}\n`)
