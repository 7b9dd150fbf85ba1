/** Runs asynchronous sections one after another, in the order in which they asked. */
export class Mutex {
  #last: Promise<unknown> = Promise.resolve()

  run<T>(section: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(section, section)
    this.#last = turn.catch(() => undefined)
    return turn
  }
}
