/** Tree: reading one snapshot's entities. Immutable, so a reader needs no lock and sees one state. */
import type { CidBytes } from '../model/cid.ts'
import { readEntry, type Entry } from '../model/entry.ts'
import { branchOf, isLeaf, leafOf, type Child, type Leaf, type Node } from '../model/node.ts'
import { compareKeyAt, keyAt, lowerBound } from '../model/run.ts'
import { LevelCursor, lowerBoundChild, type Place } from './cursor.ts'
import type { NodeStore } from './node-store.ts'

/** The leaf in which a key would stand, and how many live entries the leaves before it hold. */
export interface LeafPlace {
  readonly leaf: Leaf
  readonly liveBefore: number
}

/** The entries [from, to) of a leaf; walks downwards take them from the end. */
export interface Segment {
  readonly leaf: Leaf
  readonly from: number
  readonly to: number
}

/** Keys in [from, to); an end that is not given is open. */
export interface KeyRange {
  readonly from?: string | undefined
  readonly to?: string | undefined
}

export class Tree {
  readonly root: Child
  readonly #rootNode: Node
  readonly #nodes: NodeStore

  private constructor(nodes: NodeStore, root: Child, rootNode: Node) {
    this.#nodes = nodes
    this.root = root
    this.#rootNode = rootNode
  }

  static async open(nodes: NodeStore, cid: CidBytes, signal?: AbortSignal): Promise<Tree> {
    const { node, child } = await nodes.readRoot(cid, signal)
    return new Tree(nodes, child, node)
  }

  /** Live entries, those that have expired meanwhile included. */
  get liveCount(): number {
    return this.root.live
  }

  /** The leaf for `key`: at once when it is at hand, which is what makes a warm lookup cheap. */
  leafFor(key: string): LeafPlace | Promise<LeafPlace> {
    let node = this.#rootNode
    let liveBefore = 0
    while (!isLeaf(node)) {
      const index = lowerBoundChild(node.children, key)
      const child = node.children[index]
      const next = child === undefined ? undefined : this.#nodes.cachedChild(child)
      if (next === undefined) return this.#readLeafFor(key)
      liveBefore += node.liveBefore[index] ?? 0
      node = next
    }
    return { leaf: node, liveBefore }
  }

  /** The leaf for `key`, as its parent has it, if `leafFor` would answer at once. */
  cachedLeaf(key: string): Child | undefined {
    let node = this.#rootNode
    let leaf = this.root
    while (!isLeaf(node)) {
      const child = node.children[lowerBoundChild(node.children, key)]
      const next = child === undefined ? undefined : this.#nodes.cachedChild(child)
      if (child === undefined || next === undefined) return undefined
      node = next
      leaf = child
    }
    return leaf
  }

  async #readLeafFor(key: string): Promise<LeafPlace> {
    let node = this.#rootNode
    let liveBefore = 0
    while (!isLeaf(node)) {
      const index = lowerBoundChild(node.children, key)
      liveBefore += node.liveBefore[index] ?? 0
      node = await this.#child(node.children, index)
    }
    return { leaf: node, liveBefore }
  }

  #child(children: readonly Child[], index: number): Promise<Node> {
    const child = children[index]
    if (child === undefined) throw new RangeError('no such child')
    return this.#nodes.readChild(child, true)
  }

  async get(key: string): Promise<Entry | undefined> {
    const place = this.leafFor(key)
    const { leaf } = place instanceof Promise ? await place : place
    return entryIn(leaf, key)
  }

  /** The key of the live entry that `rank` live entries stand before; undefined behind the last. */
  async keyAtRank(rank: number): Promise<string | undefined> {
    if (rank < 0 || rank >= this.root.live) return undefined
    let node = this.#rootNode
    let left = rank
    while (!isLeaf(node)) {
      const { children, liveBefore } = branchOf(node)
      const index = lastNotAbove(liveBefore, left)
      left -= liveBefore[index] ?? 0
      node = await this.#child(children, index)
    }
    return keyAt(node, liveIndex(node, left))
  }

  /** The leaves that hold keys of `range`, in order or against it, cut to the range. */
  async *segments(
    range: KeyRange,
    descending: boolean,
    signal?: AbortSignal,
  ): AsyncGenerator<Segment> {
    if (this.root.count === 0) return
    const cursor = new LevelCursor(this.#nodes, this.root, this.#rootNode.level, 0, signal)
    const edge = descending ? range.to : range.from
    let place: Place | undefined =
      edge === undefined
        ? await (descending ? cursor.last() : cursor.first())
        : await cursor.seek(edge)
    while (place !== undefined) {
      const leaf = leafOf(await cursor.node(place, true))
      const from = range.from === undefined ? 0 : lowerBound(leaf, range.from)
      const to = range.to === undefined ? leaf.count : lowerBound(leaf, range.to)
      if (from < to) yield { leaf, from, to }
      if (descending ? from > 0 : to < leaf.count) return
      place = await (descending ? cursor.previous(place) : cursor.next(place))
    }
  }
}

function entryIn(leaf: Leaf, key: string): Entry | undefined {
  const index = lowerBound(leaf, key)
  if (index === leaf.count || compareKeyAt(leaf, index, key) !== 0) return undefined
  return readEntry(leaf.bytes, leaf.starts[index] ?? 0)
}

/** How many live entries of a leaf stand before index `index`. */
export function liveRank(leaf: Leaf, index: number): number {
  return index - firstWhere(leaf.dead.length, (i) => (leaf.dead[i] ?? 0) >= index)
}

/** The index of the live entry that `rank` live entries of the leaf stand before. */
function liveIndex(leaf: Leaf, rank: number): number {
  return rank + firstWhere(leaf.dead.length, (i) => (leaf.dead[i] ?? 0) - i > rank)
}

/** The last index whose value is not above `value`, of ascending values that begin with 0. */
function lastNotAbove(ascending: Float64Array, value: number): number {
  return firstWhere(ascending.length, (i) => (ascending[i] ?? 0) > value) - 1
}

/** The first of `count` indexes for which `holds` is true; it stays true behind it. */
function firstWhere(count: number, holds: (index: number) => boolean): number {
  let low = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >>> 1
    if (holds(middle)) high = middle
    else low = middle + 1
  }
  return low
}
