/**
 * A map that is bounded by the bytes of what it holds, and drops what was not used lately. A use only
 * sets a mark; when room is needed, the oldest entries with a mark get a second round without it.
 */
interface Held<V> {
  readonly value: V
  readonly bytes: number
  used: boolean
}

export class ByteLru<V> {
  readonly #held = new Map<string, Held<V>>()
  readonly #limit: number
  #bytes = 0

  constructor(limitBytes: number) {
    this.#limit = limitBytes
  }

  get(key: string): V | undefined {
    const held = this.#held.get(key)
    if (held === undefined) return undefined
    held.used = true
    return held.value
  }

  set(key: string, value: V, bytes: number): void {
    this.delete(key)
    if (bytes > this.#limit) return
    this.#held.set(key, { value, bytes, used: false })
    this.#bytes += bytes
    while (this.#bytes > this.#limit) this.#evictOne()
  }

  delete(key: string): void {
    const held = this.#held.get(key)
    if (held === undefined) return
    this.#held.delete(key)
    this.#bytes -= held.bytes
  }

  /** Every round takes marks away, so a second one at the latest finds an entry without. */
  #evictOne(): void {
    for (const [key, held] of this.#held) {
      this.delete(key)
      if (!held.used) return
      this.#held.set(key, { ...held, used: false })
      this.#bytes += held.bytes
    }
  }
}
