/** A command that is run when a backup is whole, such as one that copies it elsewhere. */
import { spawn, type ChildProcess } from 'node:child_process'
import { CairnError, throwIfAborted } from '../errors.ts'
import type { Backup } from './folder.ts'

export interface HookOptions {
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
}

const GRACE_MS = 5000

interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/**
 * Runs `command` by the shell: the CAR's path is $1, and the environment names what belongs to it. What
 * it prints goes to stderr. It and what it has started are ended when the time is over.
 */
export async function runHook(
  command: string,
  { paths, sidecar }: Backup,
  { timeoutMs, signal }: HookOptions,
): Promise<void> {
  throwIfAborted(signal)
  const child = spawn('sh', ['-c', command, 'sh', paths.car], {
    env: {
      ...process.env,
      CAIRN_CAR: paths.car,
      CAIRN_SIDECAR: paths.sidecar,
      CAIRN_SHA256: sidecar.sha256,
    },
    stdio: ['ignore', 2, 2],
    // A group of its own, which can be ended as a whole.
    detached: true,
  })
  const stop = { timedOut: false }
  const killer = new Killer(child)
  const timer = setTimeout(() => {
    stop.timedOut = true
    killer.end()
  }, timeoutMs)
  const abort = (): void => killer.end()
  signal?.addEventListener('abort', abort, { once: true })
  try {
    const ended = await endOf(child)
    throwIfAborted(signal)
    if (stop.timedOut) throw failed(`did not end within ${timeoutMs} ms and was ended`, paths.car)
    if (ended.code !== 0) throw failed(`ended with ${ended.code ?? ended.signal}`, paths.car)
  } finally {
    clearTimeout(timer)
    killer.clear()
    signal?.removeEventListener('abort', abort)
  }
}

function endOf(child: ChildProcess): Promise<Ended> {
  return new Promise((resolve, reject) => {
    child.on('error', (cause) => {
      reject(
        new CairnError('hook_failed', 'The hook cannot be started.', {
          hint: 'It needs a shell, `sh`. The backup itself is whole.',
          cause,
        }),
      )
    })
    child.on('exit', (code, signal) => resolve({ code, signal }))
  })
}

/** First asks the whole group to end, then makes it. */
class Killer {
  readonly #child: ChildProcess
  #timer: NodeJS.Timeout | undefined

  constructor(child: ChildProcess) {
    this.#child = child
  }

  end(): void {
    this.#kill('SIGTERM')
    this.#timer = setTimeout(() => this.#kill('SIGKILL'), GRACE_MS)
  }

  clear(): void {
    if (this.#timer === undefined) return
    clearTimeout(this.#timer)
    // The shell has gone; what it had started may have stayed.
    this.#kill('SIGKILL')
  }

  #kill(signal: NodeJS.Signals): void {
    const { pid } = this.#child
    if (pid === undefined) return
    try {
      process.kill(-pid, signal)
    } catch {
      // The group has ended.
    }
  }
}

function failed(how: string, path: string): CairnError {
  return new CairnError('hook_failed', `The hook ${how}.`, {
    hint: `The backup itself is whole: ${path}. The hook runs again with the next export.`,
    path,
  })
}
