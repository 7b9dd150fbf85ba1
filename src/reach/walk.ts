/**
 * Walking all that a checkpoint or a snapshot reaches: depth-first, in the order of the links, each
 * block once and hashed before it is believed. One walk serves export, restore, verification and
 * pruning; they differ in the source, and in what the visitor does with what is met.
 *
 *   checkpoint ─┬─ snapshot ── branches ── leaves ── content
 *               └─ chain lists ── chain blocks ── content
 */
import type { LoadedBlock } from '../chain/walk.ts'
import { throwIfAborted, toCairnError, type CairnError } from '../errors.ts'
import {
  decodeChainList,
  decodeCheckpoint,
  type CarContent,
  type Checkpoint,
} from '../model/checkpoint.ts'
import type { CidBytes } from '../model/cid.ts'
import type { ContentMode } from '../model/entry.ts'
import { isLeaf, summarize, type Child, type Leaf } from '../model/node.ts'
import { decodeSnapshot, type SnapshotHeader } from '../model/snapshot.ts'
import {
  checkAgreement,
  checkChainCounts,
  checkCounts,
  checkedChainBlock,
  checkedNode,
  misplaced,
  named,
  type ChainFacts,
} from './checks.ts'
import { walkContent } from './content.ts'
import { problemOf, type BlockKind, type Met, type Seen, type Visitor } from './met.ts'
import { Rebuild } from './rebuild.ts'
import type { SourceBlocks, WalkSource } from './source.ts'
import { eachTip, tipsOf } from './tips.ts'

export interface WalkOptions {
  readonly source: WalkSource
  readonly visitor: Visitor
  readonly seen: Seen
  /** Content that is passed over, with all that is under it; also what is seen, unless given. */
  readonly seenContent?: Seen | undefined
  /** How far the walk goes into linked content. */
  readonly content: CarContent
  /** Nodes of the tree that are passed over, with all that is under them. */
  readonly skipNode?: ((cid: CidBytes) => boolean) | undefined
  /** The tips of a leaf that are followed; all unless given. */
  readonly wantsTip?: ((tip: CidBytes, leaf: CidBytes) => boolean) | undefined
  /** Prove that trees are the ones that their entries make; not with `skipNode`. */
  readonly rebuild?: boolean
  readonly signal?: AbortSignal | undefined
}

/** A tree on its way through a walk. */
interface TreeWalk {
  readonly content: ContentMode
  leaves: number
  readonly rebuild: Rebuild | undefined
}

export class Walk {
  readonly #options: WalkOptions
  #problems = 0

  constructor(options: WalkOptions) {
    this.#options = options
  }

  /** Undefined when the checkpoint or its header cannot be read, and the visitor took that. */
  async checkpoint(
    cid: CidBytes,
  ): Promise<{ checkpoint: Checkpoint; header: SnapshotHeader } | undefined> {
    const checkpoint = await this.#record(cid, 'checkpoint', decodeCheckpoint)
    if (checkpoint === undefined) return undefined
    const header = await this.snapshot(checkpoint.snapshot)
    if (header === undefined) return undefined
    this.#check(cid, () => checkAgreement(checkpoint, header))
    const { settings, chain, identity, origins } = checkpoint
    if (chain !== null) {
      const facts = { ...checkpoint, content: settings.content, identities: [identity, ...origins] }
      await this.chain(this.#chainBlocks([chain]), facts)
    }
    return { checkpoint, header }
  }

  async snapshot(cid: CidBytes): Promise<SnapshotHeader | undefined> {
    const header = await this.#record(cid, 'snapshot', decodeSnapshot)
    if (header === undefined) return undefined
    const { skipNode, rebuild, signal } = this.#options
    const tree: TreeWalk = {
      content: header.content,
      leaves: 0,
      rebuild: rebuild === true ? new Rebuild(header, signal) : undefined,
    }
    const problems = this.#problems
    const root = await this.#node(header.root, undefined, undefined, tree)
    const odd = await tree.rebuild?.finish()
    // Of a tree that is damaged or not whole these would say nothing new.
    if (this.#problems > problems) return header
    if (root !== undefined && skipNode === undefined)
      this.#check(cid, () => checkCounts(header, root, tree.leaves))
    if (odd !== undefined) this.#problem(odd, cid)
    return header
  }

  #problem(error: CairnError, cid: CidBytes): void {
    this.#problems += 1
    this.#options.visitor.problem(named(error, cid), cid)
  }

  async #record<T>(
    cid: CidBytes,
    kind: BlockKind,
    decode: (bytes: Uint8Array) => T,
  ): Promise<T | undefined> {
    const [bytes] = await this.#read([cid], 0)
    const record = this.#proved(cid, bytes, kind, decode)
    if (record !== undefined && bytes !== undefined) await this.#meet({ cid, bytes, kind })
    return record
  }

