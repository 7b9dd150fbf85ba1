/**
 * Overlay: the recent chain as a sorted layer over the snapshot's tree. It holds the newest entry of
 * every entity in the chain, and where the entity stands among the tree's live entries, so that an
 * offset is found by counting.
 *
 * One overlay belongs to one tree. Appends change it in place; readers take a `view`, which never
 * changes.
 */
import { liveOf, type Entry } from '../model/entry.ts'
import { OrderedLookup } from '../tree/ordered-lookup.ts'
import type { Tree } from '../tree/tree.ts'

export interface OverlayEntry {
  readonly key: string
  readonly entry: Entry
  readonly position: number
}

/** Where an entity of the overlay stands in the tree. */
interface TreeRank {
  /** Live entries of the tree before it. */
  readonly before: number
  /** 1 when the tree has it as a live entry, else 0. */
  readonly live: number
}

/** The overlay at one moment, sorted by key. */
export interface OverlayView {
  readonly entries: readonly OverlayEntry[]
  /** What `ranksOf` has made of this view. */
  ranks?: Promise<OverlayRanks>
}

/** For each entry of a view: how many live entries of tree and overlay together stand before it. */
export interface OverlayRanks {
  readonly before: Float64Array
  /** Added to a tree's rank behind the entry, it gives the rank in both together. */
  readonly shift: Float64Array
}

export class Overlay {
  readonly tree: Tree
  readonly #newest = new Map<string, OverlayEntry>()
  readonly #ranks = new Map<string, TreeRank>()
  #view: OverlayView = { entries: [] }
  #changed = new Map<string, OverlayEntry>()

  constructor(tree: Tree) {
    this.tree = tree
  }

  get(key: string): OverlayEntry | undefined {
    return this.#newest.get(key)
  }

  get size(): number {
    return this.#newest.size
  }

  set(entry: OverlayEntry): void {
    this.#newest.set(entry.key, entry)
    this.#changed.set(entry.key, entry)
  }

  view(): OverlayView {
    if (this.#changed.size > 0) {
      this.#view = { entries: merged(this.#view.entries, this.#changed) }
      this.#changed = new Map()
    }
    return this.#view
  }

  /** The ranks of a view; worked out once, reading a leaf of the tree at most once. */
  ranksOf(view: OverlayView): Promise<OverlayRanks> {
    if (view.ranks !== undefined) return view.ranks
    const ranks = this.#rank(view)
    view.ranks = ranks
    ranks.catch(() => delete view.ranks)
    return ranks
  }

  async #rank({ entries }: OverlayView): Promise<OverlayRanks> {
    const before = new Float64Array(entries.length)
    const shift = new Float64Array(entries.length + 1)
    let i = 0
    let behind = 0
    const lookup = new OrderedLookup(this.tree)
    for (const { key, entry } of entries) {
      const known = this.#ranks.get(key) ?? this.#enterRank(key, lookup)
      const rank = known instanceof Promise ? await known : known
      before[i] = rank.before + behind
      behind += liveOf(entry) - rank.live
      shift[++i] = behind
    }
    return { before, shift }
  }

  #enterRank(key: string, lookup: OrderedLookup): TreeRank | Promise<TreeRank> {
    const enter = ({ rank, live }: OrderedLookup): TreeRank => {
      const known = { before: rank, live }
      this.#ranks.set(key, known)
      return known
    }
    const found = lookup.seek(key)
    return found instanceof Promise ? found.then(enter) : enter(found)
  }

  /** How many live entries of the tree alone stand before `key`. */
  async rankInTree(key: string): Promise<number> {
    return (await new OrderedLookup(this.tree).seek(key)).rank
  }

  /** Live entities of tree and overlay together. */
  async liveCount(): Promise<number> {
    const view = this.view()
    const { shift } = await this.ranksOf(view)
    return this.tree.liveCount + (shift[view.entries.length] ?? 0)
  }
}

function merged(old: readonly OverlayEntry[], changed: Map<string, OverlayEntry>): OverlayEntry[] {
  const fresh = [...changed.values()].sort((a, b) => (a.key < b.key ? -1 : 1))
  const entries: OverlayEntry[] = []
  let from = 0
  for (const one of fresh) {
    const to = firstNotBelow(old, one.key, from)
    for (let i = from; i < to; i++) entries.push(old[i] ?? one)
    entries.push(one)
    from = old[to]?.key === one.key ? to + 1 : to
  }
  for (let i = from; i < old.length; i++) {
    const entry = old[i]
    if (entry !== undefined) entries.push(entry)
  }
  return entries
}

/** The index of the first entry, from `from` on, whose key is not below `key`. */
export function firstNotBelow(entries: readonly OverlayEntry[], key: string, from = 0): number {
  let low = from
  let high = entries.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((entries[middle]?.key ?? '') < key) low = middle + 1
    else high = middle
  }
  return low
}
