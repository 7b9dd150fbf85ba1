/**
 * What was at hand before a build is at hand after it. Otherwise the commit that takes up the new tree, and
 * the first appends and reads behind it, would wait until one leaf after the other is read and proved.
 */
import type { NodeSink } from '../tree/merge.ts'
import type { NodeStore } from '../tree/node-store.ts'
import type { Tree } from '../tree/tree.ts'

type SunkNode = Parameters<NodeSink['put']>[0]

/** Until the commit the old leaves are asked for, too. */
const PART_OF_CACHE = 0.25

/** Passes nodes on to a sink, and keeps the leaves that stand where one of the tree before is at hand. */
export class HotLeaves implements NodeSink {
  readonly #nodes: NodeStore
  readonly #before: Tree
  readonly #sink: NodeSink
  readonly #replaced = new Set<string>()
  #room: number

  constructor(nodes: NodeStore, before: Tree, sink: NodeSink) {
    this.#nodes = nodes
    this.#before = before
    this.#sink = sink
    this.#room = nodes.cacheBytes * PART_OF_CACHE
  }

  put(node: SunkNode): ReturnType<NodeSink['put']> {
    if (node.level === 0) this.#keep(node)
    return this.#sink.put(node)
  }

  #keep({ child, block }: SunkNode): void {
    const old = this.#before.cachedLeaf(child.last)
    if (old === undefined || block.length > this.#room) return
    this.#room -= block.length
    this.#nodes.keep(child, block)
    // The new tree has another leaf for this key, so the old one is none of its leaves.
    if (old !== child.cidKey) this.#replaced.add(old)
  }

  /** The new tree is what is read from now on: who still reads the old one may ask the store. */
  letGo(): void {
    for (const key of this.#replaced) this.#nodes.drop(key)
  }
}
