/**
 * A private Kubo node for tests: its own repository in a temporary folder, loopback only, no peers but
 * those of its own test, nothing announced. A missing node is a failure, never a reason to skip.
 *
 * With KUBO_API set, `startKuboNode()` without options attaches to that node instead, which cannot be
 * stopped, and must be one for tests only: they empty /cairn on it. The binary is KUBO_BIN, else what scripts/kubo.mjs finds or builds.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Backend } from '../../src/store/backend.ts'
import { startDaemon, type Daemon } from './daemon.ts'
import { freePort } from './free-port.ts'

export interface KuboNodeOptions {
  /** Whether flatfs syncs every block. */
  readonly sync?: boolean
  /** `ipfs daemon --offline`: pins then fail at once where a block is missing. */
  readonly offline?: boolean
  /** `API.Authorizations` of the node's config. */
  readonly authorizations?: Readonly<Record<string, unknown>>
  /** A swarm of those nodes that have this key (64 hexadecimal digits); without, it has no peers. */
  readonly swarmKey?: string
}

export interface KuboNode {
  readonly url: string
  /** Asks the node to end, and waits. */
  stop(): Promise<void>
  /** SIGKILL. */
  kill(): Promise<void>
  /** Starts it again at the same address; ends it first if it runs. */
  restart(): Promise<void>
  /** Kills it and removes its repository. */
  dispose(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const run = promisify(execFile)

export async function startKuboNode(options: KuboNodeOptions = {}): Promise<KuboNode> {
  const attached = process.env['KUBO_API']
  if (attached !== undefined && Object.keys(options).length === 0) return attachedNode(attached)
  const binary = await kuboBinary()
  const home = await mkdtemp(join(tmpdir(), 'cairn-kubo-'))
  const env = { ...process.env, IPFS_PATH: home, IPFS_TELEMETRY: 'off' }
  await run(binary, ['init', '--empty-repo', '--algorithm=ed25519'], { env })
  const swarm = options.swarmKey === undefined ? [] : await joinSwarm(home, options.swarmKey)
  await editConfig(home, (config) => privateConfig(config, swarm, options))
  let daemon = await begin(binary, home, env, options)
  const url = await apiUrl(home)
  const port = new URL(url).port
  await editConfig(home, (config) => ({
    ...config,
    Addresses: { ...(config['Addresses'] as object), API: `/ip4/127.0.0.1/tcp/${port}` },
  }))
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    await daemon.end(signal)
    await rm(join(home, 'api'), { force: true })
  }
  const dispose = async (): Promise<void> => {
    await end('SIGKILL')
    await rm(home, { recursive: true, force: true })
  }
  return {
    url,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    restart: async () => {
      await end('SIGTERM')
      daemon = await begin(binary, home, env, options)
    },
    dispose,
    [Symbol.asyncDispose]: dispose,
  }
}

/** Asks a node without Cairn's code. The answer's text; throws what the node refuses. */
export async function askNode(
  url: string,
  command: string,
  query: Record<string, string> | [string, string][] = {},
): Promise<string> {
  const search = new URLSearchParams(query).toString()
  const response = await fetch(`${url}/api/v0/${command}?${search}`, { method: 'POST' })
  const text = await response.text()
  if (!response.ok) throw new Error(text)
  return text
}

/** A backend that is closed where its block ends. */
export const closing = (backend: Backend): Backend & AsyncDisposable =>
  Object.assign(backend, { [Symbol.asyncDispose]: () => backend.close() })

export async function kuboBinary(): Promise<string> {
  const given = process.env['KUBO_BIN']
  if (given !== undefined && given !== '') return given
  const script = fileURLToPath(new URL('../../scripts/kubo.mjs', import.meta.url))
  const { stdout } = await run(process.execPath, [script])
  return stdout.trim()
}

type Config = Record<string, unknown>

async function editConfig(home: string, edit: (config: Config) => Config): Promise<void> {
  const path = join(home, 'config')
  const config = edit(JSON.parse(await readFile(path, 'utf8')) as Config)
  await writeFile(path, JSON.stringify(config), { mode: 0o600 })
}

/** Its addresses in a swarm whose other nodes have the same key: it takes no connection without. */
async function joinSwarm(home: string, key: string): Promise<string[]> {
  const file = `/key/swarm/psk/1.0.0/\n/base16/\n${key}\n`
  await writeFile(join(home, 'swarm.key'), file, { mode: 0o600 })
  return [`/ip4/127.0.0.1/tcp/${await freePort()}`]
}

function privateConfig(
  config: Config,
  swarm: readonly string[],
  { sync = false, authorizations }: KuboNodeOptions,
): Config {
  const datastore = config['Datastore'] as { Spec: { mounts: Config[] } }
  const mounts = datastore.Spec.mounts.map((mount) =>
    mount['type'] === 'flatfs' ? { ...mount, sync } : mount,
  )
  return {
    ...config,
    Addresses: { Swarm: swarm, API: '/ip4/127.0.0.1/tcp/0', Gateway: [] },
    API: authorizations === undefined ? {} : { Authorizations: authorizations },
    AutoConf: { Enabled: false },
    AutoTLS: { Enabled: false },
    Bootstrap: [],
    // A node writes over a damaged block only once it has forgotten that it has it: here soon.
    Datastore: {
      ...datastore,
      BlockKeyCacheSize: 2048,
      Spec: { ...datastore.Spec, mounts },
    },
    Discovery: { MDNS: { Enabled: false } },
    DNS: { Resolvers: {} },
    Ipns: { DelegatedPublishers: [] },
    Plugins: { Plugins: { telemetry: { Disabled: true } } },
    Provide: { Enabled: false },
    Routing: { Type: 'none' },
    Swarm: {
      DisableNatPortMap: true,
      RelayClient: { Enabled: false },
      RelayService: { Enabled: false },
      // Only TCP knows keys of swarms.
      Transports: {
        Network: { QUIC: false, Websocket: false, WebTransport: false, WebRTCDirect: false },
      },
    },
  }
}

function begin(
  binary: string,
  home: string,
  env: NodeJS.ProcessEnv,
  { offline = false }: KuboNodeOptions,
): Promise<Daemon> {
  const args = ['daemon', ...(offline ? ['--offline'] : [])]
  const isReady = (log: string): boolean => log.includes('Daemon is ready')
  return startDaemon({ binary, args, env, folder: home, isReady })
}

async function apiUrl(home: string): Promise<string> {
  const address = (await readFile(join(home, 'api'), 'utf8')).trim()
  const port = /^\/ip4\/127\.0\.0\.1\/tcp\/(\d+)$/.exec(address)?.[1]
  if (port === undefined) throw new Error(`The Kubo node listens on ${address}.`)
  return `http://127.0.0.1:${port}`
}

function attachedNode(url: string): KuboNode {
  const refuse = (): Promise<void> =>
    Promise.reject(new Error('The node of KUBO_API is not ours to stop.'))
  const dispose = (): Promise<void> => Promise.resolve()
  return {
    url,
    stop: refuse,
    kill: refuse,
    restart: refuse,
    dispose,
    [Symbol.asyncDispose]: dispose,
  }
}
