/**
 * The truth of a simulation, told by what took effect: every block that was ever written and every commit, in
 * order. From these alone it says what a dataset holds at each commit, and holds each commit to the promises.
 */
import { expectTrue } from './check.ts'
import { decodeChainBlock, type ChainBlock } from '../../src/model/chain-block.ts'
import { bytesEqual, cidKey, digestKey, printCid } from '../../src/model/cid.ts'
import type { Block, CidBytes } from '../../src/model/cid.ts'
import { decodeCommit, type Commit } from '../../src/model/commit.ts'
import type { Entry } from '../../src/model/entry.ts'
import { decodeKeptPage } from '../../src/model/kept.ts'
import { decodeSnapshot, type SnapshotHeader } from '../../src/model/snapshot.ts'
import { byId, NaiveBuilder } from '../helpers/naive-tree.ts'
import { inlineBytes, knownLinks, type Watcher } from './store.ts'

/** An entry in the log. */
export interface Placed extends Entry {
  readonly position: number
}

export interface TrueState {
  readonly commit: Commit
  readonly cid: CidBytes
  /** The newest entry of each entity, deleted and expired ones included. */
  readonly entries: ReadonlyMap<string, Placed>
  /** The recent chain, oldest first. */
  readonly chain: readonly ChainBlock[]
  /** What this commit added to the log, in order. */
  readonly added: readonly Placed[]
}

interface Folded {
  readonly header: SnapshotHeader
  readonly entries: ReadonlyMap<string, Placed>
}

export class Truth implements Watcher {
  readonly datasets: Map<string, TrueState[]> = new Map<string, TrueState[]>()
  /** In which commits a tip was added to a log, rollbacks aside. */
  readonly appendedTips: Map<string, string[]> = new Map<string, string[]>()
  readonly #blocks = new Map<string, Uint8Array>()
  readonly #folded = new Map<string, Folded>()
  readonly #closures = new Map<string, readonly string[]>()
  /** What a commit was found to break; thrown by the next look, since who commits is not at fault. */
  #broken: Error | undefined
  #new: TrueState[] = []

  block({ cid, bytes }: Block): void {
    const key = digestKey(cid)
    if (!this.#blocks.has(key)) this.#blocks.set(key, new Uint8Array(bytes))
  }

  commit(dataset: string, number: number, bytes: Uint8Array): void {
    try {
      this.#take(dataset, number, bytes)
    } catch (error) {
      this.#broken ??= error instanceof Error ? error : new Error(String(error))
    }
  }

  look(): void {
    if (this.#broken !== undefined) throw this.#broken
  }

  newest(dataset: string): number {
    return (this.datasets.get(dataset)?.length ?? 0) - 1
  }

  /** Whether a dataset has taken the place of another. */
  get wasReplaced(): boolean {
    return [...this.datasets.values()].some((states) => {
      const newest = states.at(-1)?.commit
      return (
        newest !== undefined && states.some(({ commit }) => commit.identity !== newest.identity)
      )
    })
  }

  at(dataset: string, number: number): TrueState {
    const state = this.datasets.get(dataset)?.[number]
    if (state === undefined) throw new Error(`no commit ${number} of ${dataset}`)
    return state
  }

  /** The states that were current from one commit to another. */
  between(dataset: string, first: number, last: number): TrueState[] {
    return (this.datasets.get(dataset) ?? []).slice(Math.max(0, first), last + 1)
  }

  // --- Commits --------------------------------------------------------------------------------------

  #take(dataset: string, number: number, bytes: Uint8Array): void {
    const { commit, cid } = decodeCommit(bytes)
    const states = this.datasets.get(dataset) ?? []
    this.datasets.set(dataset, states)
    const before = states.at(-1)
    const what = `commit ${number} of ${dataset} (${commit.reason})`
    expectTrue(number === states.length && commit.number === number, `${what}: its number`)
    const folded = this.foldedOf(commit.snapshot)
    const chain = this.walk(commit.head, commit.base)
    const entries = new Map(folded.entries)
    for (const one of chain.flatMap(placed)) entries.set(one.pi, one)
    const same = before !== undefined && before.commit.generation.tag === commit.generation.tag
    const added = same ? this.#addedSince(before.commit, commit, what) : []
    const state = { commit, cid, entries, chain, added }
    states.push(state)
    this.#new.push(state)
    this.#checkCounts(state, what)
    if (before !== undefined) checkOrder(before, state, what)
    if (same) checkNothingLost(before, state, folded.header, what)
    for (const { tip } of added) if (tip !== null) this.#countTip(tip, what)
  }

  #countTip(tip: CidBytes, what: string): void {
    const key = printCid(tip)
    this.appendedTips.set(key, [...(this.appendedTips.get(key) ?? []), what])
  }

