/**
 * Dataset: what a program does with one named set of entities. Each method is a short path into one
 * file of this folder; the order of steps and the reasons are there.
 */
import type { BlockWriter } from '../car/writer.ts'
import { CairnError } from '../errors.ts'
import type { ContentValue } from '../content/encode.ts'
import { readContent, type Content } from '../content/read.ts'
import { bytesEqual, type CidBytes } from '../model/cid.ts'
import { parseId } from '../model/entity-id.ts'
import type { Entry } from '../model/entry.ts'
import type { Commit, EncodedCommit } from '../model/commit.ts'
import type { KeptSnapshot } from '../model/kept.ts'
import type { SnapshotHeader } from '../model/snapshot.ts'
import { diffTrees, type Change } from '../tree/diff.ts'
import { Appender } from './append.ts'
import { bulkLoad, type BulkOptions, type BulkReport } from './bulk.ts'
import type { ImportEntry } from './import-entry.ts'
import { buildSnapshot, type BuildOptions, type BuildReport } from './build.ts'
import {
  followLog,
  followLogInBatches,
  type ChangesOptions,
  type EntriesChange,
  type GenerationChange,
  type LogChange,
} from './changes.ts'
import { buildForRoom, refuseForRoom } from './chain-room.ts'
import { chunksOf, type Chunk } from './chunks.ts'
import type { CallOptions } from '../store/backend.ts'
import type { Context } from './context.ts'
import { parseCidLike, type AppendEntry, type CidLike } from './draft.ts'
import { exportCar, type ExportCarOptions, type ExportedCar } from './export-car.ts'
import { headOf, type DatasetHead } from './head.ts'
import { historyOf, type LoggedEntry } from './history.ts'
import type { ListOptions, Page } from './list.ts'
import type { Appended } from './judge-group.ts'
import { secondsSince } from './observe.ts'
import { logBackPage, type LogBackOptions, type LogBackPage } from './log-back.ts'
import { logPage, type LogOptions, type LogPage } from './log.ts'
import { withPinRoots, type PinRoots } from './pin-roots.ts'
import type { Pointer } from './pointer.ts'
import { prune, type PruneOptions, type PruneReport } from './prune/prune.ts'
import { Reader, type AtOptions, type RangeOptions, type EntriesOptions } from './reader.ts'
import {
  rollback,
  type RollbackOptions,
  type RollbackReport,
  type RollbackTarget,
} from './rollback.ts'
import { findHeader, findSnapshot, keptSnapshots } from './snapshots.ts'
import { datasetStatus, type DatasetStatus } from './status.ts'
import { writeBatch, type WrittenBatch } from './write-batch.ts'
import { commitsOf } from './watch-pointer.ts'

export interface PutOptions extends CallOptions, Omit<AppendEntry, 'pi' | 'tip'> {}

export interface PutResult extends Appended {
  readonly tip: CidBytes
}

/** What was written; a deletion has no tip. */
export interface WrittenEntry extends Appended {
  readonly tip: CidBytes | null
}

export interface FoundSnapshot extends KeptSnapshot {
  readonly current: boolean
}

export interface DatasetOptions {
  /** Build by itself when the recent chain is full; otherwise appends answer `chain_full`. */
  readonly autoBuild?: boolean | undefined
}

export class Dataset {
  readonly name: string
  readonly #context: Context
  readonly #pointer: Pointer
  readonly #appender: Appender
  readonly #reader: Reader

