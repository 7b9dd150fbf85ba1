/** The backend that keeps everything in a bucket, for any number of machines. layout.ts says what lies where. */
import { CairnError, throwIfAborted } from '../../errors.ts'
import { digestKey } from '../../model/cid.ts'
import type { Block, CidBytes } from '../../model/cid.ts'
import { parseBucketAddress } from '../../s3/address.ts'
import { Bucket } from '../../s3/bucket.ts'
import type {
  Backend,
  CallOptions,
  CommitOutcome,
  CommitRequest,
  CompactedSizes,
  Lease,
  NewestOptions,
  ReadOptions,
  Staging,
  StoreStatus,
  StoredCommit,
  Sweep,
} from '../../store/backend.ts'
import { stagingVoid } from '../refused.ts'
import { BlockCache } from './block-cache.ts'
import { createBlocks, type Blocks } from './blocks.ts'
import { Catalog } from './catalog.ts'
import { Clock } from './clock.ts'
import { CommitLog, FRESH_MS, storeChanged } from './commit-log.ts'
import { Committer } from './commit.ts'
import { compactPacks } from './compact.ts'
import { checkFitness } from './fitness.ts'
import { FOLD_EVERY, foldCommits } from './fold.ts'
import { deleteForgotten, raiseFloor } from './forget.ts'
import { LeaseObjects } from './lease-objects.ts'
import { Locations } from './locations.ts'
import { PACK_BYTES } from './pack.ts'
import { PackWriter, type PackWriterOptions } from './pack-writer.ts'
import { BucketStaging } from './staging.ts'
import { storeStatus } from './status.ts'
import { SweepStates } from './sweep-state.ts'
import { beginSweep } from './sweep.ts'

/**
 * How long after it was asked for a request may still take effect: servers refuse those that were signed
 * over fifteen minutes ago, by clocks that differ by five; and one is signed within a minute or two.
 */
const GRACE_MS = 25 * 60 * 1000
const CACHE_BYTES = 8 << 20
const DEAD_SHARE = 0.5

export interface BucketStoreOptions {
  /** `//BUCKET/PREFIX?endpoint=...`: what stands behind `s3:`. */
  readonly address: string
  /** Make a store where there is none. */
  readonly create?: boolean
  readonly signal?: AbortSignal | undefined
  readonly onBackgroundError?: (error: unknown) => void
  /** For tests: how long sweeps wait for requests that may still land. */
  readonly graceMs?: number
  /** For tests: from which share of dead bytes on a pack is written anew. */
  readonly deadShare?: number
  /** How long requests are made again that fail in passing. */
  readonly retryMs?: number
  readonly now?: () => number
}

export async function openBucketStore({
  address,
  create = false,
  signal,
  onBackgroundError = () => {},
  graceMs = GRACE_MS,
  deadShare = DEAD_SHARE,
  retryMs,
  now = Date.now,
}: BucketStoreOptions): Promise<BucketBackend> {
  const bucket = new Bucket(parseBucketAddress(address), retryMs === undefined ? {} : { retryMs })
  try {
    await checkFitness(bucket, { create, signal })
  } catch (error) {
    bucket.close()
    throw error
  }
  return new BucketBackend(bucket, { graceMs, deadShare, now, onError: onBackgroundError })
}

interface Tuning {
  readonly graceMs: number
  readonly deadShare: number
  readonly now: () => number
  readonly onError: (error: unknown) => void
}

export class BucketBackend implements Backend {
  readonly kind = 's3'
  readonly location: string
  /** The server compares each object with the checksum that it was sent with; checkFitness has tried it. */
  readonly provesBlocks = true
  readonly #bucket: Bucket
  readonly #tuning: Tuning
  readonly #clock: Clock
  readonly #cache = new BlockCache(CACHE_BYTES)
  readonly #log: CommitLog
  readonly #catalog: Catalog
  readonly #blocks: Blocks
  readonly #leases: LeaseObjects
  readonly #states: SweepStates
  readonly #committer: Committer
  readonly #work = new Set<Promise<unknown>>()
  readonly #sweeps = new Set<Sweep>()
  readonly #folding = new Set<string>()
  #closing: Promise<void> | undefined

  constructor(bucket: Bucket, tuning: Tuning) {
    this.location = bucket.location
    this.#bucket = bucket
    this.#tuning = tuning
    this.#clock = new Clock(tuning.now, () => bucket.clockOffset)
    this.#log = new CommitLog(bucket, new Locations(), this.#cache, this.#clock)
    this.#catalog = new Catalog(bucket, this.#log)
    this.#blocks = createBlocks(bucket, this.#catalog, this.#cache)
    this.#leases = new LeaseObjects(bucket, this.#clock, tuning.onError)
    this.#states = new SweepStates(bucket, this.#leases, this.#clock)
    this.#committer = new Committer(bucket, this.#log, this.#clock)
  }

