/** The real `cairn serve`, as a process. */
import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import type { Sandbox } from '../cli/sandbox.ts'

export interface Line {
  readonly level: string
  readonly event: string
  readonly msg: string
  readonly [field: string]: unknown
}

export interface Served {
  readonly child: ChildProcess
  readonly url: string
  readonly dir: string
  readonly lines: () => Line[]
  readonly stderr: () => string
  readonly logged: (event: string) => Promise<Line>
  /** Its exit code, or the signal that ended it. */
  readonly ended: () => Promise<number | string | null>
}

/** Starts it on a free port, with a folder of its own unless `dir` is given; killed when the test has finished. */
export async function serve(
  sandbox: Sandbox,
  args: readonly string[] = [],
  env: Record<string, string> = {},
  dir?: string,
): Promise<Served> {
  const data = dir ?? sandbox.path(`data-${randomBytes(6).toString('hex')}`)
  const { child, stderr } = run(sandbox, ['serve', '--port', '0', '--data-dir', data, ...args], env)
  let stdout = ''
  child.stdout?.on('data', (part: Buffer) => (stdout += part.toString()))
  const closed = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>
  const lines = (): Line[] =>
    stderr()
      .split('\n')
      .filter((line) => line.startsWith('{"level"'))
      .map((line) => JSON.parse(line) as Line)
  await until(() => stdout.includes('\n') || child.exitCode !== null)
  const url = /^cairn listens on (http\S+)\n$/.exec(stdout)?.[1]
  if (url === undefined) throw new Error(`it does not listen: ${stdout}${stderr()}`)
  return {
    child,
    url,
    dir: data,
    lines,
    stderr,
    logged: async (event) => {
      await until(() => lines().some((line) => line.event === event))
      return lines().find((line) => line.event === event) as Line
    },
    ended: async () => {
      const [code, signal] = await closed
      return code ?? signal
    },
  }
}

function run(
  sandbox: Sandbox,
  args: readonly string[],
  env: Record<string, string>,
): { child: ChildProcess; stderr: () => string } {
  const child = spawn(process.execPath, [sandbox.bin(), ...args], {
    cwd: sandbox.dir,
    env: { ...sandbox.env, ...env },
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let text = ''
  child.stderr.on('data', (part: Buffer) => (text += part.toString()))
  return { child, stderr: () => text }
}

/** Waits for it, 30 s at most. */
export async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; !condition(); i++) {
    if (i > 3000) throw new Error('it never came')
    await delay(10)
  }
}
