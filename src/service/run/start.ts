/**
 * Starting a service: opens the store, makes the configured dataset if it is missing, puts everything
 * together and listens; and afterwards takes new settings, and ends it.
 */
import { openBackend, replicaPolicy, type StoreOptions } from '../../compose.ts'
import type { Config } from '../../config/resolve.ts'
import type { Values } from '../../config/schema.ts'
import { Cairn } from '../../cairn.ts'
import type { Logger } from '../../engine/logger.ts'
import { CairnError, toCairnError } from '../../errors.ts'
import type { Backend } from '../../store/backend.ts'
import { VERSION } from '../../version.ts'
import { openTokens } from '../access/tokens.ts'
import { assemble } from './assemble.ts'
import { checkListening } from './listening.ts'
import { Metrics } from '../metrics/metrics.ts'
import { reloader } from './reload.ts'
import { createServer, type Server } from '../server.ts'
import type { Service } from '../service.ts'
import { lastSnapshots, shutDown, type Ending } from './shutdown.ts'

export interface StartOptions {
  readonly config: Config
  readonly log: Logger
  readonly now?: () => number
  /** Ends the opening of a store that does not answer. */
  readonly signal?: AbortSignal
}

export interface Started {
  readonly url: string
  readonly service: Service
  /** Takes new settings, tokens and certificates. What does not fit is logged, and nothing changes. */
  readonly reload: (config: Config) => void
  readonly stop: (reason: string) => Promise<Ending>
  /** What can be saved of a process that is about to end by a fault, within so many milliseconds. */
  readonly saveLast: (reason: string, ms: number) => Promise<void>
}

export async function startService(options: StartOptions): Promise<Started> {
  const { log, now = Date.now, signal } = options
  let { config } = options
  const tokens = openTokens({ path: () => config.values.tokens_file, log })
  checkListening(config.values, tokens.any())
  log.info('service.starting', { message: `Cairn ${VERSION}`, version: VERSION, pid: process.pid })
  log.info('service.data', { message: `Data Directory: ${config.values.data_dir}` })

  const metrics = new Metrics({ version: VERSION })
  const opening = storeOptions(config.values, log, signal)
  const backend = await openBackend(config.values.store, opening)
  const draining = new AbortController()
  let app: Server | undefined
  let begun: Service | undefined
  try {
    const { cache_bytes: cacheBytes } = config.values
    const replicas = replicaPolicy(config.values, { ...opening, compat: undefined })
    const { observe } = metrics
    const cairn = new Cairn(backend, { cacheBytes, log, now, observe, replicas })
    await openDataset(cairn, backend, config.values, log)
    const service = assemble({
      backend,
      cairn,
      metrics,
      config: () => config,
      tokens,
      log,
      now,
      draining: draining.signal,
    })
    begun = service
    app = await createServer(service)
    await service.automation.start()
    const url = await listen(app, config.values)
    service.health.start()
    service.samples.start()
    service.heartbeats.start()
    log.info('service.listening', { message: `Server started: ${url}`, url })
    const running = { service, app, drain: () => draining.abort() }
    return {
      url,
      service,
      reload: reloader(
        running,
        () => config,
        (next) => (config = next),
      ),
      stop: (reason) => shutDown(running, reason),
      saveLast: async (reason, ms) => void (await lastSnapshots(service, reason, ms)),
    }
  } catch (error) {
    await app?.close().catch(() => {})
    // What was begun meanwhile ends before its store does.
    await begun?.automation.stop().catch(() => {})
    await begun?.jobs.drain({ deadlineMs: 0 }).catch(() => {})
    await backend.close().catch(() => {})
    throw error
  }
}

function storeOptions(values: Values, log: Logger, signal: AbortSignal | undefined): StoreOptions {
  const { compat, compat_path: path, compat_force, dataset } = values
  return {
    create: true,
    kuboToken: values.kubo_token ?? undefined,
    indexPointerPath: values.index_pointer_path ?? undefined,
    compat:
      compat === 'none'
        ? undefined
        : { shape: compat, path, force: compat_force === 'yes', dataset },
    deadlineMs: values.deadline,
    signal,
    onBackgroundError: (error) => log.error('background.failed', toCairnError(error).toJSON()),
  }
}

/** A store that is only for reading has what it has. */
async function openDataset(
  cairn: Cairn,
  backend: Backend,
  { dataset: name, content, chunk_size, chain_limit }: Values,
  log: Logger,
): Promise<void> {
  const there = (await cairn.datasets()).includes(name)
  if (there || backend.kind === 'car') {
    const { seq, totalCount, recentCount, ts } = await (await cairn.dataset(name)).head()
    log.info('dataset.opened', {
      message: 'Session restored from disk',
      dataset: name,
      seq,
      total_count: totalCount,
      recent_count: recentCount,
      ts: new Date(ts).toISOString(),
    })
    return
  }
  await cairn.init(name, { content, chunkSize: chunk_size, chainLimit: chain_limit })
  log.info('dataset.made', { message: `The dataset "${name}" was made.`, dataset: name, content })
}

async function listen(app: Server, { host, port }: Values): Promise<string> {
  try {
    await app.listen({ host, port })
  } catch (error) {
    throw notListening(error, `${host}, port ${port}`)
  }
  return app.listeningOrigin
}

function notListening(cause: unknown, where: string): CairnError {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  if (code === 'EADDRINUSE') {
    return new CairnError('busy', `Another program listens on ${where} already.`, {
      hint: 'It may be this service, started before; else give another --port.',
      cause,
    })
  }
  if (code === 'EACCES') {
    return new CairnError('access_denied', `This user may not listen on ${where}.`, {
      hint: 'Ports below 1024 are for root: take a higher one, behind a proxy.',
      cause,
    })
  }
  return new CairnError('config', `The service cannot listen on ${where}: ${String(code)}.`, {
    hint: 'Give an address of this machine with --host.',
    cause,
  })
}
