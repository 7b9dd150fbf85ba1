/**
 * The way of a state's blocks from one store into another. All that the state reaches and the target is not known
 * to have is walked, each block hashed: read from the target where a sync that was cut has left it, else from the
 * source. What is put, or was found, stays in the target until the staging ends.
 *
 * Invariant: a block that links to others is put after them, or with the same flush; `finish` says that all of
 * it is there, and was read back.
 */
import { walkBack, type LoadedBlock } from '../../chain/walk.ts'
import { CairnError } from '../../errors.ts'
import { encodeChainBlock } from '../../model/chain-block.ts'
import { cidKey, cidMatches, inlineBytes, type CidBytes } from '../../model/cid.ts'
import type { Commit } from '../../model/commit.ts'
import { DAMAGED_HINT } from '../../model/ipld.ts'
import { decodeKeptPage, type KeptSnapshot } from '../../model/kept.ts'
import { decodeNode, isLeaf } from '../../model/node.ts'
import type { SnapshotHeader } from '../../model/snapshot.ts'
import { walkContent } from '../../reach/content.ts'
import { seenIn, type Met, type Visitor } from '../../reach/met.ts'
import { storeSource } from '../../reach/source.ts'
import { misplaced } from '../../reach/checks.ts'
import { tipsOf } from '../../reach/tips.ts'
import { Walk } from '../../reach/walk.ts'
import type { ReadOptions, Staging } from '../../store/backend.ts'
import { readProvedBlock, type BlockReader } from '../../store/proved.ts'
import { DigestMap } from '../../util/digest-map.ts'
import type { Context, LongOptions } from '../context.ts'
import { bearsMark, isMarkedDamaged, withoutMarks } from '../damage.ts'
import { keptPages } from '../prune/kept-pages.ts'
import { RestoreStager } from '../restore-stager.ts'
import { readBack } from '../stage-nodes.ts'
import { identitiesOf } from '../state.ts'
import { forkedLog } from './check-target.ts'
import type { Known } from './known.ts'
import { Along } from './log-ahead.ts'
import type { BlockOptions, SyncSource } from './source.ts'

export interface CopyCounts {
  /** Blocks that came from the source, and their bytes. */
  readonly blocks: number
  readonly bytes: number
  /** Calls that the source answered. */
  readonly requests: number
  /** Blocks that the state needs and that lay in the target already, though its last state has them not. */
  readonly found: number
}

export interface CopyOptions extends LongOptions {
  readonly source: SyncSource
  readonly target: Context
  readonly staging: Staging
  /** The commit of the source that is copied. */
  readonly commit: Commit
  readonly known: Known | undefined
}

/** What was put is made durable after so many bytes: a copy that is cut goes on from there. */
const FLUSH_BYTES = 32 << 20
/** So many blocks of the log, and contents of theirs, are taken together at first, and at most; and so many bytes. */
const FIRST_AT_ONCE = 16
const MOST_AT_ONCE = 64
const AT_ONCE_BYTES = 2 << 20

export class Copier {
  readonly #options: CopyOptions
  readonly #linked: boolean
  readonly #stager: RestoreStager
  readonly #nodes = new DigestMap()
  readonly #contents = new DigestMap()
  readonly #seenNodes = seenIn(this.#nodes)
  readonly #seenContents = seenIn(this.#contents)
  /** Blocks as they were read that the target has. */
  readonly #found = new WeakSet<Uint8Array>()
  /** The tips of a leaf or chain block under way whose content the target has, or was asked for. */
  #tips: Set<string> = new Set()
  #unflushed = 0
  /** Content of the log that was fetched before its turn. */
  readonly #along = new Along()
  #atOnce = FIRST_AT_ONCE
  readonly #counts = { blocks: 0, bytes: 0, requests: 0, found: 0 }

  constructor(options: CopyOptions) {
    const { target, staging, commit, signal } = options
    this.#options = options
    this.#linked = commit.settings.content === 'linked'
    this.#stager = new RestoreStager(target, staging, commit.settings.content, signal)
  }

