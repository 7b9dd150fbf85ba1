/**
 * The contract between the engine and a technology that keeps blocks and commits.
 *
 * A backend knows nothing of entries, trees or snapshots. It keeps immutable blocks by their hash and,
 * for each dataset, a gap-free sequence of numbered commits, which is the only mutable thing there is.
 * `test/conformance/backend.ts` holds every backend to what is written here.
 *
 * For all calls: they may overlap freely, from several processes on one store; none holds a
 * resource of the store (a read transaction, a lock, a socket) after it settled; bytes that come back
 * belong to the caller, bytes that are handed in are not changed by the caller until the call settled;
 * a `signal` that aborts makes a call reject with `aborted` unless it has taken effect, whose outcome
 * is then the answer. A deadline of the backend's own is `backend_timeout`, and means for a write that
 * it did not and will not take effect. An unreachable store is `backend_unavailable`, never "missing".
 */
import type { Block, CidBytes } from '../model/cid.ts'

/**
 * What is kept alive of a block that is written: the block alone (`self`), or the block with all that
 * it links to (`deep`), both for as long as a commit needs it; or the block alone until its staging
 * ends (`staged`), for content that a `deep` block of a later commit will link to. `under` is `staged`
 * with the promise that the first `deep` block that is put after it, before the next flush, links to
 * it. Backends that free nothing by themselves (lmdb) may ignore it.
 */
export type Hold = 'self' | 'deep' | 'staged' | 'under'

export interface HeldBlock extends Block {
  readonly hold: Hold
}

export interface HeldCid {
  readonly cid: CidBytes
  readonly hold: 'self' | 'deep'
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined
}

export interface ReadOptions extends CallOptions {
  /** What is found stays in the store, should a sweep of `blocks` be running. */
  readonly rely?: boolean
}

export interface NewestOptions extends CallOptions {
  /** The CID of the commit that the caller has read, where it can tell. */
  readonly cid?: CidBytes | undefined
}

export interface StoredCommit {
  readonly number: number
  readonly bytes: Uint8Array
}

export interface CommitRequest {
  readonly dataset: string
  /** The number this commit gets. It must be the newest number + 1 (0: the dataset's first). */
  readonly number: number
  readonly bytes: Uint8Array
  /** Written and made durable with the commit, all or nothing. At most a few MiB. */
  readonly blocks: readonly HeldBlock[]
  /** Content that `blocks` link to and that comes with them; held through them. */
  readonly content?: readonly Block[]
  /** The staging whose blocks it names. If the store took its lease away meanwhile: `conflict` is thrown. */
  readonly staging?: Staging
  /**
   * What `sweeps` said before the writer looked (with `rely`) for blocks that it relies on and that are
   * neither of this request nor of its staging. If a sweep has begun since, the outcome is `swept`.
   */
  readonly sweeps?: number
}

/**
 * `swept`: nothing was written; look again whether what the commit relies on is there.
 * `forgotten`: nothing was written; the number was given to a commit that the store no longer keeps. It cannot
 * tell whose that was: who has made this request before does not know whether it took effect.
 */
export type CommitOutcome = 'committed' | 'conflict' | 'swept' | 'forgotten'

/**
 * Blocks written ahead of the commit that will name them: a build's nodes, a large content. Until it
 * ends, what was put (also what the store had before) and what was read with `rely` since it began
 * stays in the store. That is a lease: renewed by the backend, void an hour after its process died.
 * A store whose sweeps free `holds` keeps what was put alone: there, who needs a block puts it.
 */
export interface Staging {
  /**
   * May buffer: what is handed over is not changed by the caller before the next `flush` has settled.
   * Blocks are readable and durable after that. A write that failed fails every later call, too.
   */
  put(blocks: readonly HeldBlock[], options?: CallOptions): Promise<void>
  flush(options?: CallOptions): Promise<void>
  /**
   * Ends the staging, once, whatever happened; what was not flushed is forgotten, and further calls
   * reject with `closed`. `committed`: a commit names the blocks now.
   * `dropped`: none does, a later sweep may free them. Neither deletes a block here and now: the
   * outcome of the commit may be other than its writer believes.
   */
  end(outcome: 'committed' | 'dropped'): Promise<void>
}

/** Keeps a sweep from freeing what its note names. Renewed by the backend, void like a staging's. */
export interface Lease {
  release(): Promise<void>
}

/**
 * Freeing what nothing needs any more, while others go on reading and writing. From its beginning on,
 * whatever is written, or read with `rely`, stays. Its owner then
 *
 *   1 commits what forgets (a shorter kept list), for as many datasets as it likes
 *   2 reads the leases and marks all that they, and every commit that is still kept, need
 *   3 calls `free`
 *   4 forgets old commits, and ends the sweep
 *
 * If it dies before 3 nothing was freed, after it the same sweep made again has less to do.
 */
export interface Sweep {
  /**
   * `blocks`: whatever block has no mark is freed, so all blocks need marks, content included.
   * `holds`: the store frees by itself what nobody holds; of the holds that were offered those without
   * a mark are let go, and only blocks that are held for themselves need marks.
   */
  readonly frees: 'blocks' | 'holds'
  /**
   * Answers which were not marked before, by CID: a block that was marked under another codec counts as
   * not marked, since under this one it may have other links.
   */
  mark(blocks: readonly HeldCid[]): Promise<boolean[]>
  /** `holds`: what may be held for nothing. Blocks that the store lacks, or never held, are no matter. */
  offer(blocks: readonly HeldCid[]): Promise<void>
  free(options?: CallOptions & { readonly onProgress?: (done: number) => void }): Promise<Freed>
  end(): Promise<void>
}

