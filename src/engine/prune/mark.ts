/**
 * Marking what is needed, and offering what may not be: both walk what commits and snapshots reach.
 * Marking misses nothing, so a block that is missing stops it; offering takes what is still there.
 */
import { walkBack } from '../../chain/walk.ts'
import { throwIfAborted } from '../../errors.ts'
import type { Entry } from '../../model/entry.ts'
import { decodeKeptPage, type KeptPage } from '../../model/kept.ts'
import { bytesEqual, cidKey, type CidBytes } from '../../model/cid.ts'
import type { Commit } from '../../model/commit.ts'
import { seenIn, type Met, type Seen, type Visitor } from '../../reach/met.ts'
import { walkContent } from '../../reach/content.ts'
import { storeSource } from '../../reach/source.ts'
import { tipsOf } from '../../reach/tips.ts'
import { Walk } from '../../reach/walk.ts'
import type { HeldCid } from '../../store/backend.ts'
import { readProvedBlock } from '../../store/proved.ts'
import { DigestMap } from '../../util/digest-map.ts'
import { checkedCommit } from '../checked-commit.ts'
import type { Context, LongOptions } from '../context.ts'
import { isDamage, isMarkedDamaged, marksOf, type DamagedCommits, type Marks } from '../damage.ts'
import { identitiesOf, readHeader } from '../state.ts'
import { commitLog, firstWhere, generations, keptLists, type CommitLog } from './log.ts'

const BATCH = 4096

