/** LMDB through the package that Cairn uses, with plain puts; acknowledged when flushed. */
import { copyFile, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { open } from 'lmdb'
import { packed } from '../data.mjs'
import { syncNew } from '../files.mjs'

export const version = async () =>
  JSON.parse(await readFile(new URL('../node_modules/lmdb/package.json', import.meta.url), 'utf8'))
    .version

const openFile = (path) => open({ path, encoding: 'binary' })
const BATCH = 10_000

export async function openTree(dir) {
  const db = openFile(join(dir, 'main.mdb'))
  return {
    /** Puts of one turn share a transaction; waiting now and then bounds what is queued. */
    async load(all) {
      let queued = 0
      for (const record of all) {
        const put = db.put(record.id, packed(record))
        if (++queued % BATCH === 0) await put
      }
      await db.flushed
    },
    async update(some) {
      for (const record of some) void db.put(record.id, packed(record))
      await db.flushed
    },
    get: (id) => db.getBinary(id),
    scan() {
      let count = 0
      for (const { value } of db.getRange()) count += value.length > 0 ? 1 : 0
      return count
    },
    async save(path) {
      await db.backup(path, false)
      await syncNew(path)
      return {}
    },
    restore,
    close: () => db.close(),
  }
}

/** Nothing in the file proves it: it is copied, opened, and read from end to end. */
async function restore(path, dir) {
  const target = join(dir, 'restored.mdb')
  await copyFile(path, target)
  await syncNew(target)
  const db = openFile(target)
  let count = 0
  for (const { value } of db.getRange()) count += value.length > 0 ? 1 : 0
  await db.close()
  return count
}

export async function openLog(dir) {
  const db = openFile(join(dir, 'main.mdb'))
  const append = async (record) => {
    await db.put(record.id, packed(record))
    await db.flushed
  }
  return { append, close: () => db.close() }
}

export async function openState(dir) {
  const db = openFile(join(dir, 'main.mdb'))
  const save = async (objects) => {
    for (const object of objects) void db.put(object.id, Buffer.from(JSON.stringify(object)))
    await db.flushed
  }
  return { first: save, save, close: () => db.close() }
}
