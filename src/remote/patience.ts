/** How long a sender goes on with a far side. One that works, however slowly, never comes to these bounds. */
import { CairnError } from '../errors.ts'

export interface PatienceLimits {
  /**
   * So long it may be without a question. It tells nothing of what it does then: what a sync that was cut has left is
   * walked, and all of it is proved, some minutes for millions of entities, hours for terabytes on slow disks.
   */
  readonly idleMs: number
  /** So long one sync may last: who asks for the same for ever comes to an end. The next one finds what was sent. */
  readonly wholeMs: number
  /** It waits before it says that it wants nothing; where it does not, it is asked again after so long. */
  readonly paceMs: number
}

const DAY_MS = 24 * 60 * 60 * 1000

export const PATIENCE: PatienceLimits = { idleMs: DAY_MS, wholeMs: 7 * DAY_MS, paceMs: 1000 }

export class Patience {
  readonly #location: string
  readonly #limits: PatienceLimits
  readonly #began = performance.now()
  #asked = this.#began

  constructor(location: string, limits: PatienceLimits) {
    this.#location = location
    this.#limits = limits
  }

  /** It wants nothing, and said so after `tookMs`. Answers how long to wait before it is asked again. */
  nothing(tookMs: number): number {
    const { idleMs, paceMs } = this.#limits
    this.#within(this.#asked, idleMs, 'without a question')
    return Math.max(0, paceMs - tookMs)
  }

  /** It has a question. */
  question(): void {
    this.#asked = performance.now()
    this.#within(this.#began, this.#limits.wholeMs, 'and asks on')
  }

  #within(since: number, ms: number, how: string): void {
    if (performance.now() - since <= ms) return
    const seconds = Math.round(ms / 1000)
    throw new CairnError(
      'deadline_exceeded',
      `The service at ${this.#location} was at work on the sync for more than ${seconds} s ${how}.`,
      { hint: 'Look into its log. What was sent is found again by the next sync.' },
    )
  }
}
