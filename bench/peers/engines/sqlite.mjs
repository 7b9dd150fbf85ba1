/** SQLite through better-sqlite3: WAL, synchronous FULL, prepared statements, one transaction a batch. */
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { syncNew } from '../files.mjs'

export const version = () => {
  const db = new Database(':memory:')
  const { v } = db.prepare('select sqlite_version() as v').get()
  db.close()
  return v
}

function openFile(path) {
  const db = new Database(path)
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = FULL')
  db.pragma(`cache_size = ${-(256 << 10)}`)
  return db
}

const TABLE =
  'create table entity (pi text primary key, ver integer not null, tip blob not null) without rowid'
const UPSERT =
  'insert into entity values (?, ?, ?) on conflict (pi) do update set ver = excluded.ver, tip = excluded.tip'

export async function openTree(dir) {
  const db = openFile(join(dir, 'main.db'))
  db.exec(TABLE)
  const [insert, upsert] = [db.prepare('insert into entity values (?, ?, ?)'), db.prepare(UPSERT)]
  const select = db.prepare('select ver, tip from entity where pi = ?')
  const all = (statement) =>
    db.transaction((records) => {
      for (const { id, ver, tip } of records) statement.run(id, ver, tip)
    })
  const [load, update] = [all(insert), all(upsert)]
  return {
    load,
    update,
    get: (id) => select.get(id)?.tip,
    scan() {
      let count = 0
      for (const { tip } of db.prepare('select pi, ver, tip from entity order by pi').iterate())
        count += tip === null ? 0 : 1
      return count
    },
    async save(path) {
      await db.backup(path, { progress: () => 100_000 })
      await syncNew(path)
      return {}
    },
    restore,
    close: () => db.close(),
  }
}

/** Pages carry no checksums: what can be proved is that the file is a sound database. */
async function restore(path, dir) {
  const target = join(dir, 'restored.db')
  await copyFile(path, target)
  await syncNew(target)
  const db = openFile(target)
  const [{ integrity_check: verdict }] = db.pragma('integrity_check')
  if (verdict !== 'ok') throw new Error(verdict)
  const { n } = db.prepare('select count(*) as n from entity').get()
  db.close()
  return n
}

/**
 * The library is synchronous, so that clients of one process share a transaction only when the program
 * gathers them: here all that asked within one turn of the event loop.
 */
export async function openLog(dir) {
  const db = openFile(join(dir, 'main.db'))
  db.exec(TABLE)
  const upsert = db.prepare(UPSERT)
  let waiting = []
  const write = db.transaction((group) => {
    for (const { record } of group) upsert.run(record.id, record.ver, record.tip)
  })
  const flush = () => {
    const group = waiting
    waiting = []
    write(group)
    for (const { done } of group) done()
  }
  const append = (record) =>
    new Promise((done) => {
      if (waiting.length === 0) setImmediate(flush)
      waiting.push({ record, done })
    })
  return { append, close: () => db.close() }
}

export async function openState(dir) {
  const db = openFile(join(dir, 'main.db'))
  db.exec('create table object (id text primary key, json text not null) without rowid')
  const upsert = db.prepare(
    'insert into object values (?, ?) on conflict (id) do update set json = excluded.json',
  )
  const save = db.transaction((objects) => {
    for (const object of objects) upsert.run(object.id, JSON.stringify(object))
  })
  return { first: save, save, close: () => db.close() }
}
