/**
 * Feed: old records and edits of one level, merged in the order of their keys, on their way into a
 * chunker. Stretches that no edit touches are passed on whole.
 */
import { compareKeyAt, lowerBoundNear, type Run } from '../model/run.ts'
import { childAt } from './child-run.ts'
import type { Chunker } from './chunker.ts'
import { entryExpired, type EditReader } from './edits.ts'

/** How a merge judges and reports: the part of its options that feeding needs. */
export interface FeedOptions {
  /** The moment by which expiry is judged. */
  readonly at: number
  /** Called now and then with the number of edits merged so far. */
  readonly onProgress?: ((edits: number) => void) | undefined
}

export class Feed {
  /** How often the old records were departed from. */
  changes = 0
  readonly #level: number
  readonly #at: number
  readonly #chunker: Chunker
  readonly #edits: EditReader
  readonly #onProgress: ((edits: number) => void) | undefined
  #index = 0
  #done = false

  constructor(level: number, options: FeedOptions, chunker: Chunker, edits: EditReader) {
    this.#level = level
    this.#at = options.at
    this.#chunker = chunker
    this.#edits = edits
    this.#onProgress = level === 0 ? options.onProgress : undefined
  }

  /** Turns to the next old node. */
  begin(): void {
    this.#index = 0
    this.#done = false
  }

  /**
   * Feeds a stretch: records of `base` and edits up to key `upTo` (undefined: all), until a node is
   * finished or a run of edits is used up. False when all has been fed before.
   */
  async some(base: Run, upTo: string | undefined): Promise<boolean> {
    if (this.#done) return false
    const edits = this.#edits
    while (edits.key !== undefined && (upTo === undefined || edits.key <= upTo)) {
      const place = lowerBoundNear(base, edits.key, this.#index)
      this.#old(base, place)
      const wait = place === base.count ? this.#tail(upTo) : this.#one(base, edits.key)
      if (wait !== undefined) {
        await wait
        this.#onProgress?.(edits.passed)
        if (this.#chunker.cut.length > 0) return true
      }
    }
    this.#old(base, base.count)
    this.#done = true
    return true
  }

  /** One edit, which may replace the old record at the index. */
  #one(base: Run, key: string): Promise<void> | undefined {
    const { run, index } = this.#edits
    if (compareKeyAt(base, this.#index, key) === 0) this.#index += 1
    if (!this.#isRemoval(run, index)) this.#chunker.add(run, index, index + 1)
    this.changes += 1
    return this.#edits.pass(1)
  }

  /** Edits behind the last old record: as many at once as the run holds. */
  #tail(upTo: string | undefined): Promise<void> | undefined {
    const { run, index } = this.#edits
    let end = index + 1
    if (upTo === undefined && !this.#hasRemovals(run)) end = run.count
    if (end > index + 1 || !this.#isRemoval(run, index)) this.#chunker.add(run, index, end)
    this.changes += 1
    return this.#edits.pass(end - index)
  }

  #hasRemovals(run: Run): boolean {
    return this.#level > 0 || (run.exp !== null && run.exp <= this.#at)
  }

  #isRemoval(run: Run, index: number): boolean {
    return this.#level > 0 ? childAt(run, index).count === 0 : entryExpired(run, index, this.#at)
  }

  /** The old records up to `to`, less those that have expired. */
  #old(base: Run, to: number): void {
    const from = this.#index
    this.#index = to
    if (this.#level > 0 || base.exp === null || base.exp > this.#at) {
      this.#chunker.add(base, from, to)
      return
    }
    let start = from
    for (let i = from; i < to; i++) {
      if (!entryExpired(base, i, this.#at)) continue
      this.#chunker.add(base, start, i)
      start = i + 1
      this.changes += 1
    }
    this.#chunker.add(base, start, to)
  }
}
