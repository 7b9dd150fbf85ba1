/** Processes of lmdb-worker.mjs, run to their end. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { builtDist } from '../helpers/built.ts'

const WORKER = fileURLToPath(new URL('lmdb-worker.mjs', import.meta.url))

export interface Ended {
  readonly exit: number | null
  /** What ended it, if it did not end by itself. */
  readonly signal: NodeJS.Signals | null
  readonly said: readonly Record<string, unknown>[]
  readonly stderr: string
}

export async function runWorker(
  task: string,
  options: Readonly<Record<string, unknown>>,
  wrap: (command: readonly string[]) => readonly string[] = (command) => command,
): Promise<Ended> {
  const args = [process.execPath, WORKER, await builtDist(), task, JSON.stringify(options)]
  const [program = '', ...rest] = wrap(args)
  const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const said: Record<string, unknown>[] = []
  createInterface({ input: child.stdout }).on('line', (line) => {
    said.push(JSON.parse(line) as Record<string, unknown>)
  })
  const complained = text(child.stderr)
  const [exit, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
    child.once('close', (code, by) => resolve([code, by]))
  })
  return { exit, signal, said, stderr: await complained }
}
