/** The examples, as a clone of the project or a copy with the package beside it has them, run by their one command. */
import { spawn, type ChildProcess } from 'node:child_process'
import { cp, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { builtDist } from '../helpers/built.ts'
import { tempDir } from '../helpers/engine.ts'

export const ROOT: string = fileURLToPath(new URL('../..', import.meta.url))

/** A folder with the examples and what a clone has beside them, built. */
export async function cloneOfExamples(): Promise<string> {
  const dir = await tempDir()
  for (const name of ['examples', 'bin', 'package.json'])
    await cp(join(ROOT, name), join(dir, name), { recursive: true })
  await mkdir(join(dir, 'clients'))
  for (const name of ['node_modules', 'clients/python'])
    await symlink(join(ROOT, name), join(dir, name))
  await symlink(await builtDist(), join(dir, 'dist'))
  return dir
}

/** A folder with one example that was copied out of the project, into a program with the packages installed. */
export async function copyOfExample(name: string): Promise<string> {
  const dir = await tempDir()
  await cp(join(ROOT, 'examples', name), join(dir, name), { recursive: true })
  const installed = join(dir, 'node_modules', 'cairn-store')
  await mkdir(installed, { recursive: true })
  await cp(join(ROOT, 'package.json'), join(installed, 'package.json'))
  await symlink(await builtDist(), join(installed, 'dist'))
  await symlink(join(ROOT, 'node_modules', 'ws'), join(dir, 'node_modules', 'ws'))
  await writeFile(join(dir, 'package.json'), '{ "name": "mine" }')
  return dir
}

export interface Program {
  readonly child: ChildProcess
  /** All that it has printed. */
  readonly said: () => string
  /** Resolves when it has ended, with its exit code or signal. */
  readonly ended: Promise<number | NodeJS.Signals | null>
  /** Resolves with the match, once what it has printed has one. */
  readonly says: (pattern: RegExp) => Promise<RegExpExecArray>
  readonly write: (line: string) => void
  readonly end: (signal: NodeJS.Signals) => Promise<number | NodeJS.Signals | null>
}

const PATIENCE_MS = 20_000

/** Runs the command, as it stands in a README, in a folder. */
export function start(
  command: string,
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): Program {
  const [program = '', ...args] = command.split(' ')
  const child = spawn(program === 'node' ? process.execPath : program, args, {
    cwd,
    // A group of its own, so that nothing it has started is left over.
    detached: true,
    env: { PATH: process.env['PATH'], HOME: cwd, PYTHONDONTWRITEBYTECODE: '1', ...env },
  })
  let text = ''
  const hear = (part: Buffer): void => void (text += part.toString())
  child.stdout.on('data', hear)
  child.stderr.on('data', hear)
  child.stdin.on('error', () => {})
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) => {
    child.once('exit', (code, signal) => resolve(code ?? signal))
  })
  const end: Program['end'] = (signal) => {
    child.kill(signal)
    return ended
  }
  onTestFinished(async () => {
    killGroup(child)
    await ended
  })
  return {
    child,
    ended,
    said: () => text,
    says: async (pattern) => {
      const until = Date.now() + PATIENCE_MS
      for (;;) {
        const found = pattern.exec(text)
        if (found !== null) return found
        if (child.exitCode !== null || Date.now() > until)
          throw new Error(`${command} never said ${pattern}. It said:\n${text}`)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    },
    write: (line) => void child.stdin.write(`${line}\n`),
    end,
  }
}

function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // All of it has ended.
  }
}
