/** Redis on a socket of its own: every write in the append-only file and synced before it is answered. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createClient, RESP_TYPES } from 'redis'
import { idOf, packed } from '../data.mjs'
import { copyDurably, syncNew } from '../files.mjs'

const BINARY = process.env.REDIS_BIN ?? 'redis-server'
const BATCH = 1000

export const version = () =>
  /v=(\S+)/.exec(execFileSync(BINARY, ['--version'], { encoding: 'utf8' }))[1]

async function startServer(dir, appendOnly = 'yes') {
  await mkdir(dir, { recursive: true })
  const socket = join(dir, 's')
  const settings = {
    port: 0,
    unixsocket: socket,
    dir,
    appendonly: appendOnly,
    appendfsync: 'always',
  }
  const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)])
  const server = spawn(BINARY, [...flags, '--save', ''], { stdio: 'ignore' })
  // A process that ends early must not leave its server behind.
  const end = () => server.kill('SIGKILL')
  process.once('exit', end)
  const client = await connect(socket, server)
  const close = async () => {
    client.destroy()
    process.removeListener('exit', end)
    // At once: what it keeps is thrown away, and its own end would wait for its next tick.
    server.kill('SIGKILL')
    if (server.exitCode === null && server.signalCode === null) await once(server, 'exit')
  }
  return { client, close }
}

async function connect(socket, server) {
  for (;;) {
    if (server.exitCode !== null) throw new Error(`${BINARY} ended with ${server.exitCode}`)
    const client = createClient({ socket: { path: socket, reconnectStrategy: false } })
    client.on('error', () => {})
    try {
      await client.connect()
      await client.ping()
      return client
    } catch {
      await sleep(5)
    }
  }
}

const pairsOf = (records) => records.flatMap((record) => [record.id, packed(record)])

export async function openTree(dir) {
  const { client, close } = await startServer(join(dir, 'r'))
  const bytes = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
  return {
    async load(all) {
      let batch = []
      for (const record of all) {
        batch.push(record)
        if (batch.length < BATCH) continue
        await client.mSet(pairsOf(batch))
        batch = []
      }
      if (batch.length > 0) await client.mSet(pairsOf(batch))
    },
    update: (some) => client.mSet(pairsOf(some)),
    get: (id) => bytes.get(id),
    async scan(size) {
      let count = 0
      let cursor = '0'
      do {
        const page = await client.scan(cursor, { COUNT: BATCH })
        cursor = page.cursor
        if (page.keys.length === 0) continue
        for (const value of await bytes.mGet(page.keys)) count += value === null ? 0 : 1
      } while (cursor !== '0')
      // A scan may name a key twice while its table grows, never leave one out.
      return Math.min(count, size)
    },
    async save(path) {
      await settled(client)
      await client.bgSave()
      await settled(client)
      await copyDurably(join(dir, 'r', 'dump.rdb'), path)
      return {}
    },
    restore,
    close,
  }
}

/** Until no child of the server writes a file. */
async function settled(client) {
  for (;;) {
    const info = await client.info('persistence')
    if (!/(bgsave|rewrite)_in_progress:1/.test(info)) return
    await sleep(2)
  }
}

/** The file's checksum is proved on loading. The restored server is not yet one that appends durably. */
async function restore(path, dir) {
  const home = join(dir, 'q')
  await mkdir(home)
  const target = join(home, 'dump.rdb')
  await copyFile(path, target)
  await syncNew(target)
  const { client, close } = await startServer(home, 'no')
  const count = await client.dbSize()
  if ((await client.get(idOf(0))) === null)
    throw new Error('the restored server lacks the first key')
  await close()
  return count
}

/** One connection: what its callers send in a turn goes out together, and is synced together. */
export async function openLog(dir) {
  const { client, close } = await startServer(join(dir, 'r'))
  return { append: (record) => client.set(record.id, packed(record)), close }
}

export async function openState(dir) {
  const { client, close } = await startServer(join(dir, 'r'))
  const save = (objects) =>
    client.mSet(objects.flatMap((object) => [object.id, JSON.stringify(object)]))
  return { first: save, save, close }
}
