/** Processes of lmdb-sweep-worker.mjs: started, listened to, killed; all gone when the test has finished. */
import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { rawCidOf } from '../../src/model/cid.ts'
import type { HeldBlock } from '../../src/store/backend.ts'
import { builtDist } from '../helpers/built.ts'

const WORKER = fileURLToPath(new URL('lmdb-sweep-worker.mjs', import.meta.url))

export interface Child {
  readonly child: ChildProcess
  readonly lines: string[]
  /** Settles when it has said so many lines, or ended. */
  said(count: number): Promise<void>
  /** Asks it to end, and answers its exit code. */
  stop(): Promise<number | null>
  kill(): Promise<void>
}

export async function startChild(task: string, dir: string, arg = ''): Promise<Child> {
  const args = [WORKER, await builtDist(), task, dir, arg]
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines: string[] = []
  const closed = once(child, 'close')
  let notify = (): void => undefined
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line)
    notify()
  })
  const alive = (): boolean => child.exitCode === null && child.signalCode === null
  const kill = async (): Promise<void> => {
    if (alive()) child.kill('SIGKILL')
    await closed
  }
  onTestFinished(kill)
  return {
    child,
    lines,
    said: async (count) => {
      while (lines.length < count && alive()) {
        await Promise.race([new Promise<void>((resolve) => (notify = resolve)), closed])
      }
    },
    stop: async () => {
      child.stdin.on('error', () => undefined)
      if (alive()) child.stdin.write('stop\n')
      await closed
      return child.exitCode
    },
    kill,
  }
}

/** Runs one to its end while this process stands still: no timer fires in between. */
export function runChild(dist: string, task: string, dir: string, arg: string): void {
  spawnSync(process.execPath, [WORKER, dist, task, dir, arg], { input: 'stop\n' })
}

/** The blocks that the worker's task `free` knows. */
export function numberedBlocks(count: number): HeldBlock[] {
  return Array.from({ length: count }, (_, n) => {
    const bytes = new TextEncoder().encode(`block-${n}`)
    return { cid: rawCidOf(bytes), bytes, hold: 'self' }
  })
}
