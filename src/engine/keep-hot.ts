/**
 * What was at hand before a build is at hand after it. Otherwise the commit that takes up the new tree, and
 * the first appends and reads behind it, would wait until one leaf after the other is read and proved. And the
 * leaves that these stand for go, so that a small cache is not full of trees that nobody reads any more.
 */
import type { Child } from '../model/node.ts'
import type { CutNode } from '../tree/chunker.ts'
import type { NodeSink } from '../tree/merge.ts'
import type { NodeStore } from '../tree/node-store.ts'
import type { Tree } from '../tree/tree.ts'

/** Until the commit the old leaves are asked for, too. */
const PART_OF_CACHE = 0.25

/** Passes nodes on to a sink, and keeps the leaves that stand where one of the tree before is at hand. */
export class HotLeaves implements NodeSink {
  readonly #nodes: NodeStore
  readonly #before: Tree
  readonly #sink: NodeSink
  /** Leaves of the tree before in whose place there is a new one, or beside it. */
  readonly #doubtful = new Map<string, Child>()
  #room: number

  constructor(nodes: NodeStore, before: Tree, sink: NodeSink) {
    this.#nodes = nodes
    this.#before = before
    this.#sink = sink
    this.#room = nodes.cacheBytes * PART_OF_CACHE
  }

  put(node: CutNode): Promise<void> {
    if (node.level === 0) this.#keep(node)
    return this.#sink.put(node)
  }

  #keep({ child, block }: CutNode): void {
    const old = this.#before.cachedLeaf(child.last)
    if (old === undefined) return
    this.#doubtful.set(old.cidKey, old)
    if (block.length > this.#room) return
    this.#room -= block.length
    this.#nodes.keep(child, block)
  }

  /** `after`, the new tree, is what is read from now on: who still reads the old one may ask the store. */
  letGo(after: Tree): void {
    for (const [key, { last }] of this.#doubtful)
      if (after.cachedLeaf(last)?.cidKey !== key) this.#nodes.drop(key)
  }
}
