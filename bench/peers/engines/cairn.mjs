/** Cairn as a program uses it: embedded store, entries whose content lies elsewhere. */
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { syncNew } from '../files.mjs'

const library = () => import(process.env.CAIRN_LIBRARY)
const CACHE = 256 << 20

export const version = () => 'of this tree'

export async function openStore(dir, init = {}) {
  const { openCairn } = await library()
  const cairn = await openCairn(`lmdb:${join(dir, 'store')}`, { create: true, cacheBytes: CACHE })
  const { dataset } = await cairn.init('main', { content: 'external', ...init })
  return { cairn, dataset }
}

const entryOf = ({ id, ver, tip }) => ({ pi: id, ver, tip })

export async function openTree(dir) {
  const { cairn, dataset } = await openStore(dir)
  return {
    load: (all) =>
      dataset.bulkLoad(
        (function* () {
          for (const record of all) yield entryOf(record)
        })(),
      ),
    update: (some) => dataset.appendBatch(some.map(entryOf)),
    root: () => dataset.build(),
    get: async (id) => (await dataset.get(id))?.tip,
    async scan() {
      let count = 0
      for await (const { tip } of dataset.entries()) count += tip === null ? 0 : 1
      return count
    },
    /** What waits in the recent chain is folded first: the export is of a snapshot. */
    async save(path) {
      await dataset.build()
      return { root: await exportIndex(dataset, path) }
    },
    restore: restoreIndex,
    close: () => cairn.close(),
  }
}

async function exportIndex(dataset, path) {
  const { CarWriter, FileSink, printCid } = await library()
  const handle = await open(path, 'w+')
  const begin = (root) => CarWriter.begin(new FileSink(handle), [root])
  const { checkpoint } = await dataset.exportCar(begin, { content: 'index' })
  await handle.close()
  await syncNew(path)
  return printCid(checkpoint)
}

async function restoreIndex(path, dir) {
  const { CarFile, openCairn } = await library()
  const cairn = await openCairn(`lmdb:${join(dir, 'restored')}`, { create: true })
  const car = await CarFile.open(path)
  const { totalCount } = await cairn.restoreCar([car])
  await car.close()
  await cairn.close()
  return totalCount
}

/** Single appends, each acknowledged when it is on disk; room in the chain for all of a measurement. */
export async function openLog(dir) {
  const { cairn, dataset } = await openStore(dir, { chainLimit: 10_000_000 })
  return { append: (record) => dataset.append(entryOf(record)), close: () => cairn.close() }
}

/** A live state: the objects are content, and each save can be followed by a snapshot. */
export async function openState(dir) {
  const { cairn, dataset } = await openStore(dir, { content: 'linked' })
  const valueOf = (object) => ({ pi: object.id, value: object })
  return {
    first: (all) => dataset.bulkLoad(all.map((object) => ({ ver: 1, ...valueOf(object) }))),
    save: (changed) => dataset.putBatch(changed.map(valueOf)),
    root: () => dataset.build(),
    close: () => cairn.close(),
  }
}
