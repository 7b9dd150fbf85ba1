/**
 * The difference of two trees, as a stream in the order of ids. Subtrees that are the same block are
 * passed over unread, so the cost goes with what changed.
 */
import { readEntry, type Entry } from '../model/entry.ts'
import { bytesEqual, type CidBytes } from '../model/cid.ts'
import { isLeaf, type Child, type Leaf, type Node } from '../model/node.ts'
import { keyAt } from '../model/run.ts'
import { throwIfAborted } from '../errors.ts'
import type { NodeStore } from './node-store.ts'

/** `before` is absent for what was added, `after` for what is gone. */
export interface Change {
  readonly pi: string
  readonly before: Entry | undefined
  readonly after: Entry | undefined
}

/** One side of the comparison: what is left of a tree, as nodes not yet opened and leaves under way. */
class Side {
  readonly #nodes: NodeStore
  /** Unopened nodes, the next one last; with their level. */
  readonly #ahead: { readonly child: Child; readonly level: number }[]
  #leaf: Leaf | undefined
  #index = 0

  constructor(nodes: NodeStore, root: Child, level: number) {
    this.#nodes = nodes
    this.#ahead = root.count === 0 ? [] : [{ child: root, level }]
  }

  /** The unopened node that comes next; undefined when an entry does, or nothing. */
  get node(): { readonly child: Child; readonly level: number } | undefined {
    return this.#leaf === undefined ? this.#ahead.at(-1) : undefined
  }

  get key(): string | undefined {
    return this.#leaf === undefined ? undefined : keyAt(this.#leaf, this.#index)
  }

  skipNode(): void {
    this.#ahead.pop()
  }

  async openNode(): Promise<void> {
    const next = this.#ahead.pop()
    if (next === undefined) return
    const node: Node = await this.#nodes.readChild(next.child, false)
    if (isLeaf(node)) {
      this.#leaf = node
      this.#index = 0
      return
    }
    for (let i = node.children.length - 1; i >= 0; i--) {
      const child = node.children[i]
      if (child !== undefined) this.#ahead.push({ child, level: node.level - 1 })
    }
  }

  /** The encoded entry under way. */
  get record(): Uint8Array {
    const leaf = this.#leaf
    if (leaf === undefined) return new Uint8Array(0)
    return leaf.bytes.subarray(leaf.starts[this.#index], leaf.starts[this.#index + 1])
  }

  take(): Entry | undefined {
    const leaf = this.#leaf
    if (leaf === undefined) return undefined
    const entry = readEntry(leaf.bytes, leaf.starts[this.#index] ?? 0)
    this.pass()
    return entry
  }

  pass(): void {
    this.#index += 1
    if (this.#leaf !== undefined && this.#index === this.#leaf.count) this.#leaf = undefined
  }
}

export async function* diffTrees(
  nodes: NodeStore,
  before: CidBytes,
  after: CidBytes,
  signal?: AbortSignal,
): AsyncGenerator<Change> {
  if (bytesEqual(before, after)) return
  const a = await side(nodes, before)
  const b = await side(nodes, after)
  for (;;) {
    throwIfAborted(signal)
    if (await openOrSkip(a, b)) continue
    const aKey = a.key
    const bKey = b.key
    if (aKey === undefined && bKey === undefined) return
    if (aKey !== undefined && aKey === bKey && bytesEqual(a.record, b.record)) {
      a.pass()
      b.pass()
      continue
    }
    const old = aKey !== undefined && (bKey === undefined || aKey <= bKey) ? a.take() : undefined
    const fresh = bKey !== undefined && (aKey === undefined || bKey <= aKey) ? b.take() : undefined
    yield { pi: (old ?? fresh)?.pi ?? '', before: old, after: fresh }
  }
}

async function side(nodes: NodeStore, root: CidBytes): Promise<Side> {
  const { node, child } = await nodes.readRoot(root)
  return new Side(nodes, child, node.level)
}

/** Deals with unopened nodes on either side; false when both sides stand at an entry or their end. */
async function openOrSkip(a: Side, b: Side): Promise<boolean> {
  const aNode = a.node
  const bNode = b.node
  if (aNode === undefined && bNode === undefined) return false
  if (aNode !== undefined && bNode !== undefined) {
    if (bytesEqual(aNode.child.cid, bNode.child.cid)) {
      a.skipNode()
      b.skipNode()
      return true
    }
    if (aNode.level >= bNode.level) await a.openNode()
    if (bNode.level >= aNode.level) await b.openNode()
    return true
  }
  await (aNode === undefined ? b : a).openNode()
  return true
}
