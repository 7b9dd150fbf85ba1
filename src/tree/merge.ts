/**
 * Merging edits into a tree. Pure but for reading old nodes and handing new ones to a sink.
 *
 * Every level is patched by the same walk, as a stream: the edits of level 0 are entries; each level
 * passes what changed in it (nodes gone, nodes new) to the level above as edits of child records. A
 * build from nothing is a merge into no tree.
 *
 * How a level is patched. The next edit falls into an old node. Nodes that ended on the threshold
 * stand whatever follows them; one that ended otherwise has looked ahead. So cutting begins behind the
 * nearest node before the edit that ended on the threshold, and goes on, old records and edits
 * merged, until a cut falls on the end of an old node and no edit was applied behind that place:
 * from there on the old nodes are what a build from scratch would make, too (`synced`).
 *
 * Only nodes that are not in the old tree go to the sink. Above the root the last node of a level may
 * have a single child; such nodes are held back until it is known where the root is.
 */
import { throwIfAborted } from '../errors.ts'
import {
  EMPTY_LEAF,
  EMPTY_LEAF_CID,
  branchOf,
  decodeNode,
  summarize,
  type Child,
  type Node,
} from '../model/node.ts'
import { bytesEqual, type CidBytes } from '../model/cid.ts'
import { EMPTY_RUN, type Run } from '../model/run.ts'
import { belowThreshold, hashKey } from './boundary.ts'
import { Chunker, type CutNode } from './chunker.ts'
import { LevelCursor, type Place } from './cursor.ts'
import { EditReader, type Edits } from './edits.ts'
import { Feed, type FeedOptions } from './feed.ts'
import { childAt, childRun } from './child-run.ts'
import type { NodeStore } from './node-store.ts'

/** Takes the new nodes of a merge, children before parents. */
export interface NodeSink {
  put(node: CutNode): Promise<void>
}

export interface MergeOptions extends FeedOptions {
  readonly nodes: NodeStore
  /** The tree to merge into; undefined: none. */
  readonly root: CidBytes | undefined
  /** How many leaves that tree has. */
  readonly leafCount: number
  readonly chunkSize: number
  readonly sink: NodeSink
  readonly signal?: AbortSignal | undefined
}

export interface MergeStats {
  leavesAdded: number
  leavesRemoved: number
  nodesWritten: number
}

export interface MergedTree {
  readonly root: Child
  /** An empty tree is one empty leaf. */
  readonly leafCount: number
  readonly stats: MergeStats
}

export async function mergeTree(options: MergeOptions, edits: Edits): Promise<MergedTree> {
  const merge = new Merge(options)
  const old = options.root === undefined ? undefined : await oldTree(options.nodes, options.root)
  const root = await merge.run(old, edits)
  const { stats } = merge
  const before = old === undefined ? 0 : options.leafCount
  const leafCount = Math.max(1, before + stats.leavesAdded - stats.leavesRemoved)
  return { root, leafCount, stats }
}

interface OldTree {
  readonly root: Child
  readonly level: number
}

async function oldTree(nodes: NodeStore, root: CidBytes): Promise<OldTree | undefined> {
  const { node, child } = await nodes.readRoot(root)
  return node.count === 0 ? undefined : { root: child, level: node.level }
}

class Merge {
  readonly stats: MergeStats = { leavesAdded: 0, leavesRemoved: 0, nodesWritten: 0 }
  readonly #options: MergeOptions
  /** Of each level the new node with a single child, which is one only if the tree goes on above it. */
  readonly #single = new Map<number, CutNode>()
  /** Of each level the node that was written last. */
  readonly #written = new Map<number, CidBytes>()

  constructor(options: MergeOptions) {
    this.#options = options
  }

  async run(old: OldTree | undefined, edits: Edits): Promise<Child> {
    let stream: AsyncGenerator<Run> | Edits = edits
    let level = 0
    if (old !== undefined) {
      for (; level <= old.level; level++) stream = this.#patchLevel(old, level, stream)
      // What the level above the root would hold: the old root alone.
      stream = this.#rebuildLevel(level, childRun([old.root]), stream)
    } else {
      stream = this.#rebuildLevel(level, EMPTY_RUN, stream)
    }
    for (;;) {
      const { head, rest } = await firstTwo(stream)
      if (head.length < 2) return this.#finish(level, head[0])
      level += 1
      stream = this.#rebuildLevel(level, EMPTY_RUN, rest)
    }
  }

