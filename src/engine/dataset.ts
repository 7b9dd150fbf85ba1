/**
 * Dataset: what a program does with one named set of entities. Each method is a short path into one
 * file of this folder; the order of steps and the reasons are there.
 */
import type { BlockWriter } from '../car/writer.ts'
import { CairnError, isCairnError } from '../errors.ts'
import type { ContentValue } from '../content/encode.ts'
import { readContent, type Content } from '../content/read.ts'
import { bytesEqual, type Block, type CidBytes } from '../model/cid.ts'
import { parseId } from '../model/entity-id.ts'
import { isExpired, type Entry } from '../model/entry.ts'
import type { Commit } from '../model/commit.ts'
import type { KeptSnapshot } from '../model/kept.ts'
import type { SnapshotHeader } from '../model/snapshot.ts'
import { diffTrees, type Change } from '../tree/diff.ts'
import { Appender, type Appended } from './append.ts'
import { bulkLoad, type BulkOptions, type BulkReport } from './bulk.ts'
import { draftOfItem, type ImportEntry } from './import-entry.ts'
import { BatchContent } from './batch-content.ts'
import { buildSnapshot, type BuildOptions, type BuildReport } from './build.ts'
import { followLog, type ChangesOptions, type LogChange } from './changes.ts'
import { chunksOf, type Chunk } from './chunks.ts'
import { ContentProof } from './content-proof.ts'
import type { CallOptions } from '../store/backend.ts'
import { momentOf, type Context } from './context.ts'
import { parseCidLike, type AppendEntry, type CidLike, type Draft } from './draft.ts'
import { exportCar, type ExportCarOptions, type ExportedCar } from './export-car.ts'
import { headOf, type DatasetHead } from './head.ts'
import { historyOf, type LoggedEntry } from './history.ts'
import { listPage, rangeOf, type ListOptions, type Page } from './list.ts'
import { secondsSince } from './observe.ts'
import { logBackPage, type LogBackOptions, type LogBackPage } from './log-back.ts'
import { logPage, type LogOptions, type LogPage } from './log.ts'
import { withPinRoots, type PinRoots } from './pin-roots.ts'
import type { Pointer } from './pointer.ts'
import { prune, type PruneOptions, type PruneReport } from './prune/prune.ts'
import {
  rollback,
  type RollbackOptions,
  type RollbackReport,
  type RollbackTarget,
} from './rollback.ts'
import { findSnapshot, keptSnapshots } from './snapshots.ts'
import { readHeader, type State } from './state.ts'
import { datasetStatus, type DatasetStatus } from './status.ts'
import { PastStates, type At } from './time.ts'
import { View } from './view.ts'

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
  readonly #past: PastStates
  readonly #autoBuild: boolean

  constructor(context: Context, pointer: Pointer, options: DatasetOptions = {}) {
    this.name = pointer.dataset
    this.#context = context
    this.#pointer = pointer
    this.#autoBuild = options.autoBuild ?? true
    this.#past = new PastStates(context)
    this.#appender = new Appender(context, pointer, (entries) => this.#makeRoom(entries))
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

  async #write(
    entries: readonly ImportEntry[],
    { signal }: CallOptions,
  ): Promise<{ appended: Appended[]; drafts: readonly Draft[] }> {
    const contents = new BatchContent(
      () => this.#context.backend.stage(this.name, 'content of a put', { signal }),
      signal,
    )
    try {
      const drafts: Draft[] = []
      for (const entry of entries) {
        // Only a large content makes the batch wait: those behind it would overtake it.
        const draft = draftOfItem(entry, (value) => contents.put(value))
        drafts.push(draft instanceof Promise ? await draft : draft)
      }
      await contents.flush()
      const content = contents.carried
      const relies = await this.#proveContent(drafts, content, signal)
      const batch = { drafts, content, relies, signal }
      const appended = await this.#appender.append(batch)
      await this.#context.replicas?.acknowledge(this.#pointer)
      return { appended, drafts }
    } finally {
      // What was committed stays so, and what failed says why: an end that fails is the sweep's business.
      await contents.end().catch((error: unknown) => {
        this.#context.log.error('staging.end_failed', { dataset: this.name, error: String(error) })
      })
    }
  }

  /** A linked tip joins the chain only when its whole DAG is in the store, or comes with it. */
  async #proveContent(
    drafts: readonly Draft[],
    content: readonly Block[],
    signal?: AbortSignal,
  ): Promise<ContentProof | undefined> {
    if (this.#pointer.seen.commit.settings.content === 'external') return undefined
    const tips = drafts.flatMap(({ tip }) => (tip === null ? [] : [tip]))
    const proof = new ContentProof(this.#context.backend, tips, content, signal)
    await proof.renew()
    return proof
  }

  /** The entity's current version; undefined when there is none, or it is deleted or expired. */
  async get(
    pi: string,
    options: CallOptions & { readonly at?: At | undefined } = {},
  ): Promise<Entry | undefined> {
    const key = parseId(pi)
    return this.#pointer.reading(async (state) => {
      if (options.at !== undefined) {
        const entry = await (await this.#view(state, options.at, options.signal)).view.get(key)
        return entry === undefined || entry.tip === null ? undefined : entry
      }
      // From here to the first await nothing else runs: tree and overlay are of one commit.
      const { commit, overlay } = this.#pointer.seen
      const entry = overlay.get(key)?.entry ?? (await overlay.tree.get(key))
      if (entry === undefined || entry.tip === null) return undefined
      return isExpired(entry.exp, momentOf(this.#context, commit)) ? undefined : entry
    }, options.signal)
  }

  /** What a tip points at: a value, or a stream of bytes. */
  async content(tip: CidLike, options: CallOptions = {}): Promise<Content> {
    return readContent(this.#context.backend, parseCidLike(tip), options.signal)
  }

  /** One page of entities. */
  async list(options: ListOptions & { at?: At | undefined } = {}): Promise<Page> {
    const began = performance.now()
    const page = await this.#pointer.reading(async (state) => {
      const { view, identity, totalCount } = await this.#view(state, options.at, options.signal)
      return listPage(view, { identity, totalCount }, options)
    }, options.signal)
    this.#context.observe?.('page', secondsSince(began), { dataset: this.name })
    return page
  }

  /** All entities of a range, streamed from one state. */
  async *entries(
    options: Pick<ListOptions, 'prefix' | 'from' | 'to' | 'order' | 'signal'> & {
      readonly at?: At | undefined
      readonly deleted?: boolean | undefined
    } = {},
  ): AsyncGenerator<Entry> {
    const state = await this.#pointer.current(options.signal)
    const { view } = await this.#view(state, options.at, options.signal)
    const batches = view.walk({
      range: rangeOf(options),
      descending: options.order === 'desc',
      deleted: options.deleted ?? false,
      signal: options.signal,
    })
    for await (const batch of batches) yield* batch
  }

  /** How many live entities a range has. Those that expired since the last build count until the next. */
  async count(
    options: CallOptions &
      Pick<ListOptions, 'prefix' | 'from' | 'to'> & { at?: At | undefined } = {},
  ): Promise<number> {
    return this.#pointer.reading(async (state) => {
      const { view } = await this.#view(state, options.at, options.signal)
      const { from, to } = rangeOf(options)
      const end = to === undefined ? await view.liveCount() : await view.rankOf(to)
      return Math.max(0, end - (from === undefined ? 0 : await view.rankOf(from)))
    }, options.signal)
  }

  async #view(
    now: State,
    at: At | undefined,
    signal: AbortSignal | undefined,
  ): Promise<{ view: View; identity: string; totalCount: number }> {
    if (at !== undefined) {
      const past = await this.#past.at(now, at, signal)
      return {
        view: new View(past.overlay, past.at),
        identity: past.commit.identity,
        totalCount: past.totalCount,
      }
    }
    // Commit and overlay are taken together, without an await between them.
    const { commit, overlay } = this.#pointer.seen
    const view = new View(overlay, momentOf(this.#context, commit))
    return { view, identity: commit.identity, totalCount: commit.totalCount }
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

  async #makeRoom(entries: number): Promise<void> {
    if (this.#autoBuild) {
      await this.#pointer.builds.run(() => this.#buildForRoom(entries))
      return
    }
    const { recentCount, settings } = (await this.#pointer.current()).commit
    throw new CairnError(
      'chain_full',
      `The recent chain is full: ${recentCount} of ${settings.chainLimit} entries.`,
      {
        hint: 'Build a snapshot (`cairn build-snapshot`), then try again.',
      },
    )
  }

  /**
   * A build that was under way has made room already. One is dropped when another process has built first,
   * which has made room all the same.
   */
  async #buildForRoom(entries: number): Promise<void> {
    const { recentCount, settings } = (await this.#pointer.current()).commit
    if (recentCount + entries <= settings.chainLimit) return
    try {
      await buildSnapshot(this.#context, this.#pointer, { reason: 'chain limit' })
    } catch (error) {
      if (!isCairnError(error, 'conflict')) throw error
    }
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
    const { cid } = await findSnapshot(this.#context, commit, selector, signal)
    const header = await readHeader(this.#context, { ...commit, snapshot: cid }, signal)
    yield* chunksOf(this.#context, header, signal)
  }

  /** What changed from one snapshot to another, in the order of ids. */
  async *diff(before: string, after: string, options: CallOptions = {}): AsyncGenerator<Change> {
    const { signal } = options
    const { commit } = await this.#pointer.current(signal)
    const roots: CidBytes[] = []
    for (const selector of [before, after]) {
      const { cid } = await findSnapshot(this.#context, commit, selector, signal)
      roots.push((await readHeader(this.#context, { ...commit, snapshot: cid }, signal)).root)
    }
    const [from, to] = roots
    if (from !== undefined && to !== undefined)
      yield* diffTrees(this.#context.nodes, from, to, signal)
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
