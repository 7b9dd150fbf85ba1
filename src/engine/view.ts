/**
 * View: all entities at one moment, the recent chain laid over the tree, in one order. Pages, scans and
 * lookups are answered from here; it never changes while it is read.
 */
import { firstNotBelow, type Overlay, type OverlayView } from '../chain/overlay.ts'
import { throwIfAborted } from '../errors.ts'
import { isExpired, readEntry, type Entry } from '../model/entry.ts'
import { keyAt } from '../model/run.ts'
import type { KeyRange, Segment } from '../tree/tree.ts'

export interface WalkOptions {
  readonly range: KeyRange
  readonly descending: boolean
  /** Deleted entities, too. */
  readonly deleted?: boolean
  readonly signal?: AbortSignal | undefined
}

export class View {
  readonly #overlay: Overlay
  readonly #layer: OverlayView
  /** The moment by which expiry is judged. */
  readonly #at: number

  constructor(overlay: Overlay, at: number) {
    this.#overlay = overlay
    this.#layer = overlay.view()
    this.#at = at
  }

  /** The entity's entry if it counts: neither expired nor absent; deleted ones are given, too. */
  async get(key: string): Promise<Entry | undefined> {
    const index = firstNotBelow(this.#layer.entries, key)
    const over = this.#layer.entries[index]
    const entry = over?.key === key ? over.entry : await this.#overlay.tree.get(key)
    return entry === undefined || isExpired(entry.exp, this.#at) ? undefined : entry
  }

  /**
   * Entries of `range` that count, in order: a leaf at a time, so that who reads them does not wait
   * for each. The batches are made lazily; stop in the midst of one, and the rest costs nothing.
   */
  async *walk({
    range,
    descending,
    deleted = false,
    signal,
  }: WalkOptions): AsyncGenerator<Iterable<Entry>> {
    const layer = new LayerWalk(this.#layer, range, descending)
    const { tree } = this.#overlay
    for await (const segment of tree.segments(range, descending, signal)) {
      throwIfAborted(signal)
      yield this.#counting(mergeSegment(segment, layer, descending), deleted)
    }
    yield this.#counting(layer.rest(), deleted)
  }

  *#counting(entries: Iterable<Entry>, deleted: boolean): Generator<Entry> {
    for (const entry of entries) {
      if ((deleted || entry.tip !== null) && !isExpired(entry.exp, this.#at)) yield entry
    }
  }

  /** The key of the live entry that `rank` others stand before; undefined behind the last. */
  async keyAtRank(rank: number): Promise<string | undefined> {
    const { tree } = this.#overlay
    const { entries } = this.#layer
    const { before, shift } = await this.#overlay.ranksOf(this.#layer)
    const index = lastNotAbove(before, rank)
    const over = entries[index]
    if (over !== undefined && before[index] === rank && over.entry.tip !== null) return over.key
    return tree.keyAtRank(rank - (shift[index + 1] ?? 0))
  }

  /** How many live entries stand before `key`. */
  async rankOf(key: string): Promise<number> {
    const index = firstNotBelow(this.#layer.entries, key)
    const { shift } = await this.#overlay.ranksOf(this.#layer)
    return (await this.#overlay.rankInTree(key)) + (shift[index] ?? 0)
  }

  async liveCount(): Promise<number> {
    const { shift } = await this.#overlay.ranksOf(this.#layer)
    return this.#overlay.tree.liveCount + (shift[this.#layer.entries.length] ?? 0)
  }
}

/** The overlay's entries of a range, one after another in walking direction. */
class LayerWalk {
  readonly #entries: OverlayView['entries']
  readonly #step: 1 | -1
  #index: number
  readonly #end: number

  constructor(layer: OverlayView, { from, to }: KeyRange, descending: boolean) {
    const { entries } = layer
    const low = from === undefined ? 0 : firstNotBelow(entries, from)
    const high = to === undefined ? entries.length : firstNotBelow(entries, to)
    this.#entries = entries
    this.#step = descending ? -1 : 1
    this.#index = descending ? high - 1 : low
    this.#end = descending ? Math.min(low - 1, high - 1) : Math.max(high, low)
  }

  get key(): string | undefined {
    return this.#index === this.#end ? undefined : this.#entries[this.#index]?.key
  }

  take(): Entry | undefined {
    const entry = this.#entries[this.#index]?.entry
    this.#index += this.#step
    return entry
  }

  *rest(): Generator<Entry> {
    while (this.key !== undefined) {
      const entry = this.take()
      if (entry !== undefined) yield entry
    }
  }
}

function* mergeSegment(
  { leaf, from, to }: Segment,
  layer: LayerWalk,
  descending: boolean,
): Generator<Entry> {
  const step = descending ? -1 : 1
  const end = descending ? from - 1 : to
  for (let i = descending ? to - 1 : from; i !== end; i += step) {
    if (layer.key === undefined) {
      yield readEntry(leaf.bytes, leaf.starts[i] ?? 0)
      continue
    }
    const key = keyAt(leaf, i)
    while (layer.key !== undefined && (descending ? layer.key > key : layer.key < key)) {
      const entry = layer.take()
      if (entry !== undefined) yield entry
    }
    const over = layer.key === key ? layer.take() : undefined
    yield over ?? readEntry(leaf.bytes, leaf.starts[i] ?? 0)
  }
}

/** The last index whose value is not above `value`; -1 when all are. */
function lastNotAbove(ascending: Float64Array, value: number): number {
  let low = 0
  let high = ascending.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((ascending[middle] ?? 0) <= value) low = middle + 1
    else high = middle
  }
  return low - 1
}