  #addedSince(before: Commit, commit: Commit, what: string): Placed[] {
    const log = this.walk(commit.head ?? commit.base, before.head ?? before.base)
    const added = log.flatMap(placed)
    let next = before.next
    for (const { position } of added) expectTrue(position === next++, `${what}: gap-free positions`)
    expectTrue(next === commit.next, `${what}: next is ${commit.next}, not ${next}`)
    return added
  }

  #checkCounts({ commit, chain, entries }: TrueState, what: string): void {
    const recent = chain.reduce((sum, block) => sum + block.entries.length, 0)
    expectTrue(commit.recentCount === recent, `${what}: recent count`)
    const live = [...entries.values()].filter(({ tip }) => tip !== null).length
    expectTrue(commit.totalCount === live, `${what}: total count ${commit.totalCount}, not ${live}`)
    expectTrue(commit.keptCount === this.keptOf(commit).length, `${what}: kept count`)
  }

  // --- Blocks ---------------------------------------------------------------------------------------

  bytesOf(cid: CidBytes): Uint8Array {
    const bytes = inlineBytes(cid) ?? this.#blocks.get(digestKey(cid))
    if (bytes === undefined) throw new Error(`${printCid(cid)} is named, and was never written`)
    return bytes
  }

  /** Chain blocks behind `base` up to `head`, oldest first. */
  walk(head: CidBytes | null, base: CidBytes | null): ChainBlock[] {
    const blocks: ChainBlock[] = []
    for (let cid = head; cid !== null && !(base !== null && bytesEqual(cid, base));) {
      const block = decodeChainBlock(this.bytesOf(cid))
      blocks.push(block)
      cid = block.prev
    }
    return blocks.reverse()
  }

  /** What a snapshot must hold: all that it says it has folded. Its root must be that of a tree made anew. */
  foldedOf(cid: CidBytes): Folded {
    const known = this.#folded.get(cidKey(cid))
    if (known !== undefined) return known
    const header = decodeSnapshot(this.bytesOf(cid))
    const before = header.prev === null ? undefined : this.foldedOf(header.prev)
    const entries = new Map(before?.entries)
    const log = this.walk(header.head, before?.header.head ?? null)
    for (const one of log.flatMap(placed)) entries.set(one.pi, one)
    for (const [pi, { exp }] of entries) if (exp !== null && exp <= header.ts) entries.delete(pi)
    const naive = new NaiveBuilder(header.chunkSize, header.content)
    const { root } = naive.build([...entries.values()].toSorted(byId))
    const what = `snapshot ${header.seq}`
    expectTrue(bytesEqual(root.cid.bytes, header.root), `${what}: the root of a tree made anew`)
    expectTrue(header.entries === root.count && header.live === root.live, `${what}: its counts`)
    const folded = { header, entries }
    this.#folded.set(cidKey(cid), folded)
    return folded
  }

  /** The kept snapshots, newest page first. */
  keptOf({ kept }: Pick<Commit, 'kept'>): CidBytes[] {
    const found: CidBytes[] = []
    for (let page: CidBytes | null = kept; page !== null;) {
      const { older, snapshots } = decodeKeptPage(this.bytesOf(page))
      found.push(...snapshots.map((one) => one.cid).toReversed())
      page = older
    }
    return found
  }

  #pagesOf({ kept }: Commit): CidBytes[] {
    const pages: CidBytes[] = []
    for (let page: CidBytes | null = kept; page !== null;) {
      pages.push(page)
      page = decodeKeptPage(this.bytesOf(page)).older
    }
    return pages
  }

  /** The keys of a block and all under it. */
  closure(root: CidBytes): readonly string[] {
    const known = this.#closures.get(cidKey(root))
    if (known !== undefined) return known
    const keys = new Set(inlineBytes(root) === undefined ? [digestKey(root)] : [])
    for (const link of knownLinks(root, this.bytesOf(root)))
      for (const key of this.closure(link)) keys.add(key)
    const all = [...keys]
    this.#closures.set(cidKey(root), all)
    return all
  }

  /** The keys of a snapshot and all under it, and of the chain of a commit and its content. */
  keysOf(snapshot: CidBytes, commit?: Commit): Set<string> {
    const chain = commit === undefined ? [] : this.#chainCids(commit.head, commit.base)
    return new Set([snapshot, ...chain].flatMap((cid) => this.closure(cid)))
  }

  // --- What must be there ---------------------------------------------------------------------------

  /** The keys of all blocks that the kept commits of all datasets need, each with the reason. */
  needed(): Map<string, string> {
    const needed = new Map<string, string>()
    for (const states of this.datasets.values()) {
      const identities = new Set<string>()
      for (const { commit } of states.slice(states.at(-1)?.commit.oldest ?? 0).toReversed()) {
        this.#addNeeded(needed, commit, !identities.has(commit.identity))
        identities.add(commit.identity)
      }
    }
    this.#new = []
    return needed
  }

  /** The same for those commits alone that came since this was asked last. */
  neededByNew(): Map<string, string> {
    const needed = new Map<string, string>()
    for (const { commit } of this.#new.splice(0)) this.#addNeeded(needed, commit, false)
    return needed
  }

  /** What may be there besides: old pages of kept lists, and the whole log. */
  allowed(): Map<string, string> {
    const allowed = this.needed()
    for (const states of this.datasets.values()) {
      for (const { commit } of states.slice(states.at(-1)?.commit.oldest ?? 0)) {
        const log = this.#chainCids(commit.head ?? commit.base, null)
        for (const cid of [...log, ...this.#pagesOf(commit)]) this.#add(allowed, cid, 'history')
      }
    }
    return allowed
  }

  #addNeeded(needed: Map<string, string>, commit: Commit, withKept: boolean): void {
    const what = `commit ${commit.number} of ${commit.dataset}`
    this.#add(needed, commit.snapshot, `${what}: its snapshot`)
    for (const cid of this.#chainCids(commit.head, commit.base))
      this.#add(needed, cid, `${what}: its chain`)
    if (!withKept) return
    for (const page of this.#pagesOf(commit)) this.#add(needed, page, `${what}: its kept list`)
    for (const cid of this.keptOf(commit)) this.#add(needed, cid, `${what}: a snapshot it keeps`)
  }

  #add(needed: Map<string, string>, cid: CidBytes, why: string): void {
    for (const key of this.closure(cid)) if (!needed.has(key)) needed.set(key, why)
  }

  #chainCids(head: CidBytes | null, base: CidBytes | null): CidBytes[] {
    const cids: CidBytes[] = []
    for (let cid = head; cid !== null && !(base !== null && bytesEqual(cid, base));) {
      cids.push(cid)
      cid = decodeChainBlock(this.bytesOf(cid)).prev
    }
    return cids
  }

  /** The log up to a commit, oldest first. */
  logOf({ commit }: TrueState): Placed[] {
    return this.walk(commit.head ?? commit.base, null).flatMap(placed)
  }
}

const placed = ({ first, entries }: ChainBlock): Placed[] =>
  entries.map((entry, i) => ({ ...entry, position: first + i }))

function checkOrder(before: TrueState, { commit }: TrueState, what: string): void {
  const old = before.commit
  expectTrue(commit.ts >= old.ts, `${what}: time goes on`)
  expectTrue(commit.oldest >= old.oldest, `${what}: the oldest commit`)
  const follows = commit.prev !== null && bytesEqual(commit.prev, before.cid)
  expectTrue(follows, `${what}: it names the commit before it`)
  if (commit.identity === old.identity)
    expectTrue(commit.next >= old.next, `${what}: positions go on`)
}

/** In one generation an entity changes by what is appended, and leaves when it has expired. */
function checkNothingLost(
  before: TrueState,
  after: TrueState,
  header: SnapshotHeader,
  what: string,
): void {
  const expected = new Map(before.entries)
  for (const one of after.added) {
    const known = expected.get(one.pi)
    const counts = known !== undefined && (known.exp === null || known.exp > after.commit.ts)
    expectTrue(!counts || one.ver > known.ver, `${what}: version ${one.ver} of ${one.pi}`)
    expected.set(one.pi, one)
  }
  for (const [pi, one] of expected) {
    const there = after.entries.get(pi)
    const gone = one.exp !== null && one.exp <= header.ts
    if (there === undefined) expectTrue(gone, `${what}: ${pi} is lost`)
    else expectTrue(there.position === one.position, `${what}: ${pi} is another`)
  }
  for (const pi of after.entries.keys())
    expectTrue(expected.has(pi), `${what}: ${pi} out of nowhere`)
}
