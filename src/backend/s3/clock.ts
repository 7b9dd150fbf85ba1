/** Two clocks: the wall's, which may be set, and a steady one, which may stand still while the machine sleeps. */
export interface Moment {
  readonly wall: number
  readonly steady: number
}

export class Clock {
  readonly #now: () => number
  readonly #offset: () => number

  /** `offset`: by how much the server's clock is ahead of `now`. */
  constructor(now: () => number, offset: () => number) {
    this.#now = now
    this.#offset = offset
  }

  /** By the server's clock, to about five minutes. */
  get server(): number {
    return this.#now() + this.#offset()
  }

  get moment(): Moment {
    return { wall: this.#now(), steady: performance.now() }
  }

  /** How long ago it was: what the clock says that tells of more time. */
  since({ wall, steady }: Moment): number {
    return Math.max(this.#now() - wall, performance.now() - steady)
  }
}

export const later = (a: Moment, b: Moment): Moment => (a.steady >= b.steady ? a : b)