export interface ReacherOptions extends LongOptions {
  /** Whether content is walked, too: not where leaves and chain blocks hold theirs by themselves. */
  readonly content: boolean
  /** Pass over what is missing or damaged. */
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
  /** The pages of kept lists whose snapshots were met. */
  readonly #marked = new Map<string, { older: CidBytes | null; marks: Marks }>()
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
      if (!this.#tolerant || !isDamage(error)) throw error
    },
  }

  /** From now on what is missing or damaged is passed over. */
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

  /** The pages of a kept list, and all snapshots that they name. Answers what the list says was damaged. */
  async keptList(newest: CidBytes): Promise<Marks> {
    for await (const { cid, page } of this.#pages(newest, 1, this.#tolerant)) {
      const { older, snapshots } = page
      this.#marked.set(cidKey(cid), { older, marks: marksOf(snapshots) })
      for (const one of snapshots) {
        // What is known to be damaged is walked when that is passed over.
        if (this.#tolerant || !isMarkedDamaged(one)) await this.snapshot(one.cid)
      }
    }
    return this.#marksFrom(newest)
  }

  /** The pages of a kept list alone. Nothing hangs on them: what is missing is no matter. */
  async keptPages(newest: CidBytes): Promise<void> {
    for await (const _ of this.#pages(newest, 0, true));
  }

  /** Those that were not passed before by a walk that went as far. */
  async *#pages(
    newest: CidBytes,
    far: number,
    tolerant: boolean,
  ): AsyncGenerator<{ cid: CidBytes; page: KeptPage }> {
    for (let cid: CidBytes | null = newest; cid !== null;) {
      if (!this.#passed.add(cid, far)) return
      const bytes = await this.#orMissing(
        readProvedBlock(this.#context.backend, cid, 'the kept list', this.#options),
        tolerant,
      )
      if (bytes === undefined) return
      if (this.#seen.add(cid)) await this.#add({ cid, kind: 'snapshot' })
      const page = decodeKeptPage(bytes)
      yield { cid, page }
      cid = page.older
    }
  }

  #marksFrom(newest: CidBytes): Marks {
    const all: Marks[] = []
    for (let cid: CidBytes | null = newest; cid !== null;) {
      const page = this.#marked.get(cidKey(cid))
      if (page === undefined) break
      all.push(page.marks)
      cid = page.older
    }
    return {
      commits: all.flatMap(({ commits }) => commits),
      snapshots: all.flatMap(({ snapshots }) => snapshots),
    }
  }

  async #orMissing<T>(read: Promise<T>, tolerant: boolean): Promise<T | undefined> {
    try {
      return await read
    } catch (error) {
      if (tolerant && isDamage(error)) return undefined
      throw error
    }
  }

  /**
   * The log up to a commit, down to position `floor`. Where a rollback left a gap that reaches below the
   * floor, the block under the gap belongs to it: what is missing behind that is the end of history.
   * Answers the position down to which it came.
   */
  async log(commit: Commit, floor: number): Promise<number> {
    const { content } = this.#options
    const { signal } = this.#options
    const reading = readHeader(this.#context, commit, signal)
    const header = await this.#orMissing(reading, this.#tolerant)
    if (header === undefined && commit.head === null) return floor
    const linked = content && commit.settings.content === 'linked'
    // What is appended next leads to the base, though it may lie farther on than the snapshot's end.
    let follows = commit.next
    const walk = {
      head: commit.head ?? commit.base,
      base: null,
      identities: identitiesOf(commit),
      floor: this.#tolerant ? Number.MAX_SAFE_INTEGER : floor,
      next: commit.head === null ? header?.upto : commit.next,
      signal,
    }
    try {
      for await (const { cid, block } of walkBack(this.#context.backend, walk)) {
        if (follows <= floor || !this.#passed.add(cid, floor)) return floor
        follows = block.first
        // One that content links to was met with its content, but not with what lies before it.
        if (!this.#seen.add(cid)) continue
        await this.#add({ cid, kind: 'chain' })
        if (linked) await this.#content(block.entries)
      }
    } catch (error) {
      if (!this.#tolerant || !isDamage(error)) throw error
    }
    return follows
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

/**
 * All that datasets need, by their newest commits, and what is left of what they fell back from. That comes
 * last: a walk that passes over what is damaged leaves nodes behind that look as if all under them were met.
 * From then on the reacher passes over it.
 */
export async function reachAll(
  context: Pick<Context, 'backend'>,
  reacher: Reacher,
  newest: readonly Commit[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const damaged: { readonly dataset: string; readonly marks: Marks }[] = []
  for (const commit of newest) {
    const found = await reachKept(context, reacher, commit, signal)
    for (const marks of found) damaged.push({ dataset: commit.dataset, marks })
  }
  reacher.tolerate()
  for (const { dataset, marks } of damaged) {
    for (const range of marks.commits) await reachRange(context, reacher, dataset, range, signal)
    for (const snapshot of marks.snapshots) await reacher.snapshot(snapshot)
  }
}

/**
 * All that the kept commits of a dataset need: those from `oldest` on, of which `newest` is the last; but for
 * what was found damaged, which it answers.
 */
async function reachKept(
  context: Pick<Context, 'backend'>,
  reacher: Reacher,
  newest: Commit,
  signal: AbortSignal | undefined,
): Promise<Marks[]> {
  const log = commitLog(context, newest, newest.oldest, signal)
  const floors = new Map<string, number>()
  const marks = new Map<string, Marks>()
  for await (const { first, last: end } of generations(log)) {
    const { identity } = end
    // Of each identity the newest list says what is kept. Those before it name what was forgotten since.
    const known = marks.get(identity) ?? (await reacher.keptList(end.kept))
    const isNewest = !marks.has(identity)
    marks.set(identity, known)
    const floor = Math.max(end.floor, floors.get(identity) ?? 0)
    floors.set(identity, floor)
    const last = await lastSound(log, first, end, known.commits)
    if (last === undefined) continue
    if (!isNewest) await reacher.keptPages(last.kept)
    // A kept commit needs its chain, wherever the floor of newer generations lies.
    await reacher.log(last, Math.min(floor, first.chainFirst))
    // What a generation began with need not be in the list; what was built in it is.
    await reacher.snapshot(first.snapshot)
    if (!bytesEqual(last.snapshot, first.snapshot)) await reacher.snapshot(last.snapshot)
  }
  return [...marks.values()]
}

/** The newest commit of a generation that no falling back has passed over. */
async function lastSound(
  log: CommitLog,
  first: Commit,
  last: Commit,
  marks: readonly DamagedCommits[],
): Promise<Commit | undefined> {
  let number = last.number
  // Such a range ends with the last commit of a generation.
  for (const { from, to } of marks) if (from <= number && last.number <= to) number = from - 1
  return number < first.number ? undefined : log.read(number)
}

async function reachRange(
  context: Pick<Context, 'backend'>,
  reacher: Reacher,
  dataset: string,
  { from, to }: DamagedCommits,
  signal: AbortSignal | undefined,
): Promise<void> {
  const bytes = await context.backend.getCommit(dataset, to, { signal })
  if (bytes === undefined) return
  const log = commitLog(context, checkedCommit(dataset, to, bytes).commit, from, signal)
  for await (const { first, last } of generations(log)) {
    await reacher.keptPages(last.kept)
    await reacher.snapshot(first.snapshot)
    await reacher.snapshot(last.snapshot)
    await reachPieces(reacher, log, first, last)
  }
}

/** A chain of which blocks are missing, piece by piece: to what lies before one, an earlier commit leads. */
async function reachPieces(
  reacher: Reacher,
  log: CommitLog,
  first: Commit,
  last: Commit,
): Promise<void> {
  for (let commit: Commit | undefined = last; commit !== undefined;) {
    const reached = await reacher.log(commit, first.chainFirst)
    if (reached <= first.chainFirst) return
    const below = await firstWhere(log, first.number, commit.number, ({ next }) => next >= reached)
    commit = below > first.number ? await log.read(below - 1) : undefined
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
    await reacher.keptList(commit.kept)
  }
  for await (const { first, last } of generations(log)) {
    await reacher.log(last, 0)
    await reacher.snapshot(first.snapshot)
    await reacher.snapshot(last.snapshot)
  }
}
