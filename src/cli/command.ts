/** What a command is, and what it is given when it runs. */
import type { Command } from 'commander'
import type { StoreOptions } from '../compose.ts'
import type { Config } from '../config/resolve.ts'
import type { Values } from '../config/schema.ts'
import type { Cairn } from '../cairn.ts'
import type { LongOptions } from '../engine/context.ts'
import type { Logger } from '../engine/logger.ts'
import type { Dataset } from '../engine/dataset.ts'
import type { Backend } from '../store/backend.ts'
import type { Options } from './options.ts'
import type { Output } from './output.ts'
import type { ProgressReporter } from './progress.ts'

export interface CommandContext {
  readonly config: Config
  /** Resolves the settings again, from what the flags, the environment and the files say now. */
  readonly reloadConfig: () => Promise<Config>
  readonly output: Output
  readonly progress: ProgressReporter
  readonly log: Logger
  readonly signal: AbortSignal
  readonly args: readonly string[]
  readonly options: Options
}

/** How a command is found and listed; the rest is loaded when it is called. */
export interface CommandEntry {
  readonly name: string
  readonly alias?: string
  readonly group: string
  readonly summary: string
  readonly load: () => Promise<CommandSpec>
}

export interface CommandSpec {
  /** Each a command line and what it does. */
  readonly examples: readonly (readonly [string, string])[]
  /** Changes something: then a reader of its output that goes away does not stop it. */
  readonly writes?: boolean
  /** Arguments and options. */
  readonly define: (command: Command) => void
  /** Commands of its own, by a second name; `run` is then for calls without one. */
  readonly tools?: readonly CommandEntry[]
  readonly run: (context: CommandContext) => Promise<void>
}

export function longOptions({ signal, progress }: CommandContext): LongOptions {
  return { signal, onProgress: progress.update }
}

/** A node that does not answer is asked again for a while: after this, people are told why it takes long. */
const SLOW_OPEN_MS = 2000

/** Opens the configured store, or another one, for `use` and closes it whatever happens. */
export async function withStore<T>(
  context: CommandContext,
  create: boolean,
  use: (cairn: Cairn, backend: Backend) => Promise<T>,
  other?: string,
): Promise<T> {
  const { config, log, signal } = context
  const { openBackend, replicaPolicy } = await import('../compose.ts')
  const engine = await import('../cairn.ts')
  const { values } = config
  const store = other ?? values.store
  const waiting = setTimeout(() => {
    context.output.note(`waiting for ${store} to answer; it may be starting`)
  }, SLOW_OPEN_MS)
  const options = {
    kuboToken: values.kubo_token ?? undefined,
    indexPointerPath: values.index_pointer_path ?? undefined,
    deadlineMs: values.deadline,
    signal,
    onBackgroundError: (error: unknown) =>
      log.error('background.failed', {
        message: error instanceof Error ? error.message : String(error),
      }),
  }
  const compat = other === undefined ? compatOf(values) : undefined
  const backend = await openBackend(store, { ...options, create, compat }).finally(() =>
    clearTimeout(waiting),
  )
  const replicas = other === undefined ? replicaPolicy(values, options) : undefined
  const cairn = new engine.Cairn(backend, { cacheBytes: values.cache_bytes, log, replicas })
  try {
    return await use(cairn, backend)
  } finally {
    await cairn.close()
  }
}

function compatOf({ compat, compat_path, compat_force, dataset }: Values): StoreOptions['compat'] {
  if (compat === 'none') return undefined
  return { shape: compat, path: compat_path, force: compat_force === 'yes', dataset }
}

/** The configured dataset, which must exist. */
export function readDataset<T>(
  context: CommandContext,
  use: (dataset: Dataset) => Promise<T>,
): Promise<T> {
  return withStore(context, false, async (cairn) =>
    use(await cairn.dataset(context.config.values.dataset)),
  )
}

/** The configured dataset, made with the configured settings if it does not exist. */
export function writeDataset<T>(
  context: CommandContext,
  use: (dataset: Dataset) => Promise<T>,
): Promise<T> {
  const { dataset, content, chunk_size, chain_limit } = context.config.values
  return withStore(context, true, async (cairn) => {
    if (await isThere(cairn, dataset)) return use(await cairn.dataset(dataset))
    const made = await cairn.init(dataset, {
      content,
      chunkSize: chunk_size,
      chainLimit: chain_limit,
    })
    return use(made.dataset)
  })
}

async function isThere(cairn: Cairn, dataset: string): Promise<boolean> {
  return (await cairn.datasets()).includes(dataset)
}