/** Where a store lets go of holds, `blocks` counts those, and `bytes` is not known. */
export interface Freed {
  readonly blocks: number
  readonly bytes: number | undefined
}

/** Of a store around its compaction, in bytes, where that is known. */
export interface CompactedSizes {
  readonly before: number | undefined
  readonly after: number | undefined
}

export interface StoreStatus {
  /** Whether what was acknowledged survives a power cut; `undefined` where the store does not tell. */
  readonly synced: boolean | undefined
  readonly sizeBytes: number | undefined
  readonly freeBytes: number | undefined
  /** Remarks for people, such as "the node collects garbage". */
  readonly notes: readonly string[]
  /** Particulars of the technology (versions, peers, paths), for `status` and `doctor`. */
  readonly details: Readonly<Record<string, string | number | boolean>>
}

export interface Backend {
  readonly kind: 'memory' | 'lmdb' | 'kubo' | 's3' | 'car'
  /** As it was named to us, without secrets: `lmdb:/data`, `s3://bucket/prefix`. */
  readonly location: string

  /** What a staging has flushed is there, and was hashed by the store: nobody need read it back. */
  readonly provesBlocks?: boolean

  /**
   * The blocks in the order of `cids`, `undefined` where the store lacks one. Never fetches from
   * elsewhere. The bytes are unproved: callers hash them against their CID (promise 5).
   */
  getBlocks(cids: readonly CidBytes[], options?: ReadOptions): Promise<(Uint8Array | undefined)[]>

  /** Which of `cids` the store has, without reading them. */
  hasBlocks(cids: readonly CidBytes[], options?: ReadOptions): Promise<boolean[]>

  /**
   * Puts blocks there, which their CIDs name, also where the store has other bytes under them: for
   * repairs. Durable and readable when it returns. What is held stays held, and nothing else becomes so;
   * where it dies half-way a block is as it was, or gone, or whole.
   */
  heal(blocks: readonly Block[], options?: CallOptions): Promise<void>

  /**
   * Where the store has a faster way than `getBlocks` for all that is under a block: a stream of it,
   * depth-first, in the order of the links, each block once. As unproved as `getBlocks`, and it may end
   * early: who needs all of it asks for the rest.
   */
  readDag?(root: CidBytes, options?: CallOptions): AsyncIterable<readonly Block[]>

  /** Starts a staging for `dataset`. `label` says what for, in words, to who finds it after a crash. */
  stage(dataset: string, label: string, options?: CallOptions): Promise<Staging>

  /**
   * The newest commit if its number is above `than`, else `undefined`. `than` is the number of a
   * commit that the caller has read from this store, or -1. A store that holds neither that commit
   * nor a newer one is not the store it was: `store_changed`. A store that others can put another in
   * the place of looks at `cid`, too: another commit under that number is `store_changed`.
   * Linearizable with `commit`.
   */
  newest(dataset: string, than: number, options?: NewestOptions): Promise<StoredCommit | undefined>

  /** One commit by its number, `undefined` when it was pruned or never was. */
  getCommit(dataset: string, number: number, options?: CallOptions): Promise<Uint8Array | undefined>

  /** The lowest number that is kept, `undefined` for a dataset without commits. */
  oldest(dataset: string, options?: CallOptions): Promise<number | undefined>

  /** The names of all datasets that have a commit, sorted. */
  datasets(options?: CallOptions): Promise<string[]>

  /**
   * Writes the blocks and the commit if `number` is still the next one: durably, all or nothing.
   * `conflict`: another commit has that number (or it is not the next), and nothing of this one will
   * ever be current. `commit_unknown` is thrown when the call may or may not have taken effect; the
   * same request may then be made again, and finds out as long as the number is kept: if the store
   * holds these very bytes under it, the answer is `committed`; `forgotten` leaves the doubt for good.
   * Any other error means: not committed.
   * A link of `content` or `blocks` that the store cannot resolve while it must hold it deep is
   * `content_missing`.
   */
  commit(request: CommitRequest, options?: CallOptions): Promise<CommitOutcome>

  /** Forgets the commits below `number`; it may keep some of them longer. Never the newest two. */
  forget(dataset: string, below: number, options?: CallOptions): Promise<void>

  /** A lease with a note for whoever sweeps. Durable when it returns. */
  lease(note: string, options?: CallOptions): Promise<Lease>

  /** The notes of the leases that are not void. */
  leases(options?: CallOptions): Promise<string[]>

  /** How many sweeps of `blocks` have begun. Linearizable with `commit`. */
  sweeps(options?: CallOptions): Promise<number>

  /**
   * Begins a sweep; one of `blocks` when the stagings that were there before have ended. `busy` if that
   * takes longer than `waitMs`, or another sweep is under way.
   */
  sweep(options: CallOptions & { readonly waitMs: number }): Promise<Sweep>

  /**
   * Gives the space of what was freed back to the system, as far as the technology can: lmdb copies its
   * file (`busy` while another process has it open), kubo runs the node's garbage collection.
   */
  compact(options?: CallOptions): Promise<CompactedSizes>

  status(options?: CallOptions): Promise<StoreStatus>

  /** Ends all work and frees what is held; further calls reject with `closed`. May be called twice. */
  close(): Promise<void>
}
