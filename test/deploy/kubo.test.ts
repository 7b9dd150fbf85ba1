/**
 * scripts/kubo-init.sh on a real node, as the image of Kubo runs it: the node is private and syncs, and Cairn
 * saves and exports on it.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import {
  access,
  chmod,
  cp,
  mkdir,
  mkdtemp,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { askNode, kuboBinary } from '../helpers/kubo-node.ts'
import { freePort } from '../helpers/free-port.ts'
import { until } from '../helpers/served.ts'
import { Sandbox } from '../cli/sandbox.ts'
import { readProject, ROOT, type ComposeService } from './compose-tool.ts'

const run = promisify(execFile)
const SCRIPT = join(ROOT, 'scripts/kubo-init.sh')

interface Config {
  readonly Addresses: { Swarm: string[]; API: string; Gateway: string[] }
  readonly Datastore: { Spec: { mounts: { type: string; sync?: boolean }[] } }
  readonly [section: string]: unknown
}

let dir: string
let composed: ComposeService

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cairn-kubo-init-'))
  await mkdir(join(dir, 'bin'))
  await symlink(await kuboBinary(), join(dir, 'bin', 'ipfs'))
  const { project } = await readProject(join(ROOT, 'docker-compose.yml'), ['kubo'], {
    COMPOSE_DISABLE_ENV_FILE: '1',
  })
  composed = project.services['ipfs'] as ComposeService
})

afterAll(() => rm(dir, { recursive: true, force: true }))

interface Node {
  readonly repo: string
  readonly port: number
  ipfs(...args: readonly string[]): Promise<string>
  init(): Promise<string>
  config(): Promise<Config>
  start(): Promise<ChildProcess>
}

/** What the entrypoint of the image does: a repository, its two addresses, then the scripts, then the daemon. */
async function container(name: string): Promise<Node> {
  const repo = join(dir, name)
  const port = await freePort()
  const given = Object.entries(composed.environment ?? {})
  const env = {
    ...Object.fromEntries(given.filter((one): one is [string, string] => one[1] !== null)),
    PATH: `${join(dir, 'bin')}:/usr/bin:/bin`,
    HOME: dir,
    IPFS_PATH: repo,
    KUBO_API: `/ip4/127.0.0.1/tcp/${port}`,
  }
  const ipfs = async (...args: readonly string[]): Promise<string> =>
    (await run('ipfs', [...args], { env })).stdout
  await ipfs('init', '--profile=server')
  await ipfs('config', 'Addresses.API', '/ip4/0.0.0.0/tcp/5001')
  await ipfs('config', 'Addresses.Gateway', '/ip4/0.0.0.0/tcp/8080')
  return {
    repo,
    port,
    ipfs,
    init: async () => (await run('sh', [SCRIPT], { env })).stdout,
    config: async () => JSON.parse(await readFile(join(repo, 'config'), 'utf8')) as Config,
    start: async () => {
      const args = (composed.command ?? []).map(String)
      const child = spawn('ipfs', args, { env, stdio: ['ignore', 'pipe', 'inherit'] })
      onTestFinished(() => void child.kill('SIGKILL'))
      let log = ''
      child.stdout.on('data', (part: Buffer) => (log += part.toString()))
      await until(() => log.includes('Daemon is ready') || child.exitCode !== null)
      expect(log).toContain('Swarm not listening')
      return child
    },
  }
}

function expectPrivate(config: Config, port: number): void {
  expect(config).toMatchObject({
    Addresses: { Swarm: [], API: `/ip4/127.0.0.1/tcp/${port}`, Gateway: [] },
    AutoConf: { Enabled: false },
    AutoTLS: { Enabled: false },
    Bootstrap: [],
    Discovery: { MDNS: { Enabled: false } },
    DNS: { Resolvers: {} },
    Gateway: { NoFetch: true },
    HTTPRetrieval: { Enabled: false },
    Ipns: { DelegatedPublishers: [] },
    Peering: { Peers: [] },
    Plugins: { Plugins: { telemetry: { Disabled: true } } },
    Provide: { Enabled: false },
    Routing: { Type: 'none' },
    Swarm: {
      DisableNatPortMap: true,
      RelayClient: { Enabled: false },
      RelayService: { Enabled: false },
    },
  })
  const flatfs = config.Datastore.Spec.mounts.filter(({ type }) => type === 'flatfs')
  expect(flatfs.map(({ sync }) => sync)).toEqual([true])
}

