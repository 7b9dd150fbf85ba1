/**
 * Bulk load: any number of entries in one commit, all or nothing.
 *
 *   1 reserve the dataset: other writers get `busy` while the guard in the pointer is renewed
 *   2 read the source: contents go to the store, entries to an external sort
 *   3 merge: judge each entry in the order of ids, prove its content, give it its position, stage its
 *     chain block, and merge it, with the recent chain under it, into the tree
 *   4 read everything new back and prove it
 *   5 commit { snapshot, base = head = the last chain block }, which also lifts the guard
 *
 * Dying before 5 leaves unnamed blocks and a guard that is void two minutes later.
 */
import { throwIfAborted } from '../errors.ts'
import { refuseMissing } from '../content/complete.ts'
import { LeafBlock } from '../content/encode.ts'
import type { LoadedBlock } from '../chain/walk.ts'
import { entriesThatFit } from '../model/chain-block.ts'
import type { Block, CidBytes } from '../model/cid.ts'
import type { Commit } from '../model/commit.ts'
import type { Entry } from '../model/entry.ts'
import { RunBuilder, type Run } from '../model/run.ts'
import { encodeSnapshot } from '../model/snapshot.ts'
import type { Staging } from '../store/backend.ts'
import { mergeTree, type MergedTree } from '../tree/merge.ts'
import { untilAborted } from '../util/abortable.ts'
import { ExternalSort, type SortRecord } from '../util/external-sort.ts'
import { chainBlocks } from '../chain/extend.ts'
import { headerOf, snapshotChanges } from './build.ts'
import { newestOf, runsOf } from './chain-edits.ts'
import { momentOf, type Context, type LongOptions } from './context.ts'
import { judge, type Draft } from './draft.ts'
import { decodeDraft, encodeDraft, needsProof } from './draft-record.ts'
import { ContentStager, encodeSmall, type FileBytes, type StoredContent } from './content-stager.ts'
import { Guard } from './guard.ts'
import { draftOfItem, type ImportEntry } from './import-entry.ts'
import { checkNotes } from './notes.ts'
import type { Pointer } from './pointer.ts'
import { NodeStager, readBack } from './stage-nodes.ts'
import { endStaging } from './staging.ts'
import type { State } from './state.ts'

export interface BulkOptions extends LongOptions {
  /** Where entries are sorted that do not fit in memory; the system's folder for such unless given. */
  readonly tempDir?: string | undefined
  readonly sortBytes?: number | undefined
  readonly reason?: string | undefined
}

export interface BulkReport {
  /** Entries that were new, and those that were there before. */
  readonly appended: number
  readonly already: number
  readonly snapshot: CidBytes
  readonly seq: number
  readonly totalCount: number
  /** The position behind its entries. */
  readonly next: number
}

/** Entries that wait for their chain block; a block of the shortest ids holds fewer. */
const BLOCK_ENTRIES = 14_000
const CHECK_TIPS = 256
/** Entries that go to the merge at a time. */
const RUN_ENTRIES = 4096

export async function bulkLoad(
  context: Context,
  pointer: Pointer,
  source: AsyncIterable<ImportEntry> | Iterable<ImportEntry>,
  options: BulkOptions = {},
): Promise<BulkReport> {
  checkNotes(options)
  throwIfAborted(options.signal)
  const guard = await Guard.take(context, pointer, options.reason ?? 'bulk load')
  const sort = new ExternalSort({ tempDir: options.tempDir, memoryBytes: options.sortBytes })
  let staging: Staging | undefined
  let outcome: 'committed' | 'dropped' = 'dropped'
  try {
    staging = await context.backend.stage(pointer.dataset, 'bulk load', { signal: options.signal })
    const linked = pointer.seen.commit.settings.content === 'linked'
    const read = await readSource(source, { sort, staging, guard, options, linked })
    const load = new Load(context, pointer.seen, { staging, guard, options })
    const merged = await load.merge(sort, read)
    if (load.appended === 0) return nothingNew(load)
    const report = await commitLoad(context, pointer, load, merged, { staging, guard, options })
    outcome = 'committed'
    return report
  } finally {
    const { dataset } = pointer
    const event = 'bulk_load.end_failed'
    if (staging !== undefined) await endStaging(context, staging, { dataset, outcome, event })
    await sort.dispose().catch((error: unknown) => {
      context.log.error(event, { dataset, error: String(error) })
    })
    if (outcome === 'committed') guard.stop()
    else await guard.lift()
  }
}

