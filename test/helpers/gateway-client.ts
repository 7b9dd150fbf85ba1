/**
 * A client of gateways that is none of Cairn's: the Go program in tools/gateway-client, on IPFS's own library. It
 * is built into a cache outside the checkout, once for each of its versions.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { access, mkdir, readdir, readFile, rename } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const SOURCES = fileURLToPath(new URL('../../tools/gateway-client', import.meta.url))

export interface Fetched {
  readonly blocks: number
  readonly bytes: number
  readonly roots?: readonly string[]
  readonly cids?: readonly string[]
  /** Of the bytes of a file. */
  readonly sha256?: string
}

/** The path of the program; building it may take minutes. */
export async function gatewayClient(): Promise<string> {
  const hash = createHash('sha256')
  for (const name of (await readdir(SOURCES)).toSorted())
    hash.update(await readFile(join(SOURCES, name)))
  const version = hash.digest('hex').slice(0, 12)
  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'cairn')
  const path = join(cache, `gateway-client-${version}-${process.platform}-${process.arch}`)
  const there = await access(path).then(
    () => true,
    () => false,
  )
  if (there) return path
  await mkdir(cache, { recursive: true })
  const fresh = `${path}.${process.pid}`
  await run('go', ['build', '-mod=readonly', '-o', fresh, '.'], { cwd: SOURCES })
  await rename(fresh, path)
  return path
}

/** What it got; rejects with what it said when it believed something not. */
export async function fetchWithClient(args: readonly string[], token = ''): Promise<Fetched> {
  const env = { ...process.env, GATEWAY_TOKEN: token }
  const { stdout } = await run(await gatewayClient(), [...args], { env, maxBuffer: 16 << 20 })
  return JSON.parse(stdout) as Fetched
}