  get counts(): CopyCounts {
    return { ...this.#counts }
  }

  /**
   * Of the target, else of the source, as many of the first ones as that likes to give at once. What is damaged in
   * the target is mended.
   */
  getBlocks(
    cids: readonly CidBytes[],
    options: ReadOptions = {},
  ): Promise<(Uint8Array | undefined)[]> {
    return this.#along.read(cids, (lacking) => this.#read(lacking, options))
  }

  async #read(
    cids: readonly CidBytes[],
    { signal, logFrom }: BlockOptions,
  ): Promise<(Uint8Array | undefined)[]> {
    const { source, target } = this.#options
    const blocks = await target.backend.getBlocks(cids, { signal, rely: true })
    // Each once: entities often share a content.
    const lacking = new Map<string, CidBytes>()
    for (const [i, cid] of cids.entries())
      if (!this.#isWhole(cid, blocks[i])) lacking.set(cidKey(cid), cid)
    if (lacking.size === 0) return blocks
    const read = await source.getBlocks([...lacking.values()], { signal, logFrom })
    this.#count(read)
    const places = new Map([...lacking.keys()].map((key, place) => [key, place]))
    for (const [i, cid] of cids.entries()) {
      const place = places.get(cidKey(cid))
      if (place === undefined) continue
      if (place >= read.length) return blocks.slice(0, i)
      const bytes = read[place]
      if (blocks[i] !== undefined && bytes !== undefined && cidMatches(cid, bytes))
        await target.backend.heal([{ cid, bytes }], { signal })
      blocks[i] = bytes
    }
    return blocks
  }

  #isWhole(cid: CidBytes, bytes: Uint8Array | undefined): boolean {
    if (bytes === undefined || !cidMatches(cid, bytes)) return false
    this.#found.add(bytes)
    return true
  }