  async getBlocks(
    cids: readonly CidBytes[],
    options?: ReadOptions,
  ): Promise<(Uint8Array | undefined)[]> {
    return await this.#tracked(options, async () => {
      if (options?.rely !== true || cids.length === 0) return await this.#blocks.get(cids, options)
      return await this.#states.rely(async ({ version }) => {
        await this.#catalog.catchUp(version, options)
        const there = await this.#blocks.has(cids, options)
        const found = cids.filter((_, i) => there[i])
        const bytes = await this.#blocks.get(found, options)
        const left = bytes.values()
        return { answer: there.map((is) => (is ? left.next().value : undefined)), found }
      }, options)
    })
  }

  async hasBlocks(cids: readonly CidBytes[], options?: ReadOptions): Promise<boolean[]> {
    return await this.#tracked(options, async () => {
      if (cids.length === 0) return []
      const look = async (version: number): Promise<boolean[]> => {
        await this.#catalog.catchUp(version, options)
        return await this.#blocks.has(cids, options)
      }
      if (options?.rely !== true) return await look((await this.#states.read(options)).version)
      return await this.#states.rely(async ({ version }) => {
        const answer = await look(version)
        return { answer, found: cids.filter((_, i) => answer[i] === true) }
      }, options)
    })
  }

  async heal(blocks: readonly Block[], options?: CallOptions): Promise<void> {
    await this.#tracked(options, async () => {
      const writer = this.#newWriter(true)
      await writer.put(blocks, options)
      await writer.flush(options)
      for (const block of blocks) this.#cache.set(block)
    })
  }

  async stage(dataset: string, label: string, options?: CallOptions): Promise<Staging> {
    return await this.#tracked(
      options,
      async () => await this.#stage(`${label} (${dataset})`, options),
    )
  }

  async newest(
    dataset: string,
    than: number,
    options?: NewestOptions,
  ): Promise<StoredCommit | undefined> {
    return await this.#tracked(options, async () => {
      const before = this.#log.head(dataset)
      const [head] = await Promise.all([
        this.#log.advance(dataset, options),
        before && this.#log.checkHead(dataset, before, options),
      ])
      const number = head?.number ?? -1
      if (number < than) throw storeChanged(dataset, than, 'no longer has')
      if (head !== undefined && options?.cid !== undefined && number === than) {
        if (digestKey(options.cid) !== digestKey(head.cid)) {
          throw storeChanged(dataset, than, 'has another')
        }
      }
      if (head === undefined || number <= than) return undefined
      return { number, bytes: new Uint8Array(head.commit) }
    })
  }

  async getCommit(
    dataset: string,
    number: number,
    options?: CallOptions,
  ): Promise<Uint8Array | undefined> {
    return await this.#tracked(options, async () => {
      const found = await this.#log.read(dataset, number, options)
      return found && new Uint8Array(found.commit)
    })
  }

  async oldest(dataset: string, options?: CallOptions): Promise<number | undefined> {
    return await this.#tracked(options, async () => {
      const head = await this.#log.advance(dataset, options)
      return head && (await this.#log.marks(dataset, options)).floor
    })
  }

  async datasets(options?: CallOptions): Promise<string[]> {
    return await this.#tracked(options, async () => await this.#log.datasets(options))
  }

  async commit(request: CommitRequest, options?: CallOptions): Promise<CommitOutcome> {
    return await this.#tracked(options, async () => {
      const { dataset, number, content = [] } = request
      const blocks = [...content, ...request.blocks].map(copyOf)
      const attempt = { dataset, number, bytes: new Uint8Array(request.bytes), blocks }
      let asked = this.#clock.moment
      let settled = await this.#committer.settled(attempt)
      if (settled !== undefined) return settled
      const size = blocks.reduce((sum, { bytes }) => sum + bytes.length, 0)
      // What is too large for one object goes ahead of it.
      const ahead =
        size > PACK_BYTES ? await this.#stage(`a commit (${dataset})`, options) : undefined
      try {
        await ahead?.put(blocks.map((block) => ({ ...block, hold: 'self' })))
        await ahead?.flush()
        if (ahead !== undefined) {
          asked = this.#clock.moment
          settled = await this.#committer.settled(attempt)
          if (settled !== undefined) return settled
        }
        for (const staging of [request.staging, ahead]) await this.#checkStaging(staging)
        if (request.sweeps !== undefined && request.sweeps !== (await this.#begun(options))) {
          return 'swept'
        }
        throwIfAborted(options?.signal)
        const outcome = await this.#committer.put(
          ahead ? { ...attempt, blocks: [] } : attempt,
          asked,
        )
        if (outcome === 'committed') this.#foldAfter(dataset, number)
        return outcome
      } finally {
        await ahead?.end()
      }
    })
  }

  async forget(dataset: string, below: number, options?: CallOptions): Promise<void> {
    await this.#tracked(options, async () => {
      const age = 2 * this.#tuning.graceMs + FRESH_MS
      const fold = async (upTo: number): Promise<void> => await this.#fold(dataset, upTo, options)
      const floor = await raiseFloor(this.#log, dataset, below, fold, options)
      const oldEnough = (modified: number): boolean => this.#clock.server - modified > age
      await deleteForgotten(this.#bucket, dataset, floor, oldEnough, options)
    })
  }

  async lease(note: string, options?: CallOptions): Promise<Lease> {
    return await this.#tracked(
      options,
      async () => await this.#leases.take('reader', note, options),
    )
  }

  async leases(options?: CallOptions): Promise<string[]> {
    return await this.#tracked(options, async () => await this.#leases.notes('reader', options))
  }

  async sweeps(options?: CallOptions): Promise<number> {
    return await this.#tracked(options, async () => await this.#begun(options))
  }

  async sweep(options: CallOptions & { readonly waitMs: number }): Promise<Sweep> {
    return await this.#tracked(options, async () => {
      const sweep = await beginSweep(
        {
          bucket: this.#bucket,
          catalog: this.#catalog,
          leases: this.#leases,
          states: this.#states,
          newWriter: () => this.#newWriter(),
          graceMs: this.#tuning.graceMs,
          deadShare: this.#tuning.deadShare,
          enter: (callOptions) => this.#enter(callOptions),
          onError: this.#tuning.onError,
        },
        options,
      )
      this.#sweeps.add(sweep)
      return sweep
    })
  }

  async compact(options?: CallOptions): Promise<CompactedSizes> {
    return await this.#tracked(options, async () => {
      const compact = async (guard: () => void): Promise<CompactedSizes> =>
        await compactPacks(this.#bucket, this.#catalog, this.#newWriter(), { ...options, guard })
      return await this.#leases.under('staging', 'compacting', compact, options)
    })
  }

  async status(options?: CallOptions): Promise<StoreStatus> {
    return await this.#tracked(options, async () => {
      return await storeStatus(this.#bucket, this.#catalog, options)
    })
  }

  async close(): Promise<void> {
    this.#closing ??= this.#finish()
    await this.#closing
  }

  async #finish(): Promise<void> {
    await Promise.allSettled(this.#work)
    for (const sweep of this.#sweeps) await sweep.end().catch(this.#tuning.onError)
    await this.#leases.releaseAll()
    this.#catalog.close()
    this.#bucket.close()
  }

  async #stage(note: string, options?: CallOptions): Promise<BucketStaging> {
    const lease = await this.#leases.take('staging', note, options)
    const { onError } = this.#tuning
    return new BucketStaging(lease, this.#newWriter(), () => this.#enter(undefined), onError)
  }

  async #checkStaging(staging: Staging | undefined): Promise<void> {
    if (!(staging instanceof BucketStaging)) return
    const { lease } = staging
    if (lease.sound() && (await this.#leases.isLive(lease.key))) return
    throw stagingVoid()
  }

  async #begun(options?: CallOptions): Promise<number> {
    return (await this.#states.read(options)).begun
  }

  #newWriter(healed = false): PackWriter {
    const onPack: PackWriterOptions['onPack'] = (...pack) => this.#catalog.written(...pack)
    return new PackWriter(this.#bucket, { onPack, now: () => this.#clock.server, healed })
  }

  async #fold(dataset: string, upTo: number, options?: CallOptions): Promise<void> {
    const fold = async (guard: () => void): Promise<void> =>
      await foldCommits(this.#log, this.#newWriter(), dataset, upTo, { ...options, guard })
    await this.#leases.under('staging', `folding commits (${dataset})`, fold, options)
  }

  /** In the background: that it fails costs others requests, no more. */
  #foldAfter(dataset: string, number: number): void {
    const unfolded = number - this.#log.knownMarks(dataset).folded
    if (unfolded < FOLD_EVERY || this.#folding.has(dataset)) return
    this.#folding.add(dataset)
    const folding = this.#fold(dataset, number)
      .catch(this.#tuning.onError)
      .finally(() => this.#folding.delete(dataset))
    void this.#track(folding)
  }

  #enter(options: CallOptions | undefined): void {
    if (this.#closing !== undefined) throw new CairnError('closed', 'This store was closed.')
    throwIfAborted(options?.signal)
  }

  async #tracked<T>(options: CallOptions | undefined, use: () => Promise<T>): Promise<T> {
    this.#enter(options)
    return await this.#track(use())
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

function copyOf({ cid, bytes }: Block): Block {
  return { cid: new Uint8Array(cid), bytes: new Uint8Array(bytes) }
}
