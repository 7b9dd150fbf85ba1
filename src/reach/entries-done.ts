/** How far a walk is, in entries: the one measure whose total is known before it begins. */
import type { Met } from './met.ts'

/** After so many blocks there is something new to tell. */
const TELL_EVERY = 1024

export class EntriesDone {
  readonly #tell: (done: number) => void
  #blocks = 0
  /** Of leaves and chain blocks that were left. */
  #left = 0
  /** Of the one that the walk is in; each block under it counts for one of them. */
  #here = 0
  #under = 0

  constructor(tell: (done: number) => void) {
    this.#tell = tell
  }

  block({ entries }: Met): void {
    if (entries !== undefined) {
      this.#here = entries
      this.#under = 0
    } else if (this.#under < this.#here) {
      this.#under += 1
    }
    this.#blocks += 1
    if (this.#blocks % TELL_EVERY === 0) this.#tell(this.#left + this.#under)
  }

  leave({ entries = 0 }: Met): void {
    this.#left += entries
    this.#here = 0
    this.#under = 0
    this.#tell(this.#left)
  }
}