  #count(read: readonly (Uint8Array | undefined)[]): void {
    this.#counts.requests += 1
    for (const bytes of read) {
      if (bytes === undefined) continue
      this.#counts.blocks += 1
      this.#counts.bytes += bytes.length
    }
  }

  readonly #visitor: Visitor = {
    block: async (met) => {
      const isThere = this.#found.has(met.bytes)
      if (isThere) this.#counts.found += 1
      if (met.kind === 'leaf' && this.#linked) await this.#learnTips(met)
      // Content that was found is held through the block that leads to it.
      if (isThere && met.kind === 'content') return
      this.#unflushed += met.bytes.length
      await this.#stager.block(met)
      this.#tell()
    },
    leave: (met) => this.#leave(met),
    problem: (error) => {
      throw error
    },
  }

  async #leave(met: Met): Promise<void> {
    await this.#stager.leave(met)
    if (this.#unflushed < FLUSH_BYTES) return
    this.#unflushed = 0
    await this.#stager.finish()
  }

  async #learnTips({ bytes }: Met): Promise<void> {
    const { known } = this.#options
    const node = decodeNode(bytes)
    const isBeside = known !== undefined && isLeaf(node)
    this.#tips = isBeside ? await known.tipsBeside(node) : new Set()
  }

  /** Also false for one that was asked for already under this leaf: entities often share a content. */
  #wantsTip(tip: CidBytes): boolean {
    const key = cidKey(tip)
    if (this.#tips.has(key) || this.#options.known?.hasRecentTip(tip) === true) return false
    this.#tips.add(key)
    return true
  }

  #tell(): void {
    const { blocks, found } = this.#counts
    this.#options.onProgress?.({ step: 'copy', done: blocks + found })
  }

  /** A snapshot with its tree, and with its content where that is linked. */
  async snapshot(cid: CidBytes): Promise<SnapshotHeader> {
    const { known, signal } = this.#options
    const nodes = await known?.nodes()
    const walk = new Walk({
      source: storeSource(this),
      visitor: this.#visitor,
      seen: this.#seenNodes,
      seenContent: this.#seenContents,
      content: this.#linked ? 'full' : 'index',
      skipNode: (node) => nodes?.has(cidKey(node)) === true || this.#seenNodes.has(node),
      wantsTip: (tip) => this.#wantsTip(tip),
      signal,
    })
    const header = await walk.snapshot(cid)
    if (header === undefined) throw new CairnError('internal', 'a snapshot that was passed over')
    return header
  }

  /** The log up to the commit, down to its floor or to where the target's own begins. */
  async log(header: SnapshotHeader): Promise<void> {
    const { commit, known, signal } = this.#options
    const { floor } = commit
    let follows = commit.next
    const walk = {
      head: commit.head ?? commit.base,
      // One that it does not pass, after a rollback, ends nothing.
      base: known?.logEnd(floor) ?? null,
      identities: identitiesOf(commit),
      floor,
      next: commit.head === null ? header.upto : commit.next,
      signal,
    }
    const logFrom = Math.max(floor, known?.commit.next ?? floor)
    const reader: BlockReader = {
      getBlocks: (cids, options) => this.#read(cids, { ...options, logFrom }),
    }
    let some: LoadedBlock[] = []
    for await (const one of walkBack(reader, walk)) {
      if (follows <= floor || known?.hasLog(one.cid, floor) === true) break
      follows = one.block.first
      some.push(one)
      if (some.length < this.#atOnce) continue
      await this.#putLog(some)
      some = []
    }
    if (known !== undefined && isForked(known.commit, commit, follows))
      throw forkedLog(known.commit)
    await this.#putLog(some)
    this.#along.keep(new Map())
  }

  /** Blocks of the log, newest first. */
  async #putLog(blocks: readonly LoadedBlock[]): Promise<void> {
    const { settings } = this.#options.commit
    if (this.#linked) await this.#fetch(blocks.flatMap(({ block }) => tipsOf(block.entries)))
    for (const { cid, block } of blocks) {
      const bytes = encodeChainBlock(block, settings.content)
      if (!cidMatches(cid, bytes)) throw misplaced('The chain block', cid)
      if (this.#linked) await this.#content(tipsOf(block.entries))
      this.#unflushed += bytes.length
      await this.#leave({ cid, bytes, kind: 'chain', entries: block.entries.length })
      this.#tell()
    }
  }

  /** What many small blocks of the log lead to comes at once, as far as memory bears; it is walked in its turn. */
  async #fetch(tips: readonly CidBytes[]): Promise<void> {
    const { known, signal } = this.#options
    const wanted = new Map<string, CidBytes>()
    for (const tip of tips) {
      const isThere = known?.hasRecentTip(tip) === true || this.#seenContents.has(tip)
      if (isThere || inlineBytes(tip) !== undefined) continue
      wanted.set(cidKey(tip), tip)
      if (wanted.size === this.#atOnce) break
    }
    if (wanted.size < 2) return
    const blocks = await this.#read([...wanted.values()], { signal })
    const keys = [...wanted.keys()]
    const fetched = new Map<string, Uint8Array>()
    let size = 1
    for (const [i, bytes] of blocks.entries()) {
      size += bytes?.length ?? 0
      if (bytes !== undefined) fetched.set(keys[i] ?? '', bytes)
    }
    this.#along.keep(fetched)
    const fitting = Math.floor((AT_ONCE_BYTES * blocks.length) / size)
    this.#atOnce = Math.max(1, Math.min(MOST_AT_ONCE, fitting, this.#atOnce * 4))
  }

  #content(tips: readonly CidBytes[]): Promise<void> {
    const { signal } = this.#options
    this.#tips = new Set()
    const wanted = tips.filter((tip) => this.#wantsTip(tip))
    const source = storeSource(this)
    const walk = { source, seen: this.#seenContents, visitor: this.#visitor, deep: true, signal }
    return walkContent(walk, wanted)
  }

  /**
   * The kept list, newest first, and the newest page of it. Marks of damage name commits of the source: a replica
   * has neither those nor what was found damaged.
   */
  async keptList(): Promise<{ readonly kept: readonly KeptSnapshot[]; readonly newest: CidBytes }> {
    const { commit, signal } = this.#options
    const all: KeptSnapshot[] = []
    const pages: { readonly cid: CidBytes; readonly bytes: Uint8Array }[] = []
    for (let cid: CidBytes | null = commit.kept; cid !== null;) {
      const bytes = await readProvedBlock(this, cid, 'the kept list', { signal })
      pages.push({ cid, bytes })
      const { older, snapshots } = decodeKeptPage(bytes)
      all.push(...snapshots.toReversed())
      if (all.length > commit.keptCount) break
      cid = older
    }
    if (all.length !== commit.keptCount) throw miscounted(commit.keptCount)
    const isSound = !all.some(bearsMark)
    const kept = isSound ? all : all.filter((one) => !isMarkedDamaged(one)).map(withoutMarks)
    const own = isSound ? pages.reverse() : keptPages(kept.toReversed())
    for (const page of own) await this.#stager.block({ ...page, kind: 'snapshot' })
    return { kept, newest: own.at(-1)?.cid ?? commit.kept }
  }

  /** All that was copied is durable and was read back. */
  async finish(): Promise<void> {
    const { target, signal, onProgress } = this.#options
    const { records } = this.#stager
    await this.#stager.finish()
    await readBack(target, records, signal, (done) =>
      onProgress?.({ step: 'read back', done, total: records.length }),
    )
  }

  close(): void {
    this.#nodes.close()
    this.#contents.close()
  }
}

/**
 * Whether a walk along the source's log, which went down to the position `down`, has missed the end of the target's: one
 * block of it must end where the target's last one does. Another generation may have left the log before that.
 */
function isForked(target: Commit, source: Commit, down: number): boolean {
  const isSameLine = target.generation.tag === source.generation.tag
  return isSameLine && target.next > source.floor && down < target.next
}

function miscounted(said: number): CairnError {
  return new CairnError(
    'invalid_block',
    `The commit counts ${said} kept snapshots, its list has others.`,
    { hint: DAMAGED_HINT },
  )
}
