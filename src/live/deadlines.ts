/** Deadlines: which of many things is due first. A heap; what was given a later moment is sorted out by its owner. */

interface Deadline<T> {
  readonly at: number
  readonly item: T
}

export class Deadlines<T> {
  readonly #heap: Deadline<T>[] = []

  get first(): number | undefined {
    return this.#heap[0]?.at
  }

  get size(): number {
    return this.#heap.length
  }

  add(at: number, item: T): void {
    const heap = this.#heap
    let i = heap.length
    heap.push({ at, item })
    while (i > 0) {
      const parent = (i - 1) >>> 1
      const above = heap[parent]
      if (above === undefined || above.at <= at) break
      heap[i] = above
      heap[parent] = { at, item }
      i = parent
    }
  }

  /** The things that are due at `now`, the first due first; they are not asked for again. */
  *due(now: number): Generator<T> {
    for (let top = this.#heap[0]; top !== undefined && top.at <= now; top = this.#heap[0]) {
      this.#removeFirst()
      yield top.item
    }
  }

  clear(): void {
    this.#heap.length = 0
  }

  #removeFirst(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let i = 0
    for (;;) {
      const left = 2 * i + 1
      const right = left + 1
      const child = isBefore(heap[right], heap[left]) ? right : left
      const below = heap[child]
      if (below === undefined || below.at >= last.at) break
      heap[i] = below
      i = child
    }
    heap[i] = last
  }
}

function isBefore<T>(a: Deadline<T> | undefined, b: Deadline<T> | undefined): boolean {
  return a !== undefined && b !== undefined && a.at < b.at
}