interface Parts {
  readonly staging: Staging
  readonly guard: Guard
  readonly options: BulkOptions
}

/** Step 2. Returns how many items there were. */
async function readSource(
  source: AsyncIterable<ImportEntry> | Iterable<ImportEntry>,
  { sort, staging, guard, options, linked }: Parts & { sort: ExternalSort; linked: boolean },
): Promise<number> {
  const content = new ContentStager(() => Promise.resolve(staging), options.signal)
  // The staging goes with the commit, which fails if it has ended: what links to nothing needs no proof.
  const putBlock = async (block: Block): Promise<StoredContent> => {
    await content.stage(block)
    return { cid: block.cid, isWhole: block instanceof LeafBlock }
  }
  const put = async (value: unknown): Promise<StoredContent> => {
    const block = encodeSmall(value)
    if (block === undefined) return content.putFile(value as FileBytes)
    // The bytes are the source's, which may use them for its next item.
    const isTheirs = value instanceof Uint8Array
    return putBlock(isTheirs ? new LeafBlock(block.cid, new Uint8Array(block.bytes)) : block)
  }
  let done = 0
  for await (const item of untilAborted(source, options.signal)) {
    const draft = await draftOfItem(item, { put, putBlock })
    const needsProof = linked && draft.needsProof
    await sort.add({ key: draft.key, payload: encodeDraft({ ...draft, needsProof }) })
    done += 1
    if (done % 1000 === 0) options.onProgress?.({ step: 'read', done })
    await guard.keep()
  }
  await content.flush()
  return done
}

/** Step 3: the entries in the order of ids, judged, and split into chain blocks and edits of the tree. */
class Load {
  appended = 0
  already = 0
  readonly state: State
  readonly at: number
  readonly #context: Context
  readonly #parts: Parts
  /** A commit as the next chain block sees it. */
  #chainEnd: Commit
  readonly #waiting: Entry[] = []
  #recent: LoadedBlock[] = []
  readonly chainCids: CidBytes[] = []
  readonly #nodes: NodeStager

  constructor(context: Context, state: State, parts: Parts) {
    this.#context = context
    this.state = state
    this.#parts = parts
    this.at = momentOf(context, state.commit)
    this.#chainEnd = state.commit
    this.#recent = [...state.chain]
    this.#nodes = new NodeStager(context, parts.staging, parts.options.signal)
  }

  get chainEnd(): Commit {
    return this.#chainEnd
  }

  async merge(sort: ExternalSort, read: number): Promise<MergedTree> {
    const { header, commit } = this.state
    const total = read + commit.recentCount
    const { signal, onProgress } = this.#parts.options
    const merged = await mergeTree(
      {
        nodes: this.#context.nodes,
        root: header.root,
        leafCount: header.chunkCount,
        chunkSize: header.chunkSize,
        at: this.at,
        sink: this.#nodes,
        signal,
        onProgress: (done) => onProgress?.({ step: 'merge', done, total }),
      },
      this.#edits(sort.sorted()),
    )
    await this.#writeChain(true)
    await this.#nodes.finish()
    await this.#prove()
    return merged
  }

  async #prove(): Promise<void> {
    const { signal, onProgress } = this.#parts.options
    const written = [...this.#nodes.written, ...this.chainCids]
    await readBack(this.#context, written, signal, (done) =>
      onProgress?.({ step: 'prove', done, total: written.length }),
    )
  }

