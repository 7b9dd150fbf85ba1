/** A Kubo node of its own, offline, synced: `ipfs dag import` and `ipfs dag export` of the CAR that Cairn wrote. */
import { execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { syncNew } from '../files.mjs'

const BINARY = process.env.KUBO_BIN ?? 'ipfs'
const run = promisify(execFile)

export const version = () =>
  execFileSync(BINARY, ['version', '--number'], { encoding: 'utf8' }).trim()

/** `car` is a file with the root `root`. */
export async function openNode(dir) {
  const home = join(dir, 'ipfs')
  await mkdir(home)
  const env = { ...process.env, IPFS_PATH: home, IPFS_TELEMETRY: 'off' }
  await run(BINARY, ['init', '--empty-repo', '--algorithm=ed25519'], { env })
  await configure(join(home, 'config'))
  const daemon = spawn(BINARY, ['daemon', '--offline'], { env, stdio: 'ignore' })
  const end = () => daemon.kill('SIGKILL')
  process.once('exit', end)
  await untilAnswers(home, daemon)
  const command = (args, stdout = 'ignore') =>
    ipfs(args, { env, stdio: ['ignore', stdout, 'inherit'] })
  return {
    importCar: (car) => command(['dag', 'import', '--', car]),
    async exportCar(root, path) {
      const file = await open(path, 'w')
      await command(['dag', 'export', '--progress=false', '--', root], file.fd)
      await file.close()
      await syncNew(path)
    },
    async close() {
      process.removeListener('exit', end)
      daemon.kill('SIGTERM')
      await once(daemon, 'exit')
    },
  }
}

async function configure(path) {
  const config = JSON.parse(await readFile(path, 'utf8'))
  for (const mount of config.Datastore.Spec.mounts ?? [])
    if (mount.type === 'flatfs') mount.sync = true
  Object.assign(config, {
    Addresses: { Swarm: [], API: '/ip4/127.0.0.1/tcp/0', Gateway: [] },
    AutoConf: { Enabled: false },
    AutoTLS: { Enabled: false },
    Bootstrap: [],
    Discovery: { MDNS: { Enabled: false } },
    DNS: { Resolvers: {} },
    Ipns: { DelegatedPublishers: [] },
    Plugins: { Plugins: { telemetry: { Disabled: true } } },
    Provide: { Enabled: false },
    Routing: { Type: 'none' },
  })
  await writeFile(path, JSON.stringify(config))
}

async function untilAnswers(home, daemon) {
  for (;;) {
    if (daemon.exitCode !== null) throw new Error(`ipfs daemon ended with ${daemon.exitCode}`)
    const address = await readFile(join(home, 'api'), 'utf8').catch(() => '')
    const [, host, port] = /ip4\/([\d.]+)\/tcp\/(\d+)/.exec(address) ?? []
    const answer =
      host &&
      (await fetch(`http://${host}:${port}/api/v0/id`, { method: 'POST' }).catch(() => null))
    if (answer?.ok) return
    await sleep(20)
  }
}

async function ipfs(args, options) {
  const child = spawn(BINARY, args, options)
  const [code] = await once(child, 'exit')
  if (code !== 0) throw new Error(`ipfs ${args.slice(0, 2).join(' ')} ended with ${code}`)
}
