/** Processes of worker.mjs. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Built {
  /** The project as JavaScript. */
  readonly dist: string
  readonly worker: string
}

export interface ClientOptions {
  readonly name: string
  readonly folder: string
  /** The moment from which all clients of a run count, of the machine's monotonic clock. */
  readonly base: string
  readonly seed: number
  readonly epochMs: number
  readonly pauseMs: number
  readonly builds: boolean
}

export interface Client {
  /** SIGKILL. What went wrong before. */
  kill(): Promise<string[]>
  /** Asks it to end. What went wrong until then. */
  stop(): Promise<string[]>
}

const MOST_WAIT_MS = 60_000

export function startClient(
  { dist, worker }: Built,
  store: string,
  options: ClientOptions,
): Client {
  const args = [worker, dist, store, JSON.stringify(options)]
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const closed = once(child, 'close')
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
  child.stdin.on('error', () => {})
  const failure = (): string[] =>
    said === '' && (child.exitCode === 0 || child.signalCode === 'SIGKILL')
      ? []
      : [`${options.name} ended with ${child.exitCode}: ${said}`]
  const kill = async (): Promise<string[]> => {
    child.kill('SIGKILL')
    await closed
    return failure()
  }
  return {
    kill,
    stop: async () => {
      child.stdin.end()
      const inTime = await Promise.race([closed.then(() => true), sleep(MOST_WAIT_MS, false)])
      if (inTime) return failure()
      return [...(await kill()), `${options.name} did not end when it was asked to`]
    },
  }
}
