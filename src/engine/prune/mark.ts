/**
 * Marking what is needed, and offering what may not be: both walk what commits and snapshots reach.
 * Marking misses nothing, so a block that is missing stops it; offering takes what is still there.
 */
import { walkBack } from '../../chain/walk.ts'
import { isCairnError, throwIfAborted } from '../../errors.ts'
import type { Entry } from '../../model/entry.ts'
import { decodeKeptPage } from '../../model/kept.ts'
import { bytesEqual, type CidBytes } from '../../model/cid.ts'
import type { Commit } from '../../model/commit.ts'
import { seenIn, type Met, type Seen, type Visitor } from '../../reach/met.ts'
import { walkContent } from '../../reach/content.ts'
import { storeSource } from '../../reach/source.ts'
import { tipsOf } from '../../reach/tips.ts'
import { Walk } from '../../reach/walk.ts'
import type { HeldCid } from '../../store/backend.ts'
import { readProvedBlock } from '../../store/proved.ts'
import { DigestMap } from '../../util/digest-map.ts'
import type { Context, LongOptions } from '../context.ts'
import { identitiesOf, readHeader } from '../state.ts'
import { commitLog, generations, keptLists } from './log.ts'

const BATCH = 4096

export interface ReacherOptions extends LongOptions {
  /** Whether content is walked, too: not where leaves and chain blocks hold theirs by themselves. */
  readonly content: boolean
  /** Pass over what is missing. */
  readonly tolerant: boolean
  readonly take: (blocks: readonly HeldCid[]) => Promise<unknown>
  readonly step: string
}

/** Hands over all that commits and snapshots reach, each block once. */
export class Reacher {
  readonly #context: Pick<Context, 'backend'>
  readonly #options: ReacherOptions
  readonly #table = new DigestMap()
  readonly #seen: Seen = seenIn(this.#table)
  readonly #passed = new Passed()
  readonly #walk: Walk
  #tolerant: boolean
  #batch: HeldCid[] = []
  #done = 0

