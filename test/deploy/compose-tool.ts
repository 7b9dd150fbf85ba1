/**
 * What Compose's own loader and Docker's own parser make of the deployment files. Both are libraries of the
 * Go program in tools/compose, which is built into a cache outside the checkout, once for each of its versions.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { goProgram } from '../helpers/go-program.ts'

const run = promisify(execFile)
const SOURCES = fileURLToPath(new URL('../../tools/compose', import.meta.url))
export const ROOT: string = fileURLToPath(new URL('../..', import.meta.url))

export interface ComposeService {
  readonly image: string
  readonly user?: string
  readonly command: readonly string[] | null
  readonly environment?: Readonly<Record<string, string | null>>
  readonly ports?: readonly { host_ip?: string; published: string; target: number }[]
  readonly networks?: Readonly<Record<string, unknown>> | null
  readonly volumes?: readonly {
    type: string
    source: string
    target: string
    read_only?: boolean
  }[]
  readonly depends_on?: Readonly<Record<string, { condition: string; required: boolean }>>
  readonly mem_limit?: string
  readonly stop_grace_period?: string
  readonly healthcheck?: { test?: readonly string[]; disable?: boolean }
  readonly cap_drop?: readonly string[]
  readonly privileged?: boolean
  readonly read_only?: boolean
  readonly security_opt?: readonly string[]
  readonly logging?: { driver: string; options: Readonly<Record<string, string>> }
  readonly restart?: string
  readonly network_mode?: string
  readonly group_add?: readonly string[]
}

export interface Project {
  readonly project: {
    readonly services: Readonly<Record<string, ComposeService>>
    readonly networks: Readonly<Record<string, { internal?: boolean }>>
  }
  /** What the file interpolates, with the defaults. */
  readonly variables: Readonly<Record<string, string>>
  /** What it hands on to a service under its own name. */
  readonly passed: readonly string[]
}

export interface Dockerfile {
  readonly stages: readonly { name: string; from: string; commands: readonly string[] }[]
  readonly warnings: readonly string[]
}

let built: Promise<string> | undefined

const tool = (): Promise<string> => goProgram('compose', SOURCES)

async function ask(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<unknown> {
  const path = await (built ??= tool())
  // Nothing of whoever runs the tests counts.
  const { PATH = '' } = process.env
  const { stdout } = await run(path, [...args], {
    env: { PATH, ...env },
    maxBuffer: 16 << 20,
  })
  return JSON.parse(stdout)
}

/** As `docker compose config` would: a file, profiles, the variables of the environment; `.env` beside the file counts. */
export async function readProject(
  file: string,
  profiles: readonly string[] = [],
  env: NodeJS.ProcessEnv = {},
): Promise<Project> {
  return (await ask(['project', file, ...profiles], env)) as Project
}

export async function readDockerfile(file: string): Promise<Dockerfile> {
  return (await ask(['image', file])) as Dockerfile
}
