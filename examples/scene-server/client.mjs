/**
 * Somebody at a terminal:  node examples/scene-server/client.mjs Ada [ws://127.0.0.1:8080]
 *
 *   set cube {"x":1}    delete cube    task paint {"done":false}    say hello
 */
import { createInterface } from 'node:readline'
import { WebSocket } from 'ws'

const [user = 'Ada', place = 'ws://127.0.0.1:8080'] = process.argv.slice(2)
const AGAIN_AFTER = 500

const commands = {
  set: (key, value) => ({ type: 'set', map: 'objects', key, value: JSON.parse(value) }),
  task: (key, value) => ({ type: 'set', map: 'tasks', key, value: JSON.parse(value) }),
  delete: (key) => ({ type: 'delete', map: 'objects', key }),
  say: (...words) => ({ type: 'say', text: words.join(' ').trim() }),
}

let socket

function connect() {
  socket = new WebSocket(`${place}/?user=${encodeURIComponent(user)}`)
  socket.on('message', (data) => console.log(String(data)))
  // The server may be on its way up.
  socket.on('error', () => {})
  socket.on('close', (code) => {
    if (code === 4000) process.exit()
    setTimeout(connect, AGAIN_AFTER)
  })
}

connect()

createInterface({ input: process.stdin }).on('line', (line) => {
  const [, command, key, rest] = /^(\w+) (\S+) ?(.*)$/.exec(line) ?? []
  try {
    socket.send(JSON.stringify(commands[command](key, rest)))
  } catch {
    console.log(`Not understood: ${line}`)
  }
})
