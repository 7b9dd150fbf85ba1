/** Processes of worker.mjs: started, listened to, killed. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Ack } from './look.ts'

/** What a process said, and when. */
interface Said {
  readonly at?: string
  readonly done?: string
  readonly error?: string
  readonly message?: string
  readonly ms: number
}

export interface Child {
  readonly process: ChildProcess
  readonly said: readonly Said[]
  readonly acks: readonly Ack[]
  /** Settles at the first thing said that `wanted` takes, or when the process has ended. */
  until(wanted: (said: Said) => boolean): Promise<void>
  /** SIGKILL; settles when nothing more will be said. */
  kill(): Promise<void>
  /** Asks it to end, and waits. */
  stop(): Promise<void>
  ended(): Promise<void>
}

export interface Built {
  /** The project as JavaScript. */
  readonly dist: string
  readonly worker: string
}

export function startChild(
  { dist, worker }: Built,
  task: string,
  store: string,
  options: Readonly<Record<string, unknown>>,
): Child {
  const args = [worker, dist, task, store, JSON.stringify(options)]
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const said: Said[] = []
  const acks: Ack[] = []
  const closed = once(child, 'close')
  const listeners = new Set<() => void>()
  child.stdin.on('error', () => {})
  createInterface({ input: child.stdout }).on('line', (line) => {
    const record = JSON.parse(line) as Ack | Omit<Said, 'ms'>
    if ('ver' in record) acks.push(record)
    else said.push({ ...record, ms: performance.now() })
    for (const notify of listeners) notify()
  })
  const ended = async (): Promise<void> => void (await closed)
  return {
    process: child,
    said,
    acks,
    until: async (wanted) => {
      let looked = 0
      await new Promise<void>((resolve) => {
        const look = (): void => {
          while (looked < said.length) {
            const one = said[looked++]
            if (one === undefined || !wanted(one)) continue
            listeners.delete(look)
            resolve()
            return
          }
        }
        listeners.add(look)
        look()
        void closed.then(() => resolve())
      })
    },
    kill: async () => {
      child.kill('SIGKILL')
      await closed
    },
    stop: async () => {
      child.stdin.end()
      await closed
    },
    ended,
  }
}