  /** Finds the root under the single node of the top level, and writes the single-child nodes below. */
  async #finish(level: number, top: Child | undefined): Promise<Child> {
    if (top === undefined) {
      const empty = decodeNode(EMPTY_LEAF)
      const child = summarize(empty, EMPTY_LEAF_CID)
      const { root } = this.#options
      const wasEmpty = root !== undefined && bytesEqual(root, EMPTY_LEAF_CID)
      if (!wasEmpty) await this.#put({ child, block: EMPTY_LEAF, level: 0, count: 0 })
      return child
    }
    let root = top
    let rootLevel = level
    for (let only = await this.#onlyChild(root, rootLevel); only !== undefined; rootLevel--) {
      root = only
      only = await this.#onlyChild(root, rootLevel - 1)
    }
    for (const [singleLevel, node] of [...this.#single].sort(([a], [b]) => a - b)) {
      if (singleLevel < rootLevel) await this.#put(node)
    }
    return root
  }

  /** The child of a branch that has just one; such a branch is no root. */
  async #onlyChild(branch: Child, level: number): Promise<Child | undefined> {
    if (level === 0) return undefined
    const single = this.#single.get(level)
    if (single !== undefined && bytesEqual(single.child.cid, branch.cid)) {
      return childAt(decodeNode(single.block), 0)
    }
    const written = this.#written.get(level)
    if (written !== undefined && bytesEqual(written, branch.cid)) return undefined
    const { children } = branchOf(await this.#options.nodes.readChild(branch, true))
    return children.length === 1 ? children[0] : undefined
  }

  /** The nodes of a level that has no old nodes in the tree, made of `base` and the edits. */
  async *#rebuildLevel(level: number, base: Run, runs: Edits): AsyncGenerator<Run> {
    const edits = new EditReader(runs)
    try {
      await edits.start()
      const chunker = new Chunker(level, this.#options.chunkSize)
      const feed = new Feed(level, this.#options, chunker, edits)
      while (await feed.some(base, undefined)) yield* this.#emit(chunker, [])
      chunker.finish()
      yield* this.#emit(chunker, [])
    } finally {
      await edits.close()
    }
  }

  async *#patchLevel(old: OldTree, level: number, runs: Edits): AsyncGenerator<Run> {
    const { nodes, at, signal } = this.#options
    const cursor = new LevelCursor(nodes, old.root, old.level, level, signal)
    const edits = new EditReader(runs)
    const chunker = new Chunker(level, this.#options.chunkSize)
    try {
      await edits.start()
      // All nodes up to this key are settled.
      let settled: string | undefined
      for (;;) {
        const place = await this.#nextTouched(cursor, edits, settled, at)
        if (place === undefined) return
        const start = await this.#backToThreshold(cursor, place, settled)
        settled = yield* this.#recut(cursor, start, edits, chunker)
        if (settled === undefined) return
      }
    } finally {
      await edits.close()
    }
  }

  /** The next node that an edit falls into or, among leaves, in which something expired. */
  async #nextTouched(
    cursor: LevelCursor,
    edits: EditReader,
    settled: string | undefined,
    at: number,
  ): Promise<Place | undefined> {
    const edited = edits.key === undefined ? undefined : await cursor.seek(edits.key)
    const expired = cursor.level === 0 ? await cursor.firstExpired(settled, at) : undefined
    if (edited === undefined || expired === undefined) return edited ?? expired
    return edited.child.last <= expired.child.last ? edited : expired
  }

