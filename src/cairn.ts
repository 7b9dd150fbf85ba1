/** Cairn: an opened store, its datasets and its live maps. */
import { randomBytes } from 'node:crypto'
import { CairnError } from './errors.ts'
import type { Backend, CallOptions, CompactedSizes, StoreStatus } from './store/backend.ts'
import { NodeStore } from './tree/node-store.ts'
import { REAL_TIMERS, type Context, type LongOptions, type Timers } from './engine/context.ts'
import { SILENT, type Logger } from './engine/logger.ts'
import { Dataset, type DatasetOptions } from './engine/dataset.ts'
import { fallBack, type FallBackOptions, type FallBackReport } from './engine/fall-back.ts'
import { createDataset, parseDatasetName, type InitOptions } from './engine/genesis.ts'
import { guarded, secondsSince, type Observe } from './engine/observe.ts'
import { Pointer } from './engine/pointer.ts'
import type { SyncTarget } from './engine/replica/dataset-end.ts'
import { promote, type PromoteReport } from './engine/replica/promote.ts'
import { handOver, type HandedOver, type HandOverOptions } from './engine/replica/rejoin.ts'
import { ReplicaSet, type ReplicaPolicy } from './engine/replica/replica-set.ts'
import { storeAsSource, type FollowedSource, type SyncSource } from './engine/replica/source.ts'
import { syncDataset, type SyncOptions, type SyncReport } from './engine/replica/sync.ts'
import type { OpenCar } from './car/state.ts'
import type { LiveMap, MapOptions } from './live/map.ts'
import { LiveMaps } from './live/maps.ts'
import { restoreCar, type RestoreCarOptions, type RestoredCar } from './engine/restore-car.ts'

export interface CairnOptions {
  /** Bytes of decoded tree nodes that are kept in memory; 96 MiB unless given. */
  readonly cacheBytes?: number | undefined
  readonly log?: Logger | undefined
  /** Is told how long operations took that went well. Called often: it should return at once. */
  readonly observe?: Observe | undefined
  /** Milliseconds since 1970. */
  readonly now?: (() => number) | undefined
  readonly timers?: Timers | undefined
  readonly randomBytes?: ((count: number) => Uint8Array) | undefined
  /** Other stores that are kept as copies of this one, and what is promised of them. */
  readonly replicas?: ReplicaPolicy | undefined
}

const DEFAULT_CACHE_BYTES = 96 << 20

export class Cairn {
  readonly #context: Context
  readonly #pointers = new Map<string, Promise<Pointer | undefined>>()
  readonly #maps = new Map<string, Promise<LiveMaps>>()
  #closed = false

  constructor(backend: Backend, options: CairnOptions = {}) {
    const random = options.randomBytes ?? randomBytes
    const log = options.log ?? SILENT
    const context: Context = {
      backend,
      nodes: new NodeStore(backend, options.cacheBytes ?? DEFAULT_CACHE_BYTES),
      now: options.now ?? Date.now,
      timers: options.timers ?? REAL_TIMERS,
      randomBytes: random,
      writer: Buffer.from(random(8)).toString('hex'),
      log,
      observe: guarded(options.observe, log),
    }
    const replicas = options.replicas && new ReplicaSet(context, options.replicas)
    this.#context = { ...context, replicas }
  }

  get location(): string {
    return this.#context.backend.location
  }