  #read(
    cids: readonly CidBytes[],
    from: number,
    alike: object = cids,
  ): SourceBlocks | Promise<SourceBlocks> {
    const { source, signal } = this.#options
    throwIfAborted(signal)
    return source.read(cids, from, { signal, alike })
  }

  #proved<T>(
    cid: CidBytes,
    bytes: Uint8Array | undefined,
    kind: BlockKind,
    decode: (bytes: Uint8Array) => T,
  ): T | undefined {
    const problem = problemOf(cid, bytes, kind)
    if (problem === undefined && bytes !== undefined) return this.#check(cid, () => decode(bytes))
    if (problem !== undefined) this.#problem(problem, cid)
    return undefined
  }

  #check<T>(cid: CidBytes, check: () => T): T | undefined {
    try {
      return check()
    } catch (error) {
      this.#problem(toCairnError(error), cid)
      return undefined
    }
  }

  async #meet(met: Met): Promise<void> {
    if (this.#options.seen.add(met.cid)) await this.#options.visitor.block?.(met)
  }

  /** A node and all under it. Answers what a parent must say of it. */
  async #node(
    cid: CidBytes,
    parent: { readonly child: Child; readonly level: number } | undefined,
    ahead: Uint8Array | undefined,
    tree: TreeWalk,
  ): Promise<Child | undefined> {
    const { skipNode, visitor } = this.#options
    if (skipNode?.(cid) === true) return undefined
    const bytes = ahead ?? (await this.#read([cid], 0))[0]
    const kind = parent === undefined ? 'branch' : parent.level === 0 ? 'leaf' : 'branch'
    const node = this.#proved(cid, bytes, kind, (block) => checkedNode(block, cid, parent))
    if (node === undefined || bytes === undefined) return undefined
    const met: Met = isLeaf(node)
      ? { cid, bytes, kind: 'leaf', entries: node.count }
      : { cid, bytes, kind: 'branch' }
    await this.#meet(met)
    if (isLeaf(node)) {
      tree.leaves += 1
      await tree.rebuild?.leaf(node, cid)
      await this.#leafContent(cid, node, tree.content)
      await visitor.leave?.(met)
    } else {
      await this.#children(node.children, node.level - 1, tree)
    }
    return summarize(node, cid)
  }

  async #children(children: readonly Child[], level: number, tree: TreeWalk): Promise<void> {
    const { skipNode } = this.#options
    const wanted = children.filter(({ cid }) => skipNode?.(cid) !== true)
    const records = wanted[Symbol.iterator]()
    for await (const { cid, bytes } of this.#inOrder(wanted.map((child) => child.cid))) {
      const child = records.next().value
      if (child === undefined) continue
      if (bytes === undefined) this.#proved(cid, undefined, kindAt(level), () => undefined)
      else await this.#node(cid, { child, level }, bytes, tree)
    }
  }

  async #leafContent(cid: CidBytes, leaf: Leaf, content: ContentMode): Promise<void> {
    const { wantsTip, content: far } = this.#options
    const tips: CidBytes[] = []
    this.#check(cid, () =>
      eachTip(leaf, content, (tip) => {
        if (far !== 'index' && wantsTip?.(tip, cid) !== false) tips.push(tip)
      }),
    )
    await this.#content(tips)
  }

  #content(tips: readonly CidBytes[]): Promise<void> | undefined {
    const { source, visitor, content, signal } = this.#options
    if (content === 'index' || tips.length === 0) return undefined
    const seen = this.#options.seenContent ?? this.#options.seen
    return walkContent({ source, seen, visitor, deep: content === 'full', signal }, tips)
  }

  /** The CIDs of the chain blocks that lists name, oldest first. */
  async *#chainBlocks(
    lists: readonly CidBytes[],
    level?: number,
  ): AsyncGenerator<readonly CidBytes[]> {
    for (const cid of lists) {
      const list = await this.#record(cid, 'chain list', (bytes) => {
        const decoded = decodeChainList(bytes)
        if (level !== undefined && decoded.level !== level) throw misplaced('The list', cid)
        return decoded
      })
      if (list?.level === 0) yield list.links
      else if (list !== undefined) yield* this.#chainBlocks(list.links, list.level - 1)
    }
  }

  /** Chain blocks, oldest first, each of which must follow the one before. */
  async chain(
    batches: AsyncIterable<readonly CidBytes[]> | Iterable<readonly CidBytes[]>,
    facts: ChainFacts,
  ): Promise<void> {
    const problems = this.#problems
    let before: LoadedBlock | undefined | 'unknown'
    let count = 0
    for await (const cids of batches) {
      for await (const { cid, bytes } of this.#inOrder(cids, this)) {
        const after = before
        const block = this.#proved(cid, bytes, 'chain', (encoded) =>
          checkedChainBlock(encoded, cid, after, facts),
        )
        before = block === undefined ? 'unknown' : { cid, block }
        if (block === undefined || bytes === undefined) continue
        const met: Met = { cid, bytes, kind: 'chain', entries: block.entries.length }
        await this.#meet(met)
        if (facts.content === 'linked') await this.#content(tipsOf(block.entries))
        await this.#options.visitor.leave?.(met)
        count += block.entries.length
      }
    }
    const last = before
    // Of a chain that is damaged or not whole this would say nothing new.
    if (last === 'unknown' || this.#problems > problems) return
    this.#check(last?.cid ?? new Uint8Array(), () => checkChainCounts(last, count, facts))
  }

  async *#inOrder(
    cids: readonly CidBytes[],
    alike?: object,
  ): AsyncGenerator<{ cid: CidBytes; bytes: Uint8Array | undefined }> {
    let ahead: SourceBlocks = []
    let from = 0
    for (const [i, cid] of cids.entries()) {
      if (i >= from + ahead.length) {
        ahead = await this.#read(cids, i, alike)
        from = i
      }
      yield { cid, bytes: ahead[i - from] }
    }
  }
}

const kindAt = (level: number): BlockKind => (level === 0 ? 'leaf' : 'branch')
