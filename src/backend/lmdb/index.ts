/** The embedded backend: one lmdb environment in a folder, for any number of processes of a machine. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { CairnError, isCairnError, throwIfAborted } from '../../errors.ts'
import type { Block, CidBytes } from '../../model/cid.ts'
import type {
  Backend,
  CallOptions,
  CommitOutcome,
  CommitRequest,
  CompactedSizes,
  Lease,
  ReadOptions,
  Staging,
  StoreStatus,
  StoredCommit,
  Sweep,
} from '../../store/backend.ts'
import { getBlocks, hasBlocks, healBlocks, newBlocks, putBlocks } from './blocks.ts'
import {
  commitBytes,
  datasetNames,
  forgetSome,
  newestCommit,
  oldestNumber,
  putCommit,
} from './commits.ts'
import { compact } from './compact.ts'
import type { Environment } from './environment.ts'
import { storeError } from './errors.ts'
import { holdLease } from './leases.ts'
import type { HeldLease } from './leases.ts'
import { ownPidNamespace } from './namespace.ts'
import { freeBytes } from './preflight.ts'
import { needOf } from './room.ts'
import { openShared } from './shared.ts'
import type { Opening } from './shared.ts'
import { LmdbStaging } from './staging.ts'
import { countSweeps } from './sweep-mark.ts'
import { beginSweep, readerNotes } from './sweep.ts'
import type { SweepOptions, Tracked } from './sweep.ts'
import { FORMAT, statsOf } from './tables.ts'
import type { Tables } from './tables.ts'

export interface LmdbOptions {
  readonly dir: string
  /** Make the folder and the store when there is none. */
  readonly create?: boolean
  /** How long a write may wait for other processes' writes: two minutes unless said otherwise. */
  readonly writeTimeoutMs?: number
  /** Tells this process's PID namespace; `undefined`: the system has none. For tests. */
  readonly pidNamespace?: () => Promise<string | undefined>
  /** For tests: by which leases are renewed and judged. */
  readonly now?: () => number
  /** What fails in the background: renewals of leases, and their ends. */
  readonly onBackgroundError?: (error: unknown) => void
}

export async function openLmdb({
  dir,
  create = false,
  writeTimeoutMs = 120_000,
  pidNamespace = ownPidNamespace,
  now = Date.now,
  onBackgroundError = () => {},
}: LmdbOptions): Promise<Backend> {
  const options = { dir, create, pidNamespace, writeTimeoutMs, now }
  return new LmdbBackend(dir, await openShared(options), onBackgroundError)
}

class LmdbBackend implements Backend {
  readonly kind = 'lmdb'
  readonly location: string
  readonly #opening: Opening
  readonly #environment: Environment
  readonly #onError: (error: unknown) => void
  readonly #work = new Set<Promise<unknown>>()
  readonly #leases = new Set<HeldLease>()
  #closing: Promise<void> | undefined

  constructor(dir: string, opening: Opening, onError: (error: unknown) => void) {
    this.location = `lmdb:${dir}`
    this.#opening = opening
    this.#environment = opening.environment
    this.#onError = onError
  }

