/** Requests byte by byte, as no client would send them. */
import { connect, type Socket } from 'node:net'
import { once } from 'node:events'
import { onTestFinished } from 'vitest'

export interface RawAnswer {
  /** 0 when the connection was closed without one. */
  readonly status: number
  readonly text: string
  readonly body: string
}

/** A connection that stays open for longer is closed from this side. */
const PATIENCE_MS = 5000

export async function openSocket(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {})
  onTestFinished(() => {
    socket.destroy()
  })
  await once(socket, 'connect')
  return socket
}

/** Sends `text`, and answers all that came back when the other side has closed. */
export async function rawRequest(url: string, text: string | Buffer): Promise<RawAnswer> {
  const socket = await openSocket(url)
  socket.write(text)
  return answerOf(socket)
}

export async function answerOf(socket: Socket): Promise<RawAnswer> {
  const parts: Buffer[] = []
  socket.on('data', (part: Buffer) => parts.push(part))
  const timer = setTimeout(() => socket.destroy(), PATIENCE_MS)
  if (!socket.closed) await once(socket, 'close')
  clearTimeout(timer)
  const all = Buffer.concat(parts).toString('utf8')
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(all)?.[1] ?? 0)
  return { status, text: all, body: all.slice(all.indexOf('\r\n\r\n') + 4) }
}

/** A request with these header lines, that asks for the connection's end. */
export function head(method: string, path: string, ...headers: readonly string[]): string {
  return [`${method} ${path} HTTP/1.1`, 'Connection: close', ...headers, '', ''].join('\r\n')
}