test('a node of the image becomes private and synced, and stays so whatever is changed', async () => {
  const node = await container('config')
  const before = await node.config()
  expect(before.Addresses.Swarm.length).toBeGreaterThan(0)
  expect(before.Datastore.Spec.mounts.map(({ sync }) => sync)).toContain(false)
  expect(await node.init()).toContain('private, and synced')
  expectPrivate(await node.config(), node.port)
  const key = await readFile(join(node.repo, 'swarm.key'), 'utf8')
  expect(key).toMatch(/^\/key\/swarm\/psk\/1\.0\.0\/\n\/base16\/\n[0-9a-f]{64}\n$/)
  expect((await stat(join(node.repo, 'swarm.key'))).mode & 0o777).toBe(0o600)

  const text = await readFile(join(node.repo, 'config'), 'utf8')
  await node.init()
  expect(await readFile(join(node.repo, 'config'), 'utf8')).toBe(text)
  await node.ipfs('config', '--json', 'Bootstrap', '["auto"]')
  await node.ipfs('config', '--json', 'Routing.Type', '"auto"')
  await node.ipfs('config', '--json', 'Addresses.Swarm', '["/ip4/0.0.0.0/tcp/4001"]')
  await node.init()
  expectPrivate(await node.config(), node.port)
  expect(await readFile(join(node.repo, 'swarm.key'), 'utf8')).toBe(key)
})

test('one that was public, told others what it has and let every page in, does so no more', async () => {
  const node = await container('public')
  const file = join(node.repo, 'config')
  const policies = { MFS: { Enable: true, PinName: 'all', RepinInterval: '1m' } }
  const api = { Endpoint: 'https://pin.example/psa', Key: 'key' }
  const config = {
    ...(await node.config()),
    API: { HTTPHeaders: { 'Access-Control-Allow-Origin': ['*'] } },
    Pinning: {
      RemoteServices: { first: { API: api, Policies: policies }, 'second-one': { API: api } },
    },
  }
  await writeFile(file, JSON.stringify(config))
  await node.init()
  expectPrivate(await node.config(), node.port)
  const { API, Pinning } = (await node.config()) as unknown as {
    API: { HTTPHeaders: object }
    Pinning: { RemoteServices: Record<string, { Policies: typeof policies }> }
  }
  expect(API.HTTPHeaders).toEqual({})
  const told = Object.values(Pinning.RemoteServices).map(({ Policies }) => Policies.MFS.Enable)
  expect(told).toEqual([false, false])
})

test('Cairn saves and exports on it, and says that it is synced', async () => {
  const node = await container('works')
  await node.init()
  const daemon = await node.start()
  const url = `http://127.0.0.1:${node.port}`
  // What the health check of Compose asks, and whom it talks to.
  const check = composed.healthcheck?.test ?? []
  expect(check.slice(1, 2)).toEqual(['ipfs'])
  const asked = check.slice(2).map((word) => word.replace('5001', String(node.port)))
  await node.ipfs(...asked)
  await expect(askNode(url, 'swarm/peers')).rejects.toThrow('online')

  const box = await Sandbox.make()
  onTestFinished(() => box.remove())
  const env = { CAIRN_STORE: `kubo:${url}` }
  const input = Array.from({ length: 300 }, (_, i) => `{"pi":"e${i}","value":${i}}\n`).join('')
  await box.ok(['import', '-'], { env, input })
  await box.ok(['build-snapshot'], { env })
  expect(await box.json(['status'], { env })).toMatchObject({ total_count: 300, synced: true })
  const { path } = (await box.json(['export-car'], { env })) as { path: string }
  await box.ok(['car', 'verify', path])
  expect((await box.json(['doctor'], { env }))['healthy']).toBe(true)

  daemon.kill('SIGTERM')
  await once(daemon, 'exit')
  await node.start()
  expect(await box.json(['status'], { env })).toMatchObject({ total_count: 300 })
})

test('without a repository, or with one that cannot be changed, it fails and says so', async () => {
  const env = { PATH: `${join(dir, 'bin')}:/usr/bin:/bin`, HOME: dir }
  const alone = run('sh', [SCRIPT], { env: { ...env, IPFS_PATH: join(dir, 'none') } })
  await expect(alone).rejects.toThrow('no repository')
  const node = await container('refusing')
  // Everything works but one setting.
  const fake = join(dir, 'refusing-bin')
  await mkdir(fake)
  await cp(join(dir, 'bin', 'ipfs'), join(fake, 'real'), { verbatimSymlinks: true })
  await writeFile(
    join(fake, 'ipfs'),
    `#!/bin/sh\ncase "$*" in *Provide.Enabled*) exit 1 ;; esac\nexec "${join(fake, 'real')}" "$@"\n`,
  )
  await chmod(join(fake, 'ipfs'), 0o755)
  const refused = run('sh', [SCRIPT], {
    env: { ...env, PATH: `${fake}:/usr/bin:/bin`, IPFS_PATH: node.repo },
  })
  await expect(refused).rejects.toThrow('Provide.Enabled cannot be set')
})

test('the script is run by the image where it is mounted', async () => {
  const { volumes = [] } = composed
  const mount = volumes.find(({ target }) => target.startsWith('/container-init.d/'))
  expect(mount).toMatchObject({ type: 'bind', read_only: true, source: SCRIPT })
  expect(mount?.target).toMatch(/\.sh$/)
  await access(SCRIPT)
})
