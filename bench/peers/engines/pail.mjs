/** Pail, a sharded trie, over its store in memory; CARs by `@ipld/car`, which it is used with. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { CarBlockIterator, CarWriter } from '@ipld/car'
import { entries, get } from '@web3-storage/pail'
import * as Batch from '@web3-storage/pail/batch'
import { MemoryBlockstore } from '@web3-storage/pail/block'
import { ShardBlock } from '@web3-storage/pail/shard'
import { CID } from 'multiformats/cid'
import { writeDurably } from '../files.mjs'

export const version = async () =>
  JSON.parse(
    await readFile(
      new URL('../node_modules/@web3-storage/pail/package.json', import.meta.url),
      'utf8',
    ),
  ).version

export async function openTree() {
  const store = new MemoryBlockstore()
  const empty = await ShardBlock.create()
  store.putSync(empty.cid, empty.bytes)
  let root = empty.cid
  let batch
  const put = async (records) => {
    batch = await Batch.create(store, root)
    for (const { id, tip } of records) await batch.put(id, CID.decode(tip))
  }
  const commit = async () => {
    if (batch === undefined) return
    const { additions, removals, root: next } = await batch.commit()
    for (const { cid, bytes } of additions) store.putSync(cid, bytes)
    for (const { cid } of removals) store.deleteSync(cid)
    root = next
    batch = undefined
  }
  return {
    async load(all) {
      await put(all)
      await commit()
    },
    update: put,
    root: commit,
    get: async (id) => (await get(store, root, id))?.bytes,
    scan: () => countEntries(store, root),
    async save(path) {
      await commit()
      await writeCar(path, root, store)
      return {}
    },
    restore,
    close: () => {},
  }
}

async function countEntries(store, root) {
  let count = 0
  for await (const [, value] of entries(store, root)) count += value === undefined ? 0 : 1
  return count
}

async function writeCar(path, root, store) {
  const { writer, out } = CarWriter.create([root])
  const fill = async () => {
    for (const block of store.entries()) await writer.put(block)
    await writer.close()
  }
  await Promise.all([fill(), writeDurably(path, out)])
}

/** `@ipld/car` proves nothing by itself, so every block is hashed here, and the whole trie walked. */
async function restore(path) {
  const car = await CarBlockIterator.fromIterable(
    createReadStream(path, { highWaterMark: 1 << 20 }),
  )
  const store = new MemoryBlockstore()
  for await (const { cid, bytes } of car) {
    if (createHash('sha256').update(bytes).digest().compare(cid.multihash.digest) !== 0)
      throw new Error(`${cid.toString()} has other bytes`)
    store.putSync(cid, bytes)
  }
  const [root] = await car.getRoots()
  return countEntries(store, root)
}