  constructor(context: Context, pointer: Pointer, options: DatasetOptions = {}) {
    this.name = pointer.dataset
    this.#context = context
    this.#pointer = pointer
    this.#reader = new Reader(context, pointer)
    const { autoBuild = true } = options
    this.#appender = new Appender(context, pointer, (entries) =>
      autoBuild ? buildForRoom(context, pointer, entries) : refuseForRoom(pointer),
    )
  }

  /** Adds one version of one entity. Resolves when it is durable. */
  async append(entry: AppendEntry, options: CallOptions = {}): Promise<Appended> {
    const [appended] = await this.appendBatch([entry], options)
    if (appended === undefined) throw new CairnError('internal', 'an append without an answer')
    return appended
  }

  /** Adds entries, all or none of them. Each comes with its content's CID, or with the content itself. */
  async appendBatch(
    entries: readonly ImportEntry[],
    options: CallOptions = {},
  ): Promise<Appended[]> {
    return (await this.#write(entries, options)).appended
  }

  /** Stores a JSON value or bytes and makes it the entity's next version. */
  async put(pi: string, value: ContentValue, options: PutOptions = {}): Promise<PutResult> {
    const [result] = await this.putBatch([{ pi, value, ...options }], options)
    if (result === undefined) throw new CairnError('internal', 'a put without an answer')
    return result
  }

  /** Stores contents and makes them the entities' next versions, all or none of them. */
  async putBatch(
    puts: readonly (PutOptions & { readonly pi: string; readonly value: ContentValue })[],
    options: CallOptions = {},
  ): Promise<PutResult[]> {
    const { appended, drafts } = await this.#write(puts, options)
    return appended.map((one, i) => ({ ...one, tip: drafts[i]?.tip ?? new Uint8Array() }))
  }

  /** As `appendBatch`, and says each entry's tip: also that of a content that came with it. */
  async writeBatch(
    entries: readonly ImportEntry[],
    options: CallOptions = {},
  ): Promise<WrittenEntry[]> {
    const { appended, drafts } = await this.#write(entries, options)
    return appended.map((one, i) => ({ ...one, tip: drafts[i]?.tip ?? null }))
  }

  #write(entries: readonly ImportEntry[], { signal }: CallOptions): Promise<WrittenBatch> {
    return writeBatch(this.#context, this.#pointer, this.#appender, { entries, signal })
  }

  /** The entity's current version; undefined when there is none, or it is deleted or expired. */
  get(pi: string, options: AtOptions & CallOptions = {}): Promise<Entry | undefined> {
    return this.#reader.get(pi, options)
  }

  /** What a tip points at: a value, or a stream of bytes. */
  async content(tip: CidLike, options: CallOptions = {}): Promise<Content> {
    return readContent(this.#context.backend, parseCidLike(tip), options.signal)
  }

  /** One page of entities. */
  list(options: ListOptions & AtOptions = {}): Promise<Page> {
    return this.#reader.list(options)
  }

  /** All entities of a range, streamed from one state. */
  entries(options: EntriesOptions & CallOptions = {}): AsyncGenerator<Entry> {
    return this.#reader.entries(options)
  }

  /** How many live entities a range has. Those that expired since the last build count until the next. */
  count(options: RangeOptions & CallOptions = {}): Promise<number> {
    return this.#reader.count(options)
  }

  /** The kept versions of one entity, newest first. */
  async *history(pi: string, options: CallOptions = {}): AsyncGenerator<LoggedEntry> {
    const key = parseId(pi)
    yield* historyOf(
      this.#context,
      await this.#pointer.current(options.signal),
      key,
      options.signal,
    )
  }

  /** One page of the log: entries in the order of positions, folded or recent. */
  log(options: LogOptions = {}): Promise<LogPage> {
    return logPage(this.#context, this.#pointer, options)
  }

  /** One page of the log, newest first, each entry with its chain block. */
  logBack(options: LogBackOptions): Promise<LogBackPage> {
    return logBackPage(this.#context, this.#pointer, options)
  }

  /** The log as it grows: what is there from `since` on, then each entry when it is committed. */
  changes(options: ChangesOptions = {}): AsyncGenerator<LogChange> {
    return followLog(this.#context, this.#pointer, options)
  }

  /** The same, with all entries together that are at hand. */
  changesInBatches(options: ChangesOptions = {}): AsyncGenerator<EntriesChange | GenerationChange> {
    return followLogInBatches(this.#context, this.#pointer, options)
  }

  /** The newest commit, then each newer one, whatever made it; of several at once the newest. */
  commits({ signal }: CallOptions = {}): AsyncGenerator<EncodedCommit> {
    return commitsOf(this.#context, this.#pointer, signal)
  }

  /** The index pointer as it is now, and the header of its snapshot. */
  async pointer(
    options: CallOptions = {},
  ): Promise<{ readonly commit: Commit; readonly header: SnapshotHeader }> {
    const { commit, header } = await this.#pointer.current(options.signal)
    return { commit, header }
  }

  /** Where the dataset stands: cheap enough to be asked all the time. */
  async head(options: CallOptions = {}): Promise<DatasetHead> {
    return headOf(await this.#pointer.current(options.signal))
  }

  /** Folds the recent chain into a new snapshot. Nothing new is a success that says so. */
  build(options: BuildOptions = {}): Promise<BuildReport> {
    return this.#pointer.builds.run(() => buildSnapshot(this.#context, this.#pointer, options))
  }

  /** Loads any number of entries in one commit, all or none; other writers are kept out meanwhile. */
  async bulkLoad(
    source: AsyncIterable<ImportEntry> | Iterable<ImportEntry>,
    options: BulkOptions = {},
  ): Promise<BulkReport> {
    // A build under way would find the dataset reserved in the end. One that is asked for later learns it at once.
    await this.#pointer.builds.run(() => Promise.resolve())
    const report = await bulkLoad(this.#context, this.#pointer, source, options)
    await this.#context.replicas?.acknowledge(this.#pointer)
    return report
  }

  /** Hands all that the current state, or a kept snapshot, consists of to the writer of a CAR. */
  async exportCar(
    begin: (root: CidBytes) => Promise<BlockWriter>,
    options: ExportCarOptions = {},
  ): Promise<ExportedCar> {
    const began = performance.now()
    const exported = await exportCar(this.#context, this.#pointer, begin, options)
    this.#context.observe?.('export', secondsSince(began), { dataset: this.name })
    return exported
  }

  /** What other nodes pin, so that what is kept outlives the store; nothing under it goes while `use` runs. */
  pinRoots<T>(use: (found: PinRoots) => Promise<T>, options: CallOptions = {}): Promise<T> {
    return withPinRoots(this.#context, this.#pointer, use, options)
  }

  /** Forgets snapshots that the rules do not name, and frees what nothing kept needs. */
  prune(options: PruneOptions): Promise<PruneReport> {
    return prune(this.#context, this.#pointer, options)
  }

  /** The kept snapshots, newest first. */
  async *snapshots(options: CallOptions = {}): AsyncGenerator<KeptSnapshot> {
    const { commit } = await this.#pointer.current(options.signal)
    yield* keptSnapshots(this.#context, commit, options.signal)
  }

  /** A kept snapshot, and whether it is the current one. */
  async snapshot(selector = 'latest', options: CallOptions = {}): Promise<FoundSnapshot> {
    const { commit } = await this.#pointer.current(options.signal)
    const kept = await findSnapshot(this.#context, commit, selector, options.signal)
    return { ...kept, current: bytesEqual(kept.cid, commit.snapshot) }
  }

  /** The chunks of a snapshot, in the order of ids. */
  async *chunks(selector = 'latest', options: CallOptions = {}): AsyncGenerator<Chunk> {
    const { signal } = options
    const { commit } = await this.#pointer.current(signal)
    const { header } = await findHeader(this.#context, commit, selector, signal)
    yield* chunksOf(this.#context, header, signal)
  }

  /** What changed from one snapshot to another, in the order of ids. */
  async *diff(before: string, after: string, options: CallOptions = {}): AsyncGenerator<Change> {
    const { signal } = options
    const { commit } = await this.#pointer.current(signal)
    const from = await findHeader(this.#context, commit, before, signal)
    const to = await findHeader(this.#context, commit, after, signal)
    yield* diffTrees(this.#context.nodes, from.header.root, to.header.root, signal)
  }

  /** Makes an earlier state current again, as a new commit. */
  rollback(target: RollbackTarget, options: RollbackOptions = {}): Promise<RollbackReport> {
    return rollback(this.#context, this.#pointer, target, options)
  }

  async status(options: CallOptions = {}): Promise<DatasetStatus> {
    const state = await this.#pointer.current(options.signal)
    return datasetStatus(this.#context, state, options.signal)
  }
}
