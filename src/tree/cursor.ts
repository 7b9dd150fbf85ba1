/**
 * Places in one level of a tree, reached from the root: a place is a child record in some branch of
 * the level above, with the way that led to it. Immutable; moving gives another place.
 */
import { branchOf, type Child, type Node } from '../model/node.ts'
import { assert } from '../errors.ts'
import type { NodeStore } from './node-store.ts'

export interface Place {
  /** The branch that holds the record, and where. */
  readonly children: readonly Child[]
  readonly index: number
  readonly child: Child
  readonly parent: Place | undefined
}

/** Walks the nodes of one level. Branches on the way are read through the cache. */
export class LevelCursor {
  readonly #nodes: NodeStore
  readonly #root: Child
  readonly #rootLevel: number
  readonly level: number
  readonly #signal: AbortSignal | undefined

  constructor(
    nodes: NodeStore,
    root: Child,
    rootLevel: number,
    level: number,
    signal?: AbortSignal,
  ) {
    assert(level <= rootLevel, 'a cursor walks a level of the tree')
    this.#nodes = nodes
    this.#root = root
    this.#rootLevel = rootLevel
    this.level = level
    this.#signal = signal
  }

  /** The node at a place; not kept in the cache unless asked. */
  node(place: Place, keep = false): Promise<Node> {
    return this.#nodes.readChild(place.child, keep, this.#signal)
  }

  /** The first node whose last key is not below `key`, else the last node. */
  seek(key: string): Promise<Place> {
    return this.#descend((children) => lowerBoundChild(children, key))
  }

  first(): Promise<Place> {
    return this.#descend(() => 0)
  }

  last(): Promise<Place> {
    return this.#descend((children) => children.length - 1)
  }

  async #descend(choose: (children: readonly Child[]) => number): Promise<Place> {
    let place = placeAt([this.#root], 0, undefined)
    for (let level = this.#rootLevel; level > this.level; level--) {
      const children = await this.#childrenOf(place)
      place = placeAt(children, choose(children), place)
    }
    return place
  }

  async #childrenOf(place: Place): Promise<readonly Child[]> {
    const node = await this.#nodes.readChild(place.child, true, this.#signal)
    return branchOf(node).children
  }

  async next(place: Place): Promise<Place | undefined> {
    return this.#step(place, 1)
  }

  async previous(place: Place): Promise<Place | undefined> {
    return this.#step(place, -1)
  }

  async #step(place: Place, by: 1 | -1): Promise<Place | undefined> {
    const index = place.index + by
    if (index >= 0 && index < place.children.length)
      return placeAt(place.children, index, place.parent)
    if (place.parent === undefined) return undefined
    const parent = await this.#step(place.parent, by)
    if (parent === undefined) return undefined
    const children = await this.#childrenOf(parent)
    return placeAt(children, by === 1 ? 0 : children.length - 1, parent)
  }

  /** The first node behind key `after` under which something has expired at `at`. */
  firstExpired(after: string | undefined, at: number): Promise<Place | undefined> {
    const wanted = (child: Child): boolean =>
      child.exp !== null && child.exp <= at && (after === undefined || child.last > after)
    return this.#find(placeAt([this.#root], 0, undefined), this.#rootLevel, wanted)
  }

  async #find(
    place: Place,
    level: number,
    wanted: (child: Child) => boolean,
  ): Promise<Place | undefined> {
    if (!wanted(place.child)) return undefined
    if (level === this.level) return place
    const children = await this.#childrenOf(place)
    for (let index = 0; index < children.length; index++) {
      const found = await this.#find(placeAt(children, index, place), level - 1, wanted)
      if (found !== undefined) return found
    }
    return undefined
  }
}

function placeAt(children: readonly Child[], index: number, parent: Place | undefined): Place {
  const child = children[index]
  assert(child !== undefined, 'a place lies in its branch')
  return { children, index, child, parent }
}

/** The index of the first child whose last key is not below `key`; the last child when none is. */
export function lowerBoundChild(children: readonly Child[], key: string): number {
  let low = 0
  let high = children.length - 1
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((children[middle]?.last ?? '') < key) low = middle + 1
    else high = middle
  }
  return low
}
