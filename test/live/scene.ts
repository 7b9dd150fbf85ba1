/** A scene server as a process, and its clients: started, listened to, killed. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createConnection } from 'node:net'
import { createInterface } from 'node:readline'

export interface SceneOptions {
  /** Of the dataset, if it is to be made with others than those of a session. */
  readonly chainLimit?: number
  readonly maps?: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  /** State of the program itself is attached, as the map "scene". */
  readonly source?: boolean
  readonly session?: Readonly<Record<string, unknown>>
  readonly autosave?: Readonly<Record<string, unknown>>
}

export interface Place {
  /** The project as JavaScript. */
  readonly dist: string
  readonly server: string
  readonly dir: string
}

export interface Scene {
  readonly child: ChildProcess
  /** What it has said so far, without the times. */
  readonly lines: string[]
  /** Until it says a line that begins with this, after as many lines as are given; the answer is which line it is. */
  readonly said: (text: string, after?: number) => Promise<number>
  readonly client: () => Promise<SceneClient>
  /** Exit code or signal. */
  readonly ended: () => Promise<number | string>
  readonly kill: (signal: NodeJS.Signals) => Promise<number | string>
}

export interface SceneClient {
  /** Rejects with what the server refused, and when it is gone. */
  readonly ask: <T = unknown>(what: string, more?: Readonly<Record<string, unknown>>) => Promise<T>
  readonly close: () => void
}

export class Refused extends Error {
  readonly code: string

  constructor({ code, message }: { readonly code: string; readonly message: string }) {
    super(message)
    this.code = code
  }
}

export function startScene({ dist, server, dir }: Place, options: SceneOptions): Scene {
  const child = spawn(process.execPath, [server, dist, dir, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: string[] = []
  const heard = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line.replace(/^\d\d:\d\d:\d\d /, ''))
      for (const hear of heard) hear()
    })
  }
  const closed = once(child, 'close').then(() => child.exitCode ?? child.signalCode ?? '')
  const said = async (text: string, after = 0): Promise<number> => {
    for (;;) {
      const at = lines.findIndex((line, i) => i >= after && line.startsWith(text))
      if (at >= 0) return at
      const more = new Promise<'more'>((resolve) => {
        const hear = (): void => {
          heard.delete(hear)
          resolve('more')
        }
        heard.add(hear)
      })
      if ((await Promise.race([more, closed])) === 'more') continue
      if (lines.some((line, i) => i >= after && line.startsWith(text))) continue
      throw new Error(`It ended before it said "${text}":\n${lines.join('\n')}`)
    }
  }
  return {
    child,
    lines,
    said,
    client: async () => connect(Number(lines[await said('listening ')]?.slice(10))),
    ended: () => closed,
    kill: (signal) => {
      child.kill(signal)
      return closed
    },
  }
}

interface Waiting {
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: Error) => void
}

interface Answer {
  readonly id: number
  readonly answer?: unknown
  readonly error?: { readonly code: string; readonly message: string }
}

async function connect(port: number): Promise<SceneClient> {
  const socket = createConnection({ port, host: '127.0.0.1' })
  const waiting = new Map<number, Waiting>()
  let asked = 0
  let gone: Error | undefined
  const end = (): void => {
    gone = new Error('the server is gone')
    for (const { reject } of waiting.values()) reject(gone)
    waiting.clear()
  }
  socket.on('error', () => {})
  socket.on('close', end)
  // A line that was cut off by the death of the server ends its input, too.
  const input = createInterface({ input: socket })
  input.on('error', () => {})
  input.on('line', (line) => {
    if (!line.endsWith('}')) return
    const { id, answer, error } = JSON.parse(line) as Answer
    const one = waiting.get(id)
    waiting.delete(id)
    if (error === undefined) one?.resolve(answer)
    else one?.reject(new Refused(error))
  })
  await Promise.race([once(socket, 'connect'), once(socket, 'close')])
  return {
    ask: <T>(what: string, more: Readonly<Record<string, unknown>> = {}) =>
      new Promise<T>((resolve, reject) => {
        if (gone !== undefined) return reject(gone)
        const id = ++asked
        waiting.set(id, { resolve: resolve as Waiting['resolve'], reject })
        socket.write(`${JSON.stringify({ id, do: what, ...more })}\n`)
      }),
    close: () => socket.destroy(),
  }
}
