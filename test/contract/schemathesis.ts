/** Runs schemathesis against a service, with its seed, every check and every phase. */
import { spawn, spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { World } from './world.ts'

export interface RunOptions {
  readonly seed: number
  /** Requests that are made up for each operation, beside those that its schemas suggest. */
  readonly examples: number
  /** Only these operations; all unless given. */
  readonly only?: readonly string[]
  readonly onText?: (text: string) => void
}

export interface Outcome {
  readonly passed: boolean
  readonly text: string
}

const SETTINGS = 'test/contract/schemathesis.toml'
const HOOKS = 'test/contract'

/** Paths are those of the project, so that is where it runs. */
export async function runSchemathesis(world: World, options: RunOptions): Promise<Outcome> {
  // What it remembers of a run would change the next one.
  const home = await mkdtemp(join(tmpdir(), 'cairn-schemathesis-'))
  try {
    return await run(
      argumentsOf(world, options),
      { ...knownTo(world), HOME: home },
      options.onText ?? ((): void => {}),
    )
  } finally {
    await rm(home, { recursive: true, force: true })
  }
}

function argumentsOf({ url, token }: World, options: RunOptions): string[] {
  const { seed, examples, only = [] } = options
  const access =
    token === undefined
      ? // Without a token in its file the service is open to its machine, whatever a request brings.
        ['--exclude-checks', 'ignored_auth', '--generation-with-security-parameters', 'false']
      : ['--header', `Authorization: Bearer ${token}`]
  return [
    '-m',
    'schemathesis.cli',
    '--config-file',
    SETTINGS,
    '--no-color',
    'run',
    `${url}/openapi.json`,
    '--url',
    url,
    '--seed',
    String(seed),
    '--max-examples',
    String(examples),
    ...access,
    ...only.flatMap((id) => ['--include-operation-id', id]),
  ]
}

function knownTo({ known: { backup, cid, job } }: World): Record<string, string> {
  return { CONTRACT_BACKUP: backup, CONTRACT_CID: cid, CONTRACT_JOB: job }
}

function run(
  args: readonly string[],
  env: Record<string, string>,
  onText: (text: string) => void,
): Promise<Outcome> {
  const child = spawn('python3', [...args], {
    env: {
      PATH: process.env['PATH'],
      ...env,
      PYTHONPATH: `${folder()}:${HOOKS}`,
      PYTHONDONTWRITEBYTECODE: '1',
      SCHEMATHESIS_HOOKS: 'hooks',
    },
  })
  let text = ''
  const take = (part: Buffer): void => {
    text += part.toString()
    onText(part.toString())
  }
  child.stdout.on('data', take)
  child.stderr.on('data', take)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ passed: code === 0, text }))
  })
}

function folder(): string {
  const found = spawnSync(process.execPath, ['scripts/schemathesis.mjs'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (found.status !== 0) throw new Error('There is no schemathesis.')
  return found.stdout.trim()
}
