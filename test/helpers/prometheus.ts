/** The real Prometheus, for tests: what its tools say, and a server with a config of the test. */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { debianRoot } from './debian.ts'

/** Of `prometheus` and `promtool`. */
async function pathOf(program: string): Promise<string> {
  return join(await debianRoot('prometheus'), 'usr', 'bin', program)
}

export const promtoolPath = (): Promise<string> => pathOf('promtool')

/** What promtool says, and how it ends. */
export async function promtool(
  ...args: readonly string[]
): Promise<{ readonly code: number; readonly output: string }> {
  const path = await promtoolPath()
  return new Promise((resolve) => {
    execFile(path, [...args], (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1
      resolve({ code, output: stdout + stderr })
    })
  })
}

export interface Prometheus {
  /** The `data` of an answer of its API. */
  api(path: string, query?: Readonly<Record<string, string>>): Promise<unknown>
  stop(): Promise<void>
}

/** With this config file; its data goes into `folder`. */
export async function startPrometheus(config: string, folder: string): Promise<Prometheus> {
  const args = [
    `--config.file=${config}`,
    `--storage.tsdb.path=${join(folder, 'tsdb')}`,
    '--web.listen-address=127.0.0.1:0',
    '--web.console.templates=/nonexistent',
    '--web.console.libraries=/nonexistent',
  ]
  const child = spawn(await pathOf('prometheus'), args, {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const kill = (): boolean => child.kill('SIGKILL')
  process.once('exit', kill)
  const url = await listening(child)
  return {
    api: async (path, query = {}) => {
      const search = new URLSearchParams(query).toString()
      const answer = (await (await fetch(`${url}/api/v1/${path}?${search}`)).json()) as Answer
      if (answer.status !== 'success') throw new Error(`${path}: ${answer.error ?? 'failed'}`)
      return answer.data
    },
    stop: async () => {
      process.off('exit', kill)
      if (child.exitCode === null && child.signalCode === null) {
        kill()
        await once(child, 'exit')
      }
    },
  }
}

interface Answer {
  readonly status: string
  readonly error?: string
  readonly data?: unknown
}

async function listening(child: ChildProcess): Promise<string> {
  let log = ''
  child.stderr?.on('data', (part: Buffer) => (log += part.toString()))
  const giveUpAt = Date.now() + 30_000
  for (;;) {
    const address = /msg="Listening on" address=(\S+)/.exec(log)?.[1]
    if (address !== undefined && log.includes('Server is ready')) return `http://${address}`
    if (child.exitCode !== null || Date.now() > giveUpAt) {
      child.kill('SIGKILL')
      throw new Error(`Prometheus did not start:\n${log}`)
    }
    await sleep(20)
  }
}
