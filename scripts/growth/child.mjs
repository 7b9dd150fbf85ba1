/** One step on one store, one process: `node child.mjs STEP COUNT DIR` prints its figures as JSON. */
import { open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { entries, idOf, spread } from './data.mjs'

const { CarFile, CarWriter, FileSink, openCairn } = await import(process.env.CAIRN_LIBRARY)
const UPDATES = 1_000
const LOOKUPS = 4_000
const PAGES = 1_500

const [step, countText, dir] = process.argv.slice(2)
const count = Number(countText)
const store = `lmdb:${join(dir, 'store')}`
const car = join(dir, 'saved.car')

async function timed(work) {
  const start = performance.now()
  await work()
  return performance.now() - start
}

async function withCairn(name, options, use) {
  const cairn = await openCairn(name, options)
  try {
    return await use(cairn)
  } finally {
    await cairn.close()
  }
}

const withDataset = (use) => withCairn(store, {}, async (cairn) => use(await cairn.dataset('main')))

const sizeOf = async (path) => (await stat(path)).size
const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1]

/** Microseconds of each of so many calls, the compiler's share left out. */
async function each(times, work) {
  const measured = []
  for (let i = 0; i < times; i++) measured.push((await timed(() => work(i))) * 1000)
  return median(measured.slice(times >> 2))
}

/** Far from each other, always the same. */
const scatteredIndex = (i, below) => (i * 104_729 + 7_919) % below

const STEPS = {
  load: () =>
    withCairn(store, { create: true }, async (cairn) => {
      const { dataset } = await cairn.init('main', { content: 'external' })
      const load = await timed(() => dataset.bulkLoad(entries(count)))
      return { load, 'store, bytes': await sizeOf(join(dir, 'store', 'data.mdb')) }
    }),
  build: () =>
    withDataset(async (dataset) => {
      await dataset.appendBatch(spread(count, UPDATES))
      return { build: await timed(() => dataset.build()) }
    }),
  lookup: () =>
    withDataset(async (dataset) => ({
      'lookup, us': await each(LOOKUPS, (i) => dataset.get(idOf(scatteredIndex(i, count)))),
    })),
  page: () =>
    withDataset(async (dataset) => ({
      'page, us': await each(PAGES, (i) =>
        dataset.list({ limit: 100, offset: scatteredIndex(i, count) }),
      ),
    })),
  export: () =>
    withDataset(async (dataset) => {
      const ms = await timed(async () => {
        const handle = await open(car, 'w+')
        const begin = (root) => CarWriter.begin(new FileSink(handle), [root])
        await dataset.exportCar(begin, { content: 'index' })
        await handle.sync()
        await handle.close()
      })
      return { export: ms, 'CAR, bytes': await sizeOf(car) }
    }),
  restore: () =>
    withCairn(`lmdb:${join(dir, 'restored')}`, { create: true }, async (cairn) => {
      const opened = await CarFile.open(car)
      const restore = await timed(() => cairn.restoreCar([opened]))
      await opened.close()
      return { restore }
    }),
}

process.stdout.write(`${JSON.stringify(await STEPS[step]())}\n`)