  /** The newest entry of each entity, sorted: the recent chain, and over it what is loaded. */
  async *#edits(sorted: AsyncIterable<SortRecord[]>): AsyncGenerator<Run> {
    const builder = new RunBuilder()
    const { content } = this.state.header
    const chain = await newestOf(this.#context, this.state.chain)
    let chainAt = 0
    let newest: { key: string; entry: Entry } | undefined
    const take = (key: string, entry: Entry): void => {
      for (let one = chain[chainAt]; one !== undefined && one.key <= key; one = chain[chainAt]) {
        if (one.key < key) builder.push(one.entry, content, one.key)
        chainAt += 1
      }
      builder.push(entry, content, key)
    }
    for await (const batch of sorted) {
      await this.#checkTips(batch)
      for (const { key, payload } of batch) {
        const known = newest?.key === key ? newest.entry : await this.#current(key)
        const entry = this.#accept(decodeDraft(key, payload), known)
        if (entry === undefined) continue
        if (newest !== undefined && newest.key !== key) take(newest.key, newest.entry)
        newest = { key, entry }
      }
      await this.#writeChain(false)
      await this.#parts.guard.keep()
      if (builder.count >= RUN_ENTRIES) yield builder.take()
    }
    if (newest !== undefined) take(newest.key, newest.entry)
    yield* runsOf(chain.slice(chainAt), content, builder)
  }

  /** Linked tips must be whole; all content that came with the entries is in the store by now. */
  async #checkTips(batch: readonly SortRecord[]): Promise<void> {
    const tips = batch.flatMap(({ key, payload }) => {
      const tip = needsProof(payload) ? decodeDraft(key, payload).tip : null
      return tip === null ? [] : [tip]
    })
    for (let from = 0; from < tips.length; from += CHECK_TIPS) {
      const some = tips.slice(from, from + CHECK_TIPS)
      await refuseMissing(this.#context.backend, some, this.#parts.options.signal)
    }
  }

  #current(key: string): Entry | undefined | Promise<Entry | undefined> {
    return this.state.overlay.get(key)?.entry ?? this.state.overlay.tree.get(key)
  }

  #accept(draft: Draft, known: Entry | undefined): Entry | undefined {
    const { deletedMs } = this.state.commit.settings
    const { status, entry } = judge(draft, known, { at: this.at, deletedMs })
    if (status === 'already') {
      this.already += 1
      return undefined
    }
    this.appended += 1
    this.#waiting.push(entry)
    return entry
  }

  /** Stages as many chain blocks as are full; at the end also the last one. */
  async #writeChain(all: boolean): Promise<void> {
    while (this.#waiting.length > BLOCK_ENTRIES || (all && this.#waiting.length > 0)) {
      const count = entriesThatFit(this.#waiting, 0)
      const entries = this.#waiting.splice(0, count)
      for (const { cid, bytes, block } of chainBlocks(
        this.#chainEnd,
        this.#recent,
        entries,
        this.at,
      )) {
        await this.#parts.staging.put([{ cid, bytes, hold: 'self' }], {
          signal: this.#parts.options.signal,
        })
        this.chainCids.push(cid)
        this.#recent = [...this.#recent.slice(-255), { cid, block: { ...block, entries: [] } }]
        this.#chainEnd = {
          ...this.#chainEnd,
          head: cid,
          next: block.first + block.entries.length,
          nextOrdinal: block.ordinal + 1,
        }
      }
    }
  }
}

/** Step 5. The guard has kept everybody else from committing since step 1. */
async function commitLoad(
  context: Context,
  pointer: Pointer,
  load: Load,
  merged: MergedTree,
  { staging, guard, options: { signal } }: Parts,
): Promise<BulkReport> {
  const { chainEnd, appended, already } = load
  const from = { ...load.state, commit: chainEnd }
  const header = headerOf(from, merged, load.at, { reason: guard.reason })
  const snapshot = encodeSnapshot(header)
  return pointer.move(
    async (state) => {
      guard.check(state.commit)
      const { changes, blocks } = await snapshotChanges(context, state, header, snapshot)
      return {
        changes: {
          ...changes,
          head: null,
          base: header.head,
          recentCount: 0,
          next: chainEnd.next,
          chainFirst: chainEnd.next,
          nextOrdinal: chainEnd.nextOrdinal,
          totalCount: header.live,
          exclusive: null,
        },
        blocks,
        staging,
        result: {
          appended,
          already,
          snapshot: snapshot.cid,
          seq: header.seq,
          totalCount: header.live,
          next: chainEnd.next,
        },
      }
    },
    { signal, fresh: true, guard: guard.token },
  )
}

function nothingNew({ already, state: { commit } }: Load): BulkReport {
  const { snapshot, snapshotSeq, totalCount, next } = commit
  return { appended: 0, already, snapshot, seq: snapshotSeq, totalCount, next }
}