  constructor(context: Pick<Context, 'backend'>, options: ReacherOptions) {
    this.#context = context
    this.#options = options
    this.#tolerant = options.tolerant
    this.#walk = new Walk({
      source: storeSource(context.backend),
      visitor: this.#visitor,
      seen: this.#seen,
      content: options.content ? 'full' : 'index',
      // Nodes that snapshots share were handed over with all that is under them.
      skipNode: (cid) => this.#seen.has(cid),
      signal: options.signal,
    })
  }

  readonly #visitor: Visitor = {
    block: (met) => this.#add(met),
    problem: (error) => {
      if (!this.#tolerant || !isMissing(error)) throw error
    },
  }

  /** From now on what is missing is passed over. */
  tolerate(): void {
    this.#tolerant = true
  }

  #add({ cid, kind }: Pick<Met, 'cid' | 'kind'>): Promise<void> | undefined {
    this.#batch.push({ cid, hold: kind === 'leaf' || kind === 'chain' ? 'deep' : 'self' })
    this.#done += 1
    return this.#batch.length < BATCH ? undefined : this.flush()
  }

  async flush(): Promise<void> {
    const { take, onProgress, step } = this.#options
    const batch = this.#batch
    this.#batch = []
    if (batch.length > 0) await take(batch)
    onProgress?.({ step, done: this.#done })
  }

  async snapshot(cid: CidBytes): Promise<void> {
    throwIfAborted(this.#options.signal)
    // Also when its nodes were met as another snapshot's: the header itself is one of a kind.
    await this.#walk.snapshot(cid)
  }

  /** The pages of a kept list, and, if wanted, all snapshots that they name. */
  async keptList(newest: CidBytes, { snapshots: wanted }: { snapshots: boolean }): Promise<void> {
    for (let page: CidBytes | null = newest; page !== null;) {
      if (!this.#passed.add(page, wanted ? 1 : 0)) return
      const bytes = await this.#orMissing(
        readProvedBlock(this.#context.backend, page, 'the kept list', this.#options),
      )
      if (bytes === undefined) return
      if (this.#seen.add(page)) await this.#add({ cid: page, kind: 'snapshot' })
      const { older, snapshots } = decodeKeptPage(bytes)
      for (const { cid } of wanted ? snapshots : []) await this.snapshot(cid)
      page = older
    }
  }

  async #orMissing<T>(read: Promise<T>): Promise<T | undefined> {
    try {
      return await read
    } catch (error) {
      if (this.#tolerant && isMissing(error)) return undefined
      throw error
    }
  }

  /**
   * The log up to a commit, down to position `floor`. Where a rollback left a gap that reaches below the
   * floor, the block under the gap belongs to it: what is missing behind that is the end of history.
   */
  async log(commit: Commit, floor: number): Promise<void> {
    const { content } = this.#options
    const header = await this.#orMissing(readHeader(this.#context, commit, this.#options.signal))
    if (header === undefined) return
    const linked = content && commit.settings.content === 'linked'
    // What is appended next leads to the base, though it may lie farther on than the snapshot's end.
    let follows = commit.next
    const walk = {
      head: commit.head ?? commit.base,
      base: null,
      identities: identitiesOf(commit),
      floor: this.#tolerant ? Number.MAX_SAFE_INTEGER : floor,
      next: commit.head === null ? header.upto : commit.next,
      signal: this.#options.signal,
    }
    for await (const { cid, block } of walkBack(this.#context.backend, walk)) {
      if (follows <= floor || !this.#passed.add(cid, floor)) return
      follows = block.first
      // One that content links to was met with its content, but not with what lies before it.
      if (!this.#seen.add(cid)) continue
      await this.#add({ cid, kind: 'chain' })
      if (linked) await this.#content(block.entries)
    }
  }

  #content(entries: readonly Entry[]): Promise<void> {
    const source = storeSource(this.#context.backend)
    const { signal } = this.#options
    const walk = { source, seen: this.#seen, visitor: this.#visitor, deep: true, signal }
    return walkContent(walk, tipsOf(entries))
  }

  close(): void {
    this.#table.close()
    this.#passed.close()
  }
}

const isMissing = (error: unknown): boolean =>
  isCairnError(error, 'block_missing') || isCairnError(error, 'content_missing')

/**
 * What walks along weak links have passed, and how far they go: the blocks of a log by the floor they go
 * down to, the pages of a kept list by whether the snapshots are wanted. What lies behind such a block was
 * met with it, but only by a walk that goes as far; and content may have led to the block alone.
 */
class Passed {
  readonly #table = new DigestMap()
  readonly #key = Buffer.alloc(32)

  /** False when a walk that goes as far was here before. The number is mixed into the digest. */
  add(cid: CidBytes, far: number): boolean {
    this.#key.set(cid.subarray(cid.length - this.#key.length))
    this.#key.writeUInt32LE((this.#key.readUInt32LE(0) ^ (far % 2 ** 32)) >>> 0, 0)
    this.#key.writeUInt32LE((this.#key.readUInt32LE(4) ^ Math.floor(far / 2 ** 32)) >>> 0, 4)
    return this.#table.set(this.#key, 0)
  }

  close(): void {
    this.#table.close()
  }
}

/** All that the kept commits of a dataset need: those from `oldest` on, of which `newest` is the last. */
export async function reachKept(
  context: Pick<Context, 'backend'>,
  reacher: Reacher,
  newest: Commit,
  signal: AbortSignal | undefined,
): Promise<void> {
  const log = commitLog(context, newest, newest.oldest, signal)
  const floors = new Map<string, number>()
  for await (const { first, last } of generations(log)) {
    const { identity } = last
    // Of each identity the newest list says what is kept. Those before it name what was forgotten since.
    await reacher.keptList(last.kept, { snapshots: !floors.has(identity) })
    const floor = Math.max(last.floor, floors.get(identity) ?? 0)
    floors.set(identity, floor)
    // A kept commit needs its chain, wherever the floor of newer generations lies.
    await reacher.log(last, Math.min(floor, first.chainFirst))
    // What a generation began with need not be in the list; what was built in it is.
    await reacher.snapshot(first.snapshot)
    if (!bytesEqual(last.snapshot, first.snapshot)) await reacher.snapshot(last.snapshot)
  }
}

/** All that the commits of a dataset that the store has still name, kept or not, as far as it is there. */
export async function reachNamed(
  context: Context,
  reacher: Reacher,
  newest: Commit,
  signal: AbortSignal | undefined,
): Promise<void> {
  const oldest = (await context.backend.oldest(newest.dataset, { signal })) ?? newest.number
  const log = commitLog(context, newest, oldest, signal)
  for (const commit of await keptLists(log)) {
    await reacher.keptList(commit.kept, { snapshots: true })
  }
  for await (const { first, last } of generations(log)) {
    await reacher.log(last, 0)
    await reacher.snapshot(first.snapshot)
    await reacher.snapshot(last.snapshot)
  }
}
