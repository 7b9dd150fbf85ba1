/**
 * A copy elsewhere, as its primary sees it: in another store, which is opened when it is asked for, or behind a
 * service, which brings itself up to date from what it is sent.
 */
import type { Commit } from '../../model/commit.ts'
import type { Backend } from '../../store/backend.ts'
import { NodeStore } from '../../tree/node-store.ts'
import { omit } from '../../util/record.ts'
import { checkedCommit } from '../checked-commit.ts'
import type { Context } from '../context.ts'
import { Pointer } from '../pointer.ts'
import type { SyncSource } from './source.ts'
import { syncDataset, type SyncOptions, type SyncReport } from './sync.ts'

export interface ReplicaTarget {
  /** Without secrets. */
  readonly location: string
  /** Its newest commit; undefined where it has no such dataset. */
  newest(dataset: string): Promise<Commit | undefined>
  /** Brings it to the newest state of the source. */
  sync(source: SyncSource, dataset: string, options?: SyncOptions): Promise<SyncReport>
  /** Ends what is under way. */
  close(): Promise<void>
}

export interface ReplicaStore {
  /** Without secrets. */
  readonly location: string
  readonly open: () => Promise<Backend>
}

const NODE_CACHE_BYTES = 16 << 20

/** Opened anew when opening it failed. */
export class StoreTarget implements ReplicaTarget {
  readonly location: string
  readonly #base: Context
  readonly #store: ReplicaStore
  #context: Promise<Context> | undefined
  readonly #pointers = new Map<string, Pointer>()

  constructor(base: Context, store: ReplicaStore) {
    this.location = store.location
    this.#base = base
    this.#store = store
  }

  #opened(): Promise<Context> {
    this.#context ??= this.#open().catch((error: unknown) => {
      this.#context = undefined
      throw error
    })
    return this.#context
  }

  async #open(): Promise<Context> {
    const backend = await this.#store.open()
    const base = omit(this.#base, 'replicas', 'observe')
    return { ...base, backend, nodes: new NodeStore(backend, NODE_CACHE_BYTES) }
  }

  async newest(dataset: string): Promise<Commit | undefined> {
    const { backend } = await this.#opened()
    const stored = await backend.newest(dataset, -1)
    return stored && checkedCommit(dataset, stored.number, stored.bytes).commit
  }

  async sync(source: SyncSource, dataset: string, options?: SyncOptions): Promise<SyncReport> {
    const context = await this.#opened()
    const pointer = async (): Promise<Pointer | undefined> => {
      const open = this.#pointers.get(dataset) ?? (await Pointer.open(context, dataset))
      if (open !== undefined) this.#pointers.set(dataset, open)
      return open
    }
    return syncDataset(source, { context, dataset, pointer }, options)
  }

  async close(): Promise<void> {
    const context = await this.#context?.catch(() => undefined)
    await context?.backend.close()
  }
}
