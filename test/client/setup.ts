/** A service with linked content, a proxy before it, and a client of that. */
import { connect, type ConnectOptions, type DatasetClient } from '../../src/client/index.ts'
import { startFaultProxy, type Fate, type FaultProxy } from '../helpers/fault-proxy.ts'
import { startService, type ServiceTestOptions, type TestService } from '../helpers/service.ts'

export interface Setup {
  readonly service: TestService
  readonly proxy: FaultProxy
  readonly main: DatasetClient
  /** The fates of the next requests that `match`; the others pass. */
  readonly next: (match: string, ...fates: Fate[]) => void
  readonly client: (options?: Partial<ConnectOptions>) => DatasetClient
}

export async function setup(options: ServiceTestOptions = {}): Promise<Setup> {
  const service = await startService({
    automation: false,
    init: { content: 'linked' },
    ...options,
  })
  const plans: [string, Fate[]][] = []
  const proxy = await startFaultProxy(
    () => service.url,
    (call) =>
      plans.find(([match, left]) => call.includes(match) && left.length > 0)?.[1].shift() ?? 'pass',
  )
  const client: Setup['client'] = (more) =>
    connect({ url: proxy.url, timeoutMs: 2000, deadlineMs: 20_000, ...more }).dataset('main')
  const next: Setup['next'] = (match, ...fates) => void plans.push([match, fates])
  return { service, proxy, next, client, main: client() }
}

export async function bytesOf(stream: ReadableStream<Uint8Array>): Promise<Buffer> {
  return Buffer.from(await new Response(stream).arrayBuffer())
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const one of items) all.push(one)
  return all
}
