/**
 * A scene server such as a program has it that uses sessions: node scene-server.mjs DIST DIR OPTIONS. Its clients
 * speak lines of JSON over a socket of this machine: a request has an `id` and says what to `do`; its answer has
 * the same `id`. The log of the session goes to the standard output, as it comes.
 */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const [dist, dir, json = '{}'] = process.argv.slice(2)
const {
  chainLimit,
  maps: mapOptions = {},
  source = false,
  session: given = {},
  autosave,
} = JSON.parse(json)
const { openCairn, openSession } = await import(`${dist}/index.js`)

if (chainLimit !== undefined) {
  const cairn = await openCairn(`lmdb:${join(dir, 'store')}`)
  await cairn.init('main', { chainLimit })
  await cairn.close()
}

console.log('🚀 Starting replication server...')
const session = await openSession(dir, given)
const maps = {}
for (const [name, options] of Object.entries(mapOptions))
  maps[name] = await session.map(name, options)

/** State of the program itself. */
const scene = new Map()
let broken
if (source) {
  await session.attach('scene', {
    capture: () => {
      if (broken !== undefined) throw new Error(broken)
      return scene
    },
    restore: (state) => {
      for (const [key, value] of state) scene.set(key, value)
    },
  })
}
if (autosave !== undefined) session.autosave(autosave)

/** Around the part of a write that is immediate: the clock before and after it. */
async function write(run) {
  const before = performance.now()
  const written = run()
  const after = performance.now()
  const answer = await written
  return { before, after, answer }
}

const actions = {
  connect: async ({ user }, client) => {
    await session.connect(user)
    client.user = user
  },
  init: () => session.initialize(),
  state: () => {
    const { state, users, restored, metadata } = session
    return { state, users, restored, metadata, health: session.health() }
  },
  set: ({ map, key, value, options }) => write(() => maps[map].set(key, value, options)),
  setAll: ({ map, values }) => write(() => maps[map].setAll(values)),
  delete: ({ map, key }) => write(() => maps[map].delete(key)),
  all: ({ map }) => ({ now: Date.now(), items: [...maps[map]] }),
  scene: () => [...scene],
  edit: ({ values }) => {
    for (const [key, value] of Object.entries(values)) scene.set(key, value)
  },
  breakSource: ({ why }) => (broken = why),
  save: ({ reason }) => session.save(reason),
  backup: () => session.backups.create(),
  backups: () => session.backups.list(),
  restore: ({ which, names }) => session.backups.restore(which, { maps: names }),
}

const server = createServer((socket) => {
  const client = { user: undefined }
  const input = createInterface({ input: socket })
  input.on('error', () => {})
  const perform = async (line) => {
    const { id, ...request } = JSON.parse(line)
    try {
      const answer = await actions[request.do](request, client)
      socket.write(`${JSON.stringify({ id, answer })}\n`)
    } catch ({ code, message }) {
      socket.write(`${JSON.stringify({ id, error: { code, message } })}\n`)
    }
  }
  input.on('line', (line) => void perform(line))
  socket.on('error', () => {})
  socket.on('close', () => {
    if (client.user !== undefined) session.disconnect(client.user).catch(() => {})
  })
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
console.log(`listening ${server.address().port}`)
