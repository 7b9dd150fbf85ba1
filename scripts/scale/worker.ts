/** One task a process: `node worker.js TASK ARGS...` prints what it found as JSON on the last line. */
import { createHash } from 'node:crypto'
import { openBackend } from '../../src/compose.ts'
import { Cairn } from '../../src/cairn.ts'
import type { Dataset } from '../../src/engine/dataset.ts'
import { main } from '../../src/cli/main.ts'
import { append, churnEntry, churnOf, CHURN, idOf, load, versionsAfter } from './data.ts'

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
    recentCount: pointer['recent_count'],
    next: pointer['next'],
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
const found = await task(...args)
if (name !== 'command') process.stdout.write(`${JSON.stringify(found)}\n`)
