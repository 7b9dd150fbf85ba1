/** The embedded backend: one lmdb environment in a folder, for any number of processes of a machine. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { CairnError, throwIfAborted } from '../../errors.ts'
import type { CidBytes } from '../../model/cid.ts'
import type {
  Backend,
  CallOptions,
  CommitOutcome,
  CommitRequest,
  Staging,
  StoreStatus,
  StoredCommit,
} from '../../store/backend.ts'
import { getBlocks, hasBlocks, newBlocks, nextNumber, putBlocks } from './blocks.ts'
import { commitBytes, datasetNames, newestCommit, oldestNumber, putCommit } from './commits.ts'
import type { Environment } from './environment.ts'
import { storeError } from './errors.ts'
import { ownPidNamespace } from './namespace.ts'
import { freeBytes } from './preflight.ts'
import { openShared } from './shared.ts'
import type { Opening } from './shared.ts'
import { LmdbStaging } from './staging.ts'
import { FORMAT } from './tables.ts'
import type { Tables } from './tables.ts'

export interface LmdbOptions {
  readonly dir: string
  /** Make the folder and the store when there is none. */
  readonly create?: boolean
  /** How long a write may wait for other processes' writes: two minutes unless said otherwise. */
  readonly writeTimeoutMs?: number
  /** Tells this process's PID namespace; `undefined`: the system has none. For tests. */
  readonly pidNamespace?: () => Promise<string | undefined>
}

export async function openLmdb({
  dir,
  create = false,
  writeTimeoutMs = 120_000,
  pidNamespace = ownPidNamespace,
}: LmdbOptions): Promise<Backend> {
  return new LmdbBackend(dir, await openShared({ dir, create, pidNamespace, writeTimeoutMs }))
}

class LmdbBackend implements Backend {
  readonly kind = 'lmdb'
  readonly location: string
  readonly #opening: Opening
  readonly #environment: Environment
  readonly #work = new Set<Promise<unknown>>()
  #closing: Promise<void> | undefined

  constructor(dir: string, opening: Opening) {
    this.location = `lmdb:${dir}`
    this.#opening = opening
    this.#environment = opening.environment
  }

  async getBlocks(
    cids: readonly CidBytes[],
    options?: CallOptions,
  ): Promise<(Uint8Array | undefined)[]> {
    return await this.#tracked(options, async (tables) => await getBlocks(tables, cids, options))
  }

  async hasBlocks(cids: readonly CidBytes[], options?: CallOptions): Promise<boolean[]> {
    return await this.#tracked(options, async (tables) => await hasBlocks(tables, cids, options))
  }

  async stage(_dataset: string, _label: string, options?: CallOptions): Promise<Staging> {
    this.#enter(options)
    return new LmdbStaging(
      this.#environment,
      () => this.#enter(undefined),
      async (blocks) => {
        this.#enter(undefined)
        await this.#track(
          this.#environment.write('backend_unavailable', (tables) => putBlocks(tables, blocks)),
        )
      },
    )
  }

  async newest(
    dataset: string,
    than: number,
    options?: CallOptions,
  ): Promise<StoredCommit | undefined> {
    return this.#read(options, (tables) => newestCommit(tables, dataset, than))
  }

  async getCommit(
    dataset: string,
    number: number,
    options?: CallOptions,
  ): Promise<Uint8Array | undefined> {
    return this.#read(options, (tables) => commitBytes(tables, dataset, number))
  }

  async oldest(dataset: string, options?: CallOptions): Promise<number | undefined> {
    return this.#read(options, (tables) => oldestNumber(tables, dataset))
  }

  async datasets(options?: CallOptions): Promise<string[]> {
    return this.#read(options, datasetNames)
  }

  async commit(request: CommitRequest, options?: CallOptions): Promise<CommitOutcome> {
    this.#enter(options)
    const blocks = newBlocks([...(request.content ?? []), ...request.blocks])
    this.#environment.waitingCommits++
    try {
      return await this.#track(
        this.#environment.write('commit_unknown', (tables) => {
          throwIfAborted(options?.signal)
          return putCommit(tables, request, blocks)
        }),
      )
    } finally {
      this.#environment.waitingCommits--
    }
  }

  async status(options?: CallOptions): Promise<StoreStatus> {
    return await this.#tracked(options, async (tables) => {
      const { dir } = this.#environment
      tables.meta.resetReadTxn()
      return {
        synced: true,
        sizeBytes: (await stat(join(dir, 'data.mdb'))).size,
        freeBytes: await freeBytes(dir),
        notes: [],
        details: { path: dir, format: FORMAT, nextBlock: nextNumber(tables.meta) },
      }
    })
  }

  async close(): Promise<void> {
    this.#closing ??= this.#finish()
    await this.#closing
  }

  async #finish(): Promise<void> {
    await Promise.allSettled(this.#work)
    await this.#opening.release()
  }

  #enter(options: CallOptions | undefined): void {
    if (this.#closing !== undefined) throw new CairnError('closed', 'This store was closed.')
    throwIfAborted(options?.signal)
  }

  #read<T>(options: CallOptions | undefined, read: (tables: Tables) => T): T {
    this.#enter(options)
    try {
      return read(this.#environment.tables)
    } catch (error) {
      throw storeError(error, this.#environment.dir)
    }
  }

  async #tracked<T>(
    options: CallOptions | undefined,
    use: (tables: Tables) => Promise<T>,
  ): Promise<T> {
    this.#enter(options)
    try {
      return await this.#track(use(this.#environment.tables))
    } catch (error) {
      throw storeError(error, this.#environment.dir)
    }
  }

  /** `close` waits for what is tracked. */
  async #track<T>(work: Promise<T>): Promise<T> {
    this.#work.add(work)
    try {
      return await work
    } finally {
      this.#work.delete(work)
    }
  }
}
