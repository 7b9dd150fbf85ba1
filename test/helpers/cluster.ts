/**
 * A private IPFS Cluster for tests: some Kubo nodes in one swarm, and beside each a peer that tells it what to
 * pin. Loopback only, in temporary folders, with the times in which it notices things made short. A missing
 * binary is a failure, never a reason to skip: it is CLUSTER_BIN, else what scripts/cluster.mjs finds or builds.
 */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { startDaemon } from './daemon.ts'
import { freePort } from './free-port.ts'
import { startKuboNode, type KuboNode } from './kubo-node.ts'

export interface ClusterPeer {
  readonly name: string
  /** Of its REST API. */
  readonly url: string
  readonly node: KuboNode
  /** SIGKILL, to the peer and its node. */
  kill(): Promise<void>
  /** Starts both again. */
  start(): Promise<void>
}

export interface TestCluster {
  readonly peers: readonly ClusterPeer[]
  /** As the setting has it. */
  readonly token: string
  /** What the cluster's own command line says of it, asked through a peer. */
  ctl(peer: ClusterPeer, ...args: readonly string[]): Promise<string>
  dispose(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const run = promisify(execFile)
const USER = 'cairn'

export async function startCluster(size: number): Promise<TestCluster> {
  const binary = await clusterBinary()
  const password = randomBytes(12).toString('hex')
  const [secret, swarmKey] = [randomBytes(32).toString('hex'), randomBytes(32).toString('hex')]
  const folders: string[] = []
  const nodes: KuboNode[] = []
  const peers: (ClusterPeer & { end(): Promise<void> })[] = []
  const dispose = async (): Promise<void> => {
    await Promise.all(peers.map((peer) => peer.end()))
    await Promise.all(nodes.map((node) => node.dispose()))
    await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })))
  }
  try {
    const places: Place[] = []
    for (let n = 1; n <= size; n++) {
      const folder = await mkdtemp(join(tmpdir(), 'cairn-cluster-'))
      folders.push(folder)
      const node = await startKuboNode({ swarmKey })
      nodes.push(node)
      places.push(await makePlace(binary, folder, node, { name: `peer-${n}`, password, secret }))
    }
    const addresses = places.map(({ address }) => `${address}\n`).join('')
    for (const place of places) {
      await writeFile(join(place.folder, 'peerstore'), addresses)
      peers.push(await startPeer(binary, place))
    }
    return {
      peers,
      token: `basic:${USER}:${password}`,
      ctl: async ({ url }, ...args) => {
        const host = `/ip4/127.0.0.1/tcp/${new URL(url).port}`
        const common = ['--host', host, '--basic-auth', `${USER}:${password}`, '--force-http']
        return (await run(await clusterBinary('ctl'), [...common, ...args])).stdout
      },
      dispose,
      [Symbol.asyncDispose]: dispose,
    }
  } catch (error) {
    await dispose()
    throw error
  }
}

async function clusterBinary(...args: string[]): Promise<string> {
  const script = fileURLToPath(new URL('../../scripts/cluster.mjs', import.meta.url))
  const { stdout } = await run(process.execPath, [script, ...args])
  return stdout.trim()
}

interface Place {
  readonly name: string
  readonly folder: string
  readonly node: KuboNode
  readonly url: string
  /** Where other peers find it. */
  readonly address: string
}

interface Naming {
  readonly name: string
  readonly password: string
  readonly secret: string
}

async function makePlace(
  binary: string,
  folder: string,
  node: KuboNode,
  { name, password, secret }: Naming,
): Promise<Place> {
  const env = { ...process.env, IPFS_CLUSTER_PATH: folder }
  await run(binary, ['init', '--consensus', 'crdt', '--datastore', 'leveldb'], { env })
  const [listen, rest] = [await freePort(), await freePort()]
  const config = JSON.parse(await readFile(join(folder, 'service.json'), 'utf8')) as Config
  const { cluster, monitor, informer, ipfs_connector: connector, api } = config
  const made = {
    ...config,
    cluster: {
      ...cluster,
      secret,
      peername: name,
      listen_multiaddress: [`/ip4/127.0.0.1/tcp/${listen}`],
      mdns_interval: '0s',
      monitor_ping_interval: '500ms',
      peer_watch_interval: '500ms',
      dial_peer_timeout: '1s',
    },
    monitor: { pubsubmon: { ...monitor['pubsubmon'], check_interval: '500ms' } },
    informer: {
      disk: { ...informer['disk'], metric_ttl: '1s' },
      tags: { ...informer['tags'], metric_ttl: '1s' },
    },
    ipfs_connector: {
      ipfshttp: {
        ...connector['ipfshttp'],
        node_multiaddress: `/ip4/127.0.0.1/tcp/${new URL(node.url).port}`,
        connect_swarms_delay: '1s',
        pin_timeout: '5s',
      },
    },
    api: {
      restapi: {
        ...api['restapi'],
        http_listen_multiaddress: `/ip4/127.0.0.1/tcp/${rest}`,
        basic_auth_credentials: { [USER]: password },
      },
    },
  }
  await writeFile(join(folder, 'service.json'), JSON.stringify(made), { mode: 0o600 })
  const identity = JSON.parse(await readFile(join(folder, 'identity.json'), 'utf8')) as {
    id: string
  }
  const address = `/ip4/127.0.0.1/tcp/${listen}/p2p/${identity.id}`
  return { name, folder, node, url: `http://127.0.0.1:${rest}`, address }
}

/** `service.json`, as far as it is looked into: sections of components of settings. */
type Config = Readonly<
  Record<'cluster', object> &
    Record<'monitor' | 'informer' | 'ipfs_connector' | 'api', Readonly<Record<string, object>>>
>

async function startPeer(
  binary: string,
  { name, folder, node, url }: Place,
): Promise<ClusterPeer & { end(): Promise<void> }> {
  const begin = (): ReturnType<typeof startDaemon> =>
    startDaemon({
      binary,
      args: ['daemon'],
      env: { ...process.env, IPFS_CLUSTER_PATH: folder, GOMEMLIMIT: '200MiB' },
      folder,
      isReady: () => isListening(url),
    })
  let daemon = await begin()
  const end = (): Promise<void> => daemon.end('SIGKILL')
  return {
    name,
    url,
    node,
    end,
    kill: async () => {
      await Promise.all([end(), node.kill()])
    },
    start: async () => {
      await node.restart()
      daemon = await begin()
    },
  }
}

/** Its API needs no password for this. */
async function isListening(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/health`)).ok
  } catch {
    return false
  }
}
