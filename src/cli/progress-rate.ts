/**
 * How fast work goes and how long it still takes, from counts that come in bursts. The rate is a mean in which
 * what is older weighs less; the time left counts down, and is set anew only when it has become wrong. Time is
 * handed in.
 */

/** What is so old weighs a third. */
const MEMORY_MS = 15_000
/** A pause is a part of the rate from here on. */
const PAUSE_MS = 3000
/** Nothing is foretold before. */
const LEARN_MS = 1500
/** The time left stands as long as it is not further off than this, or this part of itself. */
const SLACK_MS = 1500
const SLACK = 0.15

export class RateEstimator {
  readonly #began: number
  #at: number
  #done: number
  /** Time and work, both weighted. */
  #weight = 0
  #work = 0
  #finishAt: number | undefined

  constructor(now: number, done: number) {
    this.#began = now
    this.#at = now
    this.#done = done
  }

  add(now: number, done: number): void {
    const passed = now - this.#at
    if (passed <= 0) return
    const kept = Math.exp(-passed / MEMORY_MS)
    const fresh = MEMORY_MS * (1 - kept)
    this.#weight = this.#weight * kept + fresh
    this.#work = this.#work * kept + ((done - this.#done) * fresh) / passed
    this.#at = now
    this.#done = done
  }

  /** A second; undefined before anything is known. */
  rate(now: number): number | undefined {
    if (this.#weight === 0) return undefined
    const pause = Math.max(0, now - this.#at - PAUSE_MS)
    const kept = Math.exp(-pause / MEMORY_MS)
    return (1000 * this.#work * kept) / (this.#weight * kept + MEMORY_MS * (1 - kept))
  }

  /** Milliseconds; undefined while nothing can be foretold. */
  left(now: number, total: number): number | undefined {
    const rate = this.rate(now) ?? 0
    if (now - this.#began < LEARN_MS || rate <= 0) return undefined
    const left = Math.max(0, ((total - this.#done) * 1000) / rate - (now - this.#at))
    const shown = this.#finishAt === undefined ? undefined : this.#finishAt - now
    if (shown === undefined || Math.abs(shown - left) > Math.max(SLACK_MS, left * SLACK))
      this.#finishAt = now + left
    return Math.max(0, (this.#finishAt ?? now) - now)
  }
}
