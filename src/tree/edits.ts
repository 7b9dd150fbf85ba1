/** EditReader: a sorted stream of runs, read record by record with a look at the next key. */
import { isExpired, readExp } from '../model/entry.ts'
import { EMPTY_RUN, keyAt, type Run } from '../model/run.ts'

/**
 * Edits of one level of the tree, sorted by key. At level 0 a record is an entry, which replaces the
 * one with its id, or takes it out if it is expired at `at`. Above, it is a child record, which
 * replaces the one with its last key, or takes it out if it counts no entries.
 */
export type Edits = AsyncIterable<Run>

export class EditReader {
  run: Run = EMPTY_RUN
  index = 0
  /** The key of the edit under way; undefined behind the last one. */
  key: string | undefined
  /** How many edits lie behind. */
  passed = 0
  readonly #runs: AsyncIterator<Run>

  constructor(runs: AsyncIterable<Run>) {
    this.#runs = runs[Symbol.asyncIterator]()
  }

  /** Goes to the first edit. */
  async start(): Promise<void> {
    await this.#nextRun()
  }

  /** Goes to the first edit of the next run that has any. */
  async #nextRun(): Promise<void> {
    for (;;) {
      const next = await this.#runs.next()
      this.index = 0
      if (next.done === true) {
        this.run = EMPTY_RUN
        this.key = undefined
        return
      }
      if (next.value.count === 0) continue
      this.run = next.value
      this.key = keyAt(this.run, 0)
      return
    }
  }

  /** Passes `count` edits of the run under way; a promise when that was the last of it. */
  pass(count: number): Promise<void> | undefined {
    this.passed += count
    this.index += count
    if (this.index < this.run.count) {
      this.key = keyAt(this.run, this.index)
      return undefined
    }
    return this.#nextRun()
  }

  async close(): Promise<void> {
    await this.#runs.return?.()
  }
}

/** Whether the entry at `index` of a run no longer counts at `at`. */
export function entryExpired(run: Run, index: number, at: number): boolean {
  if (run.exp === null || run.exp > at) return false
  return isExpired(readExp(run.bytes, run.starts[index] ?? 0), at)
}
