/**
 * OrderedLookup: finds keys that come in order, each from where the one before it was found. Where they lie side by side
 * that costs two comparisons a key; a search from the root costs some fifteen.
 */
import { readEntry, type Entry } from '../model/entry.ts'
import type { Leaf } from '../model/node.ts'
import { compareKeyAt, lowerBoundNear } from '../model/run.ts'
import { liveRank, type LeafPlace, type Tree } from './tree.ts'

/** Where a key stands in a tree, or would stand. */
export class OrderedLookup {
  readonly #tree: Tree
  #leaf: Leaf | undefined
  /** Of the leaves before. */
  #liveBefore = 0
  #index = 0
  #isThere = false

  constructor(tree: Tree) {
    this.#tree = tree
  }

  /** Turns to a key that is not below the one before; at once when its leaf is at hand. */
  seek(key: string): this | Promise<this> {
    const leaf = this.#leaf
    // All before the index are below the key: it stands in this leaf unless it is above the last one, too.
    if (leaf !== undefined && leaf.count > 0 && compareKeyAt(leaf, leaf.count - 1, key) >= 0) {
      return this.#turn(leaf, key)
    }
    const place = this.#tree.leafFor(key)
    return place instanceof Promise
      ? place.then((read) => this.#enter(read, key))
      : this.#enter(place, key)
  }

  /** The key's entry, deleted and expired ones included. */
  get entry(): Entry | undefined {
    const leaf = this.#leaf
    if (leaf === undefined || !this.#isThere) return undefined
    return readEntry(leaf.bytes, leaf.starts[this.#index] ?? 0)
  }

  /** How many live entries of the tree stand before the key. */
  get rank(): number {
    return this.#liveBefore + this.#rankIn(this.#index)
  }

  /** 1 when the tree has the key as a live entry, else 0. */
  get live(): number {
    return this.#isThere ? this.#rankIn(this.#index + 1) - this.#rankIn(this.#index) : 0
  }

  #rankIn(index: number): number {
    return this.#leaf === undefined ? 0 : liveRank(this.#leaf, index)
  }

  #enter({ leaf, liveBefore }: LeafPlace, key: string): this {
    this.#leaf = leaf
    this.#liveBefore = liveBefore
    this.#index = 0
    return this.#turn(leaf, key)
  }

  #turn(leaf: Leaf, key: string): this {
    this.#index = lowerBoundNear(leaf, key, this.#index)
    this.#isThere = this.#index < leaf.count && compareKeyAt(leaf, this.#index, key) === 0
    return this
  }
}
