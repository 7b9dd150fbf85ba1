/**
 * A client of gateways that is none of Cairn's: the Go program in tools/gateway-client, on IPFS's own library. It
 * is built into a cache outside the checkout, once for each of its versions.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { goProgram } from './go-program.ts'

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
export const gatewayClient = (): Promise<string> => goProgram('gateway-client', SOURCES)

/** What it got; rejects with what it said when it believed something not. */
export async function fetchWithClient(args: readonly string[], token = ''): Promise<Fetched> {
  const env = { ...process.env, GATEWAY_TOKEN: token }
  const { stdout } = await run(await gatewayClient(), [...args], { env, maxBuffer: 16 << 20 })
  return JSON.parse(stdout) as Fetched
}
