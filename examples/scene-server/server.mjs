/**
 * A scene that several people build at the same time, over WebSockets. Kill it at any moment, and start it again:
 * whatever it has answered with "done" is there.
 *
 *   node examples/scene-server/server.mjs
 */
import { WebSocketServer } from 'ws'
import { perform, session, watch, whole } from './scene.mjs'

const { HOST = '127.0.0.1', PORT = '8080' } = process.env
const PING_EVERY = 15_000

// Saves every two minutes, when a user leaves, at SIGTERM and Ctrl+C, and when the program dies of an error.
session.autosave()

/** Who is here. @type {Map<string, import('ws').WebSocket>} */
const sockets = new Map()
/** Who has answered the last ping. */
const alive = new WeakSet()

const send = (socket, message) => socket.send(JSON.stringify(message))

function broadcast(message) {
  const text = JSON.stringify(message)
  for (const socket of sockets.values()) socket.send(text)
}

watch((change) => broadcast({ type: 'change', ...change }))

async function join(socket, user) {
  sockets.get(user)?.close(4000, 'You came in from elsewhere.')
  sockets.set(user, socket)
  await session.connect(user)
  send(socket, { type: 'welcome', ...whole() })
  broadcast({ type: 'users', users: session.users })
}

async function leave(socket, user) {
  if (sockets.get(user) !== socket) return
  sockets.delete(user)
  await session.disconnect(user)
  broadcast({ type: 'users', users: session.users })
}

async function answer(socket, user, text) {
  let id = null
  try {
    const request = JSON.parse(text)
    id = request.id ?? null
    await perform(user, request)
    send(socket, { type: 'done', id })
  } catch ({ message }) {
    send(socket, { type: 'refused', id, message })
  }
}

const server = new WebSocketServer({ host: HOST, port: Number(PORT), maxPayload: 1 << 20 })

server.on('connection', (socket, { url }) => {
  const user = new URL(url, 'ws://scene').searchParams.get('user') ?? ''
  alive.add(socket)
  socket.on('pong', () => alive.add(socket))
  socket.on('message', (data) => void answer(socket, user, String(data)))
  // What could not be saved stands in the session's log.
  socket.on('close', () => void leave(socket, user).catch(() => {}))
  // A message that is too large or broken; `ws` closes the connection.
  socket.on('error', () => {})
  join(socket, user).catch(({ message }) => {
    send(socket, { type: 'refused', id: null, message })
    socket.close()
  })
})

// Whose network has gone says nothing: without an answer to a ping they have left.
setInterval(() => {
  for (const socket of server.clients) {
    if (!alive.delete(socket)) socket.terminate()
    socket.ping()
  }
}, PING_EVERY)

server.on('listening', () => {
  console.log(`The scene is at ws://${HOST}:${server.address().port}/?user=YOU`)
})
