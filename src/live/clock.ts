/**
 * The clock of all maps of a dataset. It never goes back, nor behind the newest commit that they know: at that moment
 * the store looks whether a key has expired, so a life that is counted from before it could be over as it begins.
 */
export class MapsClock {
  readonly #now: () => number
  #latest = 0

  constructor(now: () => number) {
    this.#now = now
  }

  moment(): number {
    return this.atLeast(this.#now())
  }

  /** A moment that has come, whatever the clock of this machine says. */
  atLeast(moment: number): number {
    this.#latest = Math.max(this.#latest, moment)
    return this.#latest
  }
}
