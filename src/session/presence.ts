/** Who was heard of last when: users that gave a time-out and are silent for so long are taken for gone. */

const LOOK_MS = 250

interface Heard {
  at: number
  readonly timeout: number
}

export class Presence {
  readonly #heard = new Map<string, Heard>()
  readonly #onGone: (user: string) => void
  #timer: NodeJS.Timeout | undefined

  constructor(onGone: (user: string) => void) {
    this.#onGone = onGone
  }

  connected(user: string, timeout: number | null): void {
    this.#heard.delete(user)
    if (timeout === null) return
    this.#heard.set(user, { at: performance.now(), timeout })
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS).unref()
  }

  heard(user: string): void {
    const known = this.#heard.get(user)
    if (known !== undefined) known.at = performance.now()
  }

  gone(user: string): void {
    this.#heard.delete(user)
    if (this.#heard.size === 0) this.stop()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #look(): void {
    const now = performance.now()
    for (const [user, { at, timeout }] of this.#heard) {
      if (now - at < timeout) continue
      this.gone(user)
      this.#onGone(user)
    }
  }
}