  async #backToThreshold(
    cursor: LevelCursor,
    from: Place,
    settled: string | undefined,
  ): Promise<Place> {
    let place = from
    for (;;) {
      const before = await cursor.previous(place)
      if (before === undefined || before.child.last === settled) return place
      // A node that is not the last of its level ended inside its window: the hash tells how.
      if (belowThreshold(hashKey(before.child.last, cursor.level), this.#options.chunkSize))
        return place
      place = before
    }
  }

  /**
   * Cuts anew from `start` on. Yields what changed, and returns the last key of the old node whose end
   * is an end again; undefined when the level has been cut to its end.
   */
  async *#recut(
    cursor: LevelCursor,
    start: Place,
    edits: EditReader,
    chunker: Chunker,
  ): AsyncGenerator<Run, string | undefined> {
    const { level } = cursor
    chunker.reset()
    const feed = new Feed(level, this.#options, chunker, edits)
    const gone: Child[] = []
    const ends: OldEnd[] = []
    for (let place: Place | undefined = start; ;) {
      const node: Node = await cursor.node(place)
      const next = await cursor.next(place)
      gone.push(place.child)
      feed.begin()
      const upTo = next === undefined ? undefined : place.child.last
      while (await feed.some(node, upTo)) yield* this.#emit(chunker, gone)
      ends.push({ added: chunker.added, changes: feed.changes, last: place.child.last })
      yield* this.#emit(chunker, gone)
      if (next === undefined) {
        chunker.finish()
        yield* this.#emit(chunker, gone)
        yield* this.#remove(level, gone)
        return undefined
      }
      const end = synced(ends, chunker.cutAt, feed.changes)
      if (end !== undefined) {
        yield* this.#remove(
          level,
          gone.filter((child) => child.last <= end.last),
        )
        return end.last
      }
      place = next
    }
  }

  /** Writes the chunker's finished nodes, and yields what they change among the nodes that are gone. */
  async *#emit(chunker: Chunker, gone: Child[]): AsyncGenerator<Run> {
    for (let node = chunker.cut.shift(); node !== undefined; node = chunker.cut.shift()) {
      throwIfAborted(this.#options.signal)
      const changes: Child[] = []
      while (gone[0] !== undefined && gone[0].last < node.child.last) {
        changes.push(removal(gone[0]))
        gone.shift()
      }
      this.#count(node.level, 0, changes.length)
      const replaced = gone[0]?.last === node.child.last ? gone.shift() : undefined
      if (replaced === undefined || !bytesEqual(replaced.cid, node.child.cid)) {
        changes.push(node.child)
        this.#count(node.level, 1, replaced === undefined ? 0 : 1)
        if (node.level > 0 && node.count === 1) this.#single.set(node.level, node)
        else await this.#put(node)
      }
      if (changes.length > 0) yield childRun(changes)
    }
  }

  async *#remove(level: number, gone: readonly Child[]): AsyncGenerator<Run> {
    if (gone.length === 0) return
    this.#count(level, 0, gone.length)
    yield childRun(gone.map(removal))
  }

  #count(level: number, added: number, removed: number): void {
    if (level > 0) return
    this.stats.leavesAdded += added
    this.stats.leavesRemoved += removed
  }

  async #put(node: CutNode): Promise<void> {
    this.stats.nodesWritten += 1
    this.#written.set(node.level, node.child.cid)
    await this.#options.sink.put(node)
  }
}

/** The end of an old node in the stream of records that were cut anew. */
interface OldEnd {
  readonly added: number
  readonly changes: number
  readonly last: string
}

/** The old end on which the last cut fell, if nothing behind it was changed. */
function synced(ends: OldEnd[], cutAt: number, changes: number): OldEnd | undefined {
  while (ends[0] !== undefined && ends[0].added < cutAt) ends.shift()
  return ends.find((end) => end.added === cutAt && end.changes === changes)
}

/** A child record without entries takes the one with its key out of the level above. */
function removal(child: Child): Child {
  return { ...child, count: 0, live: 0 }
}

async function firstTwo(stream: Edits): Promise<{ head: Child[]; rest: AsyncGenerator<Run> }> {
  const iterator = stream[Symbol.asyncIterator]()
  const runs: Run[] = []
  const head: Child[] = []
  while (head.length < 2) {
    const next = await iterator.next()
    if (next.done === true) break
    runs.push(next.value)
    for (let i = 0; i < next.value.count && head.length < 2; i++) head.push(childAt(next.value, i))
  }
  async function* rest(): AsyncGenerator<Run> {
    yield* runs
    yield* { [Symbol.asyncIterator]: () => iterator }
  }
  return { head, rest: rest() }
}
