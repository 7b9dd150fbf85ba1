/** How far the maps show what the log tells, and who waits for that. */
import type { FollowFrom } from './follower.ts'

interface Waiter {
  readonly wanted: FollowFrom
  readonly resolve: () => void
}

export class Heard {
  #at: FollowFrom
  #waiters: Waiter[] = []
  #hasEnded = false

  constructor(at: FollowFrom) {
    this.#at = at
  }

  /** All that lies before is shown. */
  reached(at: FollowFrom): void {
    this.#at = at
    this.#settle(({ wanted }) => isBehind(at, wanted))
  }

  /** Nothing more will be heard. */
  end(): void {
    this.#hasEnded = true
    this.#settle(() => true)
  }

  /** Resolves once all is shown that lies before, or there is nobody left who would show it. */
  until(wanted: FollowFrom): Promise<void> {
    if (this.#hasEnded || isBehind(this.#at, wanted)) return Promise.resolve()
    return new Promise((resolve) => this.#waiters.push({ wanted, resolve }))
  }

  #settle(isDone: (waiter: Waiter) => boolean): void {
    const done = this.#waiters.filter(isDone)
    this.#waiters = this.#waiters.filter((waiter) => !isDone(waiter))
    for (const { resolve } of done) resolve()
  }
}

/** A later generation is read as a whole, with all that was wanted of the one before and is still there. */
const isBehind = (at: FollowFrom, wanted: FollowFrom): boolean =>
  at.generation.number > wanted.generation.number ||
  (at.generation.number === wanted.generation.number && at.next >= wanted.next)
