/** A Redis server of our own on a socket in a folder, and as much of its protocol as saving takes. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const BINARY = process.env.REDIS_BIN ?? 'redis-server'
/** Keys that go out together; between them the program goes on. */
const BATCH = 1000
const START_MS = 10_000

/** `hz` is how often the server looks whether its child is done: at its usual 10 a save takes 100 ms. */
const FLAGS = ['--port', '0', '--save', '', '--appendonly', 'no', '--hz', '500']

export const redisVersion = () =>
  /v=(\S+)/.exec(execFileSync(BINARY, ['--version'], { encoding: 'utf8' }))[1]

export async function startRedis(dir) {
  mkdirSync(dir, { recursive: true })
  const path = join(dir, 's')
  const server = spawn(BINARY, [...FLAGS, '--unixsocket', path, '--dir', dir], { stdio: 'ignore' })
  let failed
  server.once('error', (error) => (failed = error))
  // A process that ends early must not leave its server behind.
  const kill = () => server.kill('SIGKILL')
  process.once('exit', kill)
  const client = await reach(path, () => failed ?? server.exitCode)
  return {
    async setAll(values) {
      let batch = []
      for (const [key, value] of values) {
        batch.push(['SET', key, JSON.stringify(value)])
        if (batch.length < BATCH) continue
        await client.sendAll(batch)
        batch = []
      }
      await client.sendAll(batch)
    },
    async backgroundSave() {
      await client.send('BGSAVE')
      // LASTSAVE counts in whole seconds.
      for (;;) {
        const info = await client.send('INFO', 'persistence')
        if (!info.includes('rdb_last_bgsave_status:ok')) throw new Error('Redis could not save.')
        if (info.includes('rdb_bgsave_in_progress:0')) return
        await sleep(1)
      }
    },
    /** Milliseconds of the server and the children that it had. */
    async cpu() {
      const info = await client.send('INFO', 'cpu')
      const seconds = [...info.matchAll(/^used_cpu_(?:sys|user)(?:_children)?:([\d.]+)/gm)]
      return 1000 * seconds.reduce((sum, [, value]) => sum + Number(value), 0)
    },
    fileBytes: async () => (await stat(join(dir, 'dump.rdb'))).size,
    async close() {
      client.close()
      process.removeListener('exit', kill)
      kill()
      if (server.exitCode === null && server.signalCode === null) await once(server, 'exit')
    },
  }
}

async function reach(path, ended) {
  const deadline = performance.now() + START_MS
  for (;;) {
    const why = ended()
    if (why !== null || performance.now() > deadline)
      throw new Error(`${BINARY} did not start: ${why ?? 'no answer'}.`)
    const socket = connect(path)
    try {
      await once(socket, 'connect')
      return clientOn(socket)
    } catch {
      await sleep(5)
    }
  }
}

/** Answers come in the order of the commands. */
function clientOn(socket) {
  const waiting = []
  let unread = Buffer.alloc(0)
  const end = (error) => waiting.splice(0).forEach(({ reject }) => reject(error))
  socket.on('error', end)
  socket.on('close', () => end(new Error('Redis is gone.')))
  socket.on('data', (part) => {
    unread = unread.length === 0 ? part : Buffer.concat([unread, part])
    let at = 0
    for (;;) {
      const answer = readAnswer(unread, at)
      if (answer === undefined) break
      at = answer.next
      const { resolve, reject } = waiting.shift()
      if (answer.error) reject(new Error(answer.text))
      else resolve(answer.text)
    }
    unread = unread.subarray(at)
  })
  const sendAll = (commands) => {
    const answers = commands.map(
      () => new Promise((resolve, reject) => waiting.push({ resolve, reject })),
    )
    socket.write(commands.map(encode).join(''))
    return Promise.all(answers)
  }
  return {
    sendAll,
    send: async (...command) => (await sendAll([command]))[0],
    close: () => socket.destroy(),
  }
}

const encode = (parts) =>
  `*${parts.length}\r\n${parts.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`).join('')}`

/** A line, or a text whose length comes first; undefined while it is not all there. */
function readAnswer(bytes, at) {
  const lineEnd = bytes.indexOf('\r\n', at)
  if (lineEnd < 0) return undefined
  const line = bytes.toString('latin1', at, lineEnd)
  if (!line.startsWith('$')) return { text: line, error: line.startsWith('-'), next: lineEnd + 2 }
  const start = lineEnd + 2
  const end = start + Number(line.slice(1))
  if (bytes.length < end + 2) return undefined
  return { text: bytes.toString('utf8', start, end), error: false, next: end + 2 }
}