  async getBlocks(
    cids: readonly CidBytes[],
    options?: ReadOptions,
  ): Promise<(Uint8Array | undefined)[]> {
    return await this.#tracked(options, async () => {
      return await getBlocks(this.#environment, cids, options)
    })
  }

  async hasBlocks(cids: readonly CidBytes[], options?: ReadOptions): Promise<boolean[]> {
    return await this.#tracked(options, async () => {
      return await hasBlocks(this.#environment, cids, options)
    })
  }

  async heal(blocks: readonly Block[], options?: CallOptions): Promise<void> {
    const healed = newBlocks(blocks)
    await this.#tracked(options, async () => {
      const heal = (tables: Tables): void => healBlocks(tables, healed)
      await this.#environment.write('backend_unavailable', heal, needOf(healed))
    })
  }

  async stage(dataset: string, label: string, options?: CallOptions): Promise<Staging> {
    this.#enter(options)
    const lease = this.#hold('staging', `${label} (${dataset})`)
    this.#environment.announceStaging(lease.written)
    return new LmdbStaging(
      this.#environment,
      lease,
      () => this.#enter(undefined),
      async (blocks) => {
        this.#enter(undefined)
        const put = (tables: Tables): void => putBlocks(tables, blocks)
        await this.#track(this.#environment.write('backend_unavailable', put, needOf(blocks)))
      },
    )
  }

  async newest(
    dataset: string,
    than: number,
    options?: CallOptions,
  ): Promise<StoredCommit | undefined> {
    const read = async (): Promise<StoredCommit | undefined> =>
      await this.#read(options, (tables) => newestCommit(tables, dataset, than))
    return await read().catch(async (error: unknown) => {
      if (!isCairnError(error, 'store_changed')) throw error
      await this.#tracked(options, async () => await this.#environment.seeNewest())
      return await read()
    })
  }

  async getCommit(
    dataset: string,
    number: number,
    options?: CallOptions,
  ): Promise<Uint8Array | undefined> {
    return await this.#read(options, (tables) => commitBytes(tables, dataset, number))
  }

  async oldest(dataset: string, options?: CallOptions): Promise<number | undefined> {
    return await this.#read(options, (tables) => oldestNumber(tables, dataset))
  }

  async datasets(options?: CallOptions): Promise<string[]> {
    return await this.#read(options, datasetNames)
  }

  async commit(request: CommitRequest, options?: CallOptions): Promise<CommitOutcome> {
    this.#enter(options)
    this.#environment.askedCommits++
    const blocks = newBlocks([...(request.content ?? []), ...request.blocks])
    this.#environment.waitingCommits++
    try {
      return await this.#track(
        this.#environment.write(
          'commit_unknown',
          (tables) => {
            throwIfAborted(options?.signal)
            return putCommit(tables, request, blocks)
          },
          // That of a prune, most likely.
          { ...needOf(blocks), fromReserve: this.#environment.sweeping.size > 0 },
        ),
      )
    } finally {
      this.#environment.waitingCommits--
    }
  }

  async forget(dataset: string, below: number, options?: CallOptions): Promise<void> {
    await this.#tracked(options, async () => {
      const some = (tables: Tables): boolean => forgetSome(tables, dataset, below)
      while (await this.#environment.write('backend_unavailable', some)) {
        throwIfAborted(options?.signal)
      }
    })
  }

  async lease(note: string, options?: CallOptions): Promise<Lease> {
    return await this.#tracked(options, async () => {
      const lease = this.#hold('reader', note)
      try {
        await lease.written
        return lease
      } catch (error) {
        // It may be there all the same, and nobody else would end it.
        void lease.release()
        throw error
      }
    })
  }

  async leases(options?: CallOptions): Promise<string[]> {
    return await this.#tracked(options, async () => await readerNotes(this.#environment))
  }

  async sweeps(options?: CallOptions): Promise<number> {
    return await this.#read(options, ({ meta }) => {
      meta.resetReadTxn()
      return countSweeps(meta)
    })
  }

  async sweep(options: SweepOptions): Promise<Sweep> {
    return await this.#tracked(options, async () => {
      const lease = this.#hold('sweep', 'a sweep')
      const tracked: Tracked = async (callOptions, use) => await this.#tracked(callOptions, use)
      try {
        const parts = { environment: this.#environment, lease, tracked, onError: this.#onError }
        return await beginSweep(parts, options)
      } catch (error) {
        await lease.release()
        throw error
      }
    })
  }

  async compact(options: CallOptions = {}): Promise<CompactedSizes> {
    return await this.#tracked(options, async () => await compact(this.#environment, options))
  }

  async status(options?: CallOptions): Promise<StoreStatus> {
    return await this.#tracked(options, async () => {
      const { dir } = this.#environment
      const blocks = await this.#environment.read(({ digests }) => {
        digests.resetReadTxn()
        return statsOf(digests).entryCount
      })
      return {
        synced: true,
        sizeBytes: (await stat(join(dir, 'data.mdb'))).size,
        freeBytes: await freeBytes(dir),
        notes: [],
        details: { path: dir, format: FORMAT, blocks },
      }
    })
  }

  async close(): Promise<void> {
    this.#closing ??= this.#finish()
    await this.#closing
  }

  async #finish(): Promise<void> {
    await Promise.allSettled(this.#work)
    await Promise.all(Array.from(this.#leases, async (lease) => await lease.release()))
    await this.#opening.release()
  }

  /** A lease that ends with this opening of the store, if not before. */
  #hold(kind: 'staging' | 'reader' | 'sweep', note: string): HeldLease {
    const lease = holdLease(this.#environment, kind, note, this.#onError)
    this.#leases.add(lease)
    const release = async (): Promise<void> => {
      await lease.release()
      this.#leases.delete(lease)
    }
    return { ...lease, release }
  }

  #enter(options: CallOptions | undefined): void {
    if (this.#closing !== undefined) throw new CairnError('closed', 'This store was closed.')
    throwIfAborted(options?.signal)
  }

  async #read<T>(options: CallOptions | undefined, read: (tables: Tables) => T): Promise<T> {
    return await this.#tracked(options, async () => await this.#environment.read(read))
  }

  async #tracked<T>(options: CallOptions | undefined, use: () => Promise<T>): Promise<T> {
    this.#enter(options)
    try {
      return await this.#track(use())
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
