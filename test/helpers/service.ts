/** A service that really listens, on a free port of this machine, with everything that `cairn serve` has. */
import { onTestFinished } from 'vitest'
import { openMemory } from '../../src/backend/memory.ts'
import { resolveConfig, type Config } from '../../src/config/resolve.ts'
import type { Values } from '../../src/config/schema.ts'
import type { Logger } from '../../src/engine/logger.ts'
import { Cairn } from '../../src/cairn.ts'
import { assemble } from '../../src/service/run/assemble.ts'
import { Metrics } from '../../src/service/metrics/metrics.ts'
import { createServer, type Server, type ServerSettings } from '../../src/service/server.ts'
import type { Service } from '../../src/service/service.ts'
import type { Backend } from '../../src/store/backend.ts'
import { tempDir } from './engine.ts'

export interface ServiceTestOptions extends ServerSettings {
  readonly backend?: Backend
  /** Over the defaults; `data_dir` is a folder of this test's own. */
  readonly values?: Partial<Values>
  readonly now?: () => number
  /** The dataset that is made, with external content unless told otherwise; none with null. */
  readonly init?: Parameters<Cairn['init']>[1] | null
  /** Whether anything starts by itself; unless told otherwise it does. */
  readonly automation?: boolean
}

export interface LogLine {
  readonly level: 'error' | 'info' | 'debug'
  readonly event: string
  readonly fields: Readonly<Record<string, unknown>>
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** The body as JSON; undefined where it is none. */
  readonly json: unknown
}

export interface TestService {
  readonly url: string
  readonly service: Service
  readonly app: Server
  /** All that was logged. */
  readonly lines: readonly LogLine[]
  /** Changes settings, as SIGHUP does. */
  readonly set: (values: Partial<Values>) => void
  /** A body that is no text or bytes is sent as JSON. */
  readonly request: (
    method: string,
    path: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ) => Promise<Answer>
  /** The first step of an end: what is endless ends, and nothing new is let in. */
  readonly drain: () => void
  /** Called by itself when the test has finished. */
  readonly close: () => Promise<void>
}

/** The defaults with `values` over them. */
export async function testConfig(values: Partial<Values> = {}): Promise<Config> {
  const dir = values.data_dir ?? (await tempDir())
  // The defaults of the thresholds follow it.
  const limit = values.chain_limit === undefined ? {} : { chain_limit: String(values.chain_limit) }
  const config = await resolveConfig({ flags: { data_dir: dir, ...limit }, env: {}, cwd: dir })
  return { ...config, values: { ...config.values, port: 0, ...values } }
}

export async function startService(options: ServiceTestOptions = {}): Promise<TestService> {
  let config = await testConfig(options.values)
  const { now = Date.now, backend = openMemory(), init = {} } = options
  const lines: LogLine[] = []
  const log = collectingLog(lines)
  const drain = new AbortController()
  const metrics = new Metrics({ version: 'test' })
  const cairn = new Cairn(backend, { now, log, observe: metrics.observe })
  if (init !== null) await cairn.init(config.values.dataset, { content: 'external', ...init })
  const service = assemble({
    backend,
    cairn,
    metrics,
    config: () => config,
    log,
    now,
    draining: drain.signal,
  })
  const app = await createServer(service, options)
  if (options.automation !== false) await service.automation.start()
  await app.listen({ host: '127.0.0.1', port: 0 })
  const url = `http://127.0.0.1:${portOf(app)}`
  let closed: Promise<void> | undefined
  const close = (): Promise<void> => {
    closed ??= (async () => {
      drain.abort()
      app.server.closeAllConnections()
      await app.close()
      await service.automation.stop()
      await service.health.stop()
      await service.jobs.drain({ deadlineMs: 2000 })
      await cairn.close()
    })()
    return closed
  }
  onTestFinished(close)
  return {
    url,
    service,
    app,
    lines,
    set: (changed) => {
      config = { ...config, values: { ...config.values, ...changed } }
    },
    request: (method, path, body, headers) => request(`${url}${path}`, method, body, headers),
    drain: () => drain.abort(),
    close,
  }
}

function portOf(app: Server): number {
  const address = app.server.address()
  if (address === null || typeof address === 'string') throw new Error('it does not listen')
  return address.port
}

function collectingLog(lines: LogLine[]): Logger {
  const note =
    (level: LogLine['level']) =>
    (event: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      lines.push({ level, event, fields })
    }
  return { info: note('info'), error: note('error'), debug: note('debug') }
}

export async function request(
  url: string,
  method: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const raw = typeof body === 'string' || body instanceof Uint8Array
  const type = body === undefined || raw ? {} : { 'content-type': 'application/json' }
  const response = await fetch(url, {
    method,
    headers: { ...type, ...headers },
    ...(body === undefined ? {} : { body: raw ? (body as string) : JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, headers: response.headers, text, json: jsonOf(text) }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
