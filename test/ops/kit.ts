/** The ops kit as it lies on a server: scripts beside `bin`, called as cron does it. */
import { spawn } from 'node:child_process'
import { cp, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Sandbox, type Result } from '../cli/sandbox.ts'

export const SCRIPTS: string = fileURLToPath(new URL('../../scripts', import.meta.url))

export interface Kit {
  readonly box: Sandbox
  /** The folder of the scripts. */
  readonly scripts: string
  /** Runs a script from another folder than anything of the kit, with next to no environment. */
  run(name: string, args?: readonly string[], env?: Env): Promise<Result>
}

type Env = Readonly<Record<string, string>>

export async function makeKit(): Promise<Kit> {
  const box = await Sandbox.make()
  const home = dirname(dirname(box.bin()))
  const scripts = join(home, 'scripts')
  await cp(SCRIPTS, scripts, { recursive: true })
  const cwd = await mkdtemp(join(home, 'elsewhere-'))
  return {
    box,
    scripts,
    run: (name, args = [], env = {}) => runIn(cwd, join(scripts, name), args, env),
  }
}

export function runIn(
  cwd: string,
  path: string,
  args: readonly string[],
  env: Env,
): Promise<Result> {
  const child = spawn(path, args, {
    cwd,
    // What cron gives, and where Node is.
    env: { PATH: '/usr/bin:/bin', HOME: cwd, NODE: process.execPath, TMPDIR: tmpdir(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const out: Buffer[] = []
  const err: Buffer[] = []
  child.stdout.on('data', (part: Buffer) => out.push(part))
  child.stderr.on('data', (part: Buffer) => err.push(part))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => {
      const stdout = Buffer.concat(out).toString()
      resolve({ code, stdout, stderr: Buffer.concat(err).toString() })
    })
  })
}

export function parseJson(text: string): Record<string, unknown> {
  return JSON.parse(text) as Record<string, unknown>
}
