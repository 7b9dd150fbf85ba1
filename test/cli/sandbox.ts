/** Runs the real `bin/cairn` on the built sources, in a folder of its own. */
import { spawn } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { builtDist } from '../helpers/built.ts'

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string | Uint8Array
  readonly bin?: string
}

export interface Result {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export class Sandbox {
  readonly dir: string
  readonly #home: string

  private constructor(home: string) {
    this.#home = home
    this.dir = join(home, 'work')
  }

  /** `dist` is the built project; without the page unless given. */
  static async make(dist?: string): Promise<Sandbox> {
    const built = dist ?? (await builtDist())
    const home = await mkdtemp(join(tmpdir(), 'cairn-cli-'))
    await cp(join(ROOT, 'bin'), join(home, 'bin'), { recursive: true })
    await writeFile(join(home, 'package.json'), '{ "type": "module" }')
    await symlink(built, join(home, 'dist'))
    await mkdir(join(home, 'work'))
    return new Sandbox(home)
  }

  path(...names: string[]): string {
    return join(this.dir, ...names)
  }

  bin(name = 'cairn'): string {
    return join(this.#home, 'bin', name)
  }

  get env(): Record<string, string> {
    const { PATH = '', TMPDIR } = process.env
    return { PATH, HOME: this.#home, ...(TMPDIR === undefined ? {} : { TMPDIR }) }
  }

  async write(name: string, text: string): Promise<string> {
    await writeFile(this.path(name), text)
    return this.path(name)
  }

  read(name: string): Promise<string> {
    return readFile(this.path(name), 'utf8')
  }

  run(
    args: readonly string[],
    { env = {}, input = '', bin = 'cairn' }: RunOptions = {},
  ): Promise<Result> {
    const child = spawn(process.execPath, [this.bin(bin), ...args], {
      cwd: this.dir,
      env: { ...this.env, ...env },
    })
    const out: Buffer[] = []
    const err: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
    // A process that does not read its input closes it.
    child.stdin.on('error', () => {})
    child.stdin.end(input)
    return new Promise((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (code) => {
        resolve({
          code,
          stdout: Buffer.concat(out).toString(),
          stderr: Buffer.concat(err).toString(),
        })
      })
    })
  }

  /** The stdout of a run that must succeed. */
  async ok(args: readonly string[], options?: RunOptions): Promise<string> {
    const { code, stdout, stderr } = await this.run(args, options)
    if (code !== 0) throw new Error(`cairn ${args.join(' ')} ended with ${code}: ${stderr}`)
    return stdout
  }

  /** The one JSON document that a run with --json prints. */
  async json(args: readonly string[], options?: RunOptions): Promise<Record<string, unknown>> {
    return JSON.parse(await this.ok([...args, '--json'], options)) as Record<string, unknown>
  }

  /** The code of the process and its `exit_error`. */
  async fails(
    args: readonly string[],
    options?: RunOptions,
  ): Promise<{ exit: number | null; code: string; message: string; hint: string }> {
    const { code, stderr } = await this.run([...args, '--json'], options)
    const last = stderr.trimEnd().split('\n').at(-1) ?? ''
    const { exit_error: error } = JSON.parse(last) as {
      exit_error: { code: string; message: string; hint: string }
    }
    return { exit: code, ...error }
  }

  async remove(): Promise<void> {
    await rm(this.#home, { recursive: true, force: true })
  }
}

export function ndjson(text: string): Record<string, unknown>[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

/** What a CID looks like, for shapes. */
export const CID: RegExp = /^baf[a-z2-7]{50,}$/
export const TIME: RegExp = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
