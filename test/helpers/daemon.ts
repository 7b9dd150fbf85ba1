/**
 * Programs that serve a test: started, waited for, ended by their id. When this process is gone, however it
 * went, so are they, and their folder.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export interface DaemonSpec {
  readonly binary: string
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
  /** Its own, with its log in it. */
  readonly folder: string
  /** Whether it serves by now; `log` is what it has said. */
  readonly isReady: (log: string) => boolean | Promise<boolean>
}

export interface Daemon {
  /** Does nothing where it has ended by itself. */
  end(signal: NodeJS.Signals): Promise<void>
}

const START_MS = 60_000

export async function startDaemon(spec: DaemonSpec): Promise<Daemon> {
  const { binary, args, env, folder, isReady } = spec
  const log = join(folder, 'daemon.log')
  const output = openSync(log, 'w')
  const child = spawn(binary, args, { env, stdio: ['ignore', output, output] })
  closeSync(output)
  const exited = once(child, 'exit')
  const watchdog = watch(child, folder)
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    watchdog.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) {
      child.kill(signal)
      await exited
    }
  }
  const giveUpAt = Date.now() + START_MS
  while (!(await isReady(await readFile(log, 'utf8')))) {
    if (child.exitCode !== null || Date.now() > giveUpAt) {
      await end('SIGKILL')
      throw new Error(`${basename(binary)} did not start:\n${await readFile(log, 'utf8')}`)
    }
    await sleep(10)
  }
  return { end }
}

/** Kills the program and removes its folder when this process is gone. */
function watch(child: ChildProcess, folder: string): ChildProcess {
  const script = 'read _; kill -9 "$1"; sleep 1; rm -rf "$2"'
  const watchdog = spawn('sh', ['-c', script, 'watchdog', String(child.pid), folder], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  watchdog.unref()
  return watchdog
}
