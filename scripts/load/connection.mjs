/**
 * One connection to the service, kept alive, one request after the other. It does as little as it can: it
 * shares the cores with what it measures.
 */
import { once } from 'node:events'
import { connect } from 'node:net'

const HEAD_END = Buffer.from('\r\n\r\n')

/** `request` gives `{ status, json() }`, and rejects when the connection is cut before the whole answer came. */
export async function openConnection(url) {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port), noDelay: true })
  let waiting
  let received = []
  const fail = (error) => {
    waiting?.reject(error)
    waiting = undefined
  }
  socket.on('error', fail)
  socket.on('close', () => fail(new Error('The connection was cut.')))
  socket.on('data', (part) => {
    received.push(part)
    if (waiting === undefined) return
    const answer = wholeAnswer(received.length === 1 ? part : Buffer.concat(received))
    if (answer === undefined) return
    received = []
    const { resolve } = waiting
    waiting = undefined
    resolve(answer)
  })
  await once(socket, 'connect')
  return {
    request: (method, path, body) =>
      new Promise((resolve, reject) => {
        if (socket.destroyed) return reject(new Error('The connection was cut.'))
        waiting = { resolve, reject }
        socket.write(requestText(method, path, hostname, body))
      }),
    close: () => socket.destroy(),
  }
}

function requestText(method, path, host, body) {
  const head = `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n`
  if (body === undefined) return `${head}\r\n`
  const length = Buffer.byteLength(body)
  return `${head}Content-Type: application/json\r\nContent-Length: ${length}\r\n\r\n${body}`
}

/** Undefined while some of it is missing. */
function wholeAnswer(bytes) {
  const end = bytes.indexOf(HEAD_END)
  if (end < 0) return undefined
  const head = bytes.latin1Slice(0, end)
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1]
  if (length === undefined) throw new Error(`An answer of no known length: ${head}`)
  const body = end + HEAD_END.length
  if (bytes.length < body + Number(length)) return undefined
  return {
    status: Number(head.slice(9, 12)),
    json: () => JSON.parse(bytes.utf8Slice(body, body + Number(length))),
  }
}
