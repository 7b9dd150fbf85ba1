/**
 * Turns: reads of lmdb are done when they are asked for, and promises go before everything else that waits.
 * So who reads block after block would keep requests, timers and the ends of commits waiting until he is
 * through, however often he awaits. What was read in one turn of the event loop is counted over all readers.
 */

/** So much may be read in one turn; a look-up counts as its time would. */
const TURN_BYTES = 2 << 20
const LOOKUP_WEIGHT = 1000

export class Turn {
  #weight = 0

  /** Something was looked up, of so many bytes if it was there. */
  count(bytes: number): void {
    if (this.#weight === 0) setImmediate(() => (this.#weight = 0))
    this.#weight += LOOKUP_WEIGHT + bytes
  }

  get isOver(): boolean {
    return this.#weight > TURN_BYTES
  }

  /** Until the next turn, where this one is over. */
  async next(): Promise<void> {
    while (this.isOver) await new Promise((resolve) => setImmediate(resolve))
  }
}
