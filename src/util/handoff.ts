/** Hands values from a writer to one reader, one at a time: the writer waits until each is used up. */
export class Handoff<T> implements AsyncIterable<T> {
  #given: { readonly value: T } | undefined
  /** Lets the writer go on. */
  #usedUp: (() => void) | undefined
  #wake: (() => void) | undefined
  #state: 'open' | 'ended' | 'failed' = 'open'
  #error: unknown

  /** Rejects with the reader's error once it has failed. */
  async push(value: T): Promise<void> {
    await new Promise<void>((resolve) => {
      if (this.#state === 'failed') return resolve()
      this.#given = { value }
      this.#usedUp = resolve
      this.#wake?.()
    })
    if (this.#state === 'failed') throw this.#error
  }

  end(): void {
    if (this.#state === 'open') this.#state = 'ended'
    this.#wake?.()
  }

  /** The reader has failed: nobody waits for it any more. */
  fail(error: unknown): void {
    this.#state = 'failed'
    this.#error = error
    this.#usedUp?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      const given = this.#given
      this.#given = undefined
      if (given !== undefined) {
        yield given.value
        this.#usedUp?.()
        continue
      }
      if (this.#state !== 'open') return
      await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }
}