  /** Makes a dataset; `created` is false when it was there, whose settings then stand. */
  async init(
    name: string,
    options: InitOptions = {},
  ): Promise<{ dataset: Dataset; created: boolean }> {
    this.#checkOpen()
    const created = await createDataset(this.#context, parseDatasetName(name), options)
    return { dataset: await this.dataset(name), created }
  }

  /** A dataset that exists. */
  async dataset(name = 'main', options: DatasetOptions = {}): Promise<Dataset> {
    const pointer = await this.#pointer(parseDatasetName(name))
    if (pointer !== undefined) return new Dataset(this.#context, pointer, options)
    throw new CairnError('dataset_not_found', `The store has no dataset "${name}".`, {
      hint: 'Make it with `cairn init`, or by writing to it; `cairn datasets` lists those there are.',
      dataset: name,
    })
  }

  /** A dataset for writing: made with the defaults when it does not exist. */
  async open(name = 'main', options: DatasetOptions = {}): Promise<Dataset> {
    const pointer = await this.#pointer(parseDatasetName(name))
    if (pointer === undefined) await createDataset(this.#context, name, {})
    return this.dataset(name, options)
  }

  /** A live map of a dataset, which is made if it does not exist; the default one unless it is named. */
  async map<V = unknown>(
    name?: string,
    { dataset, ...options }: MapOptions<V> & { readonly dataset?: string | undefined } = {},
  ): Promise<LiveMap<V>> {
    return (await this.maps(dataset)).map<V>(name, options)
  }

  /** All live maps of a dataset. */
  maps(dataset = 'main'): Promise<LiveMaps> {
    const known = this.#maps.get(dataset)
    if (known !== undefined) return known
    const opening = this.#openMaps(dataset)
    this.#maps.set(dataset, opening)
    opening.catch(() => this.#maps.delete(dataset))
    return opening
  }

  async #openMaps(name: string): Promise<LiveMaps> {
    const dataset = await this.open(name)
    return new LiveMaps({ dataset, now: this.#context.now, log: this.#context.log })
  }

  /** One pointer a dataset, so that all its users in this process share one line of commits. */
  async #pointer(name: string): Promise<Pointer | undefined> {
    this.#checkOpen()
    const known = this.#pointers.get(name)
    const shared = await known
    if (shared !== undefined) return shared
    // An opening that began earlier may have looked before the dataset was made.
    const later = this.#pointers.get(name)
    if (later !== undefined && later !== known) return later
    const opening = Pointer.open(this.#context, name)
    this.#pointers.set(name, opening)
    const forget = (): void => {
      if (this.#pointers.get(name) === opening) this.#pointers.delete(name)
    }
    try {
      const pointer = await opening
      if (pointer === undefined) forget()
      return pointer
    } catch (error) {
      forget()
      throw error
    }
  }

  /** Brings back the state that CARs hold: one, or a base and its deltas. */
  async restoreCar(
    cars: readonly OpenCar[],
    options: RestoreCarOptions = {},
  ): Promise<RestoredCar> {
    this.#checkOpen()
    const began = performance.now()
    const restored = await restoreCar(this.#context, cars, (name) => this.#pointer(name), options)
    if (restored.status === 'restored')
      this.#context.observe?.('restore', secondsSince(began), { dataset: restored.dataset })
    return restored
  }

  /**
   * Proves the newest state of a dataset, and makes the newest kept one that is whole current if it is damaged;
   * also where the damage keeps it from being opened. Who has it open follows.
   */
  fallBack(name = 'main', options: FallBackOptions = {}): Promise<FallBackReport> {
    this.#checkOpen()
    return fallBack(this.#context, parseDatasetName(name), options)
  }

  /** This store as the source of replicas. */
  asSource(): FollowedSource {
    const { backend, log } = this.#context
    return storeAsSource(backend, log)
  }

  /** Brings this store's replica of a dataset, which is made if need be, to the newest state of its source. */
  sync(source: SyncSource, name = 'main', options: SyncOptions = {}): Promise<SyncReport> {
    this.#checkOpen()
    return syncDataset(source, this.#asTarget(name), options)
  }

  #asTarget(name: string): SyncTarget {
    const dataset = parseDatasetName(name)
    return { context: this.#context, dataset, pointer: () => this.#pointer(dataset) }
  }

  /**
   * Puts this store's replica in the place of its primary. Where that can be reached, it is given: it writes
   * nothing any more from then on, and nothing that it had is lost.
   */
  promote(
    name = 'main',
    { primary, ...options }: LongOptions & { readonly primary?: Cairn | undefined } = {},
  ): Promise<PromoteReport> {
    this.#checkOpen()
    const old = primary === undefined ? undefined : primary.#asTarget(name)
    return promote(this.#asTarget(name), old, options)
  }

  /**
   * Of a dataset that was replaced: appends what only this store has to the new primary again. Nothing is written
   * here any more from then on; `sync` with `adopt` makes it a replica of the new primary.
   */
  async handOver(primary: Cairn, name: string, options: HandOverOptions): Promise<HandedOver> {
    this.#checkOpen()
    const dataset = await primary.dataset(name)
    const append: Dataset['append'] = (entry) => dataset.append(entry)
    return handOver(this.#asTarget(name), { ...primary.#asTarget(name), append }, options)
  }

  /** Gives the space of what was freed back to the system, as far as the store can. */
  compact(options: CallOptions = {}): Promise<CompactedSizes> {
    this.#checkOpen()
    return this.#context.backend.compact(options)
  }

  datasets(): Promise<string[]> {
    this.#checkOpen()
    return this.#context.backend.datasets()
  }

  status(): Promise<StoreStatus> {
    this.#checkOpen()
    return this.#context.backend.status()
  }

  #checkOpen(): void {
    if (this.#closed) throw new CairnError('closed', 'This store was closed.')
  }

  /**
   * Writes what live maps have yet to write, and frees what the store holds. Appends that were not awaited
   * may or may not have been taken. Rejects where something was not written, and is closed then, too.
   */
  async close(): Promise<void> {
    const maps = await Promise.allSettled(this.#maps.values())
    const closing = maps.flatMap((one) => (one.status === 'fulfilled' ? [one.value.close()] : []))
    const ended = await Promise.allSettled(closing)
    this.#closed = true
    await this.#context.replicas?.close()
    await this.#context.backend.close()
    for (const one of ended) if (one.status === 'rejected') throw one.reason
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
