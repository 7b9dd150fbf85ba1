/** The calls of one backend. Closing waits for those that change something, and refuses what comes after. */
import { setMaxListeners } from 'node:events'
import { CairnError, isCairnError, throwIfAborted } from '../../errors.ts'
import type { CallOptions } from '../../store/backend.ts'

export class Calls {
  readonly #changes = new Set<Promise<unknown>>()
  #closing: Promise<void> | undefined

  /** Gives `work` the options as it may hand them on to any number of requests. */
  async read<T, O extends CallOptions>(
    options: O | undefined,
    work: (own: O | undefined) => Promise<T>,
  ): Promise<T> {
    if (this.#closing !== undefined) throw closedError()
    throwIfAborted(options?.signal)
    try {
      return await work(own(options))
    } catch (error) {
      throw this.#closing !== undefined && isCairnError(error, 'backend_unavailable')
        ? closedError()
        : error
    }
  }

  /** What closing waits for: to cut it short would leave a commit unknown. */
  change<T, O extends CallOptions>(
    options: O | undefined,
    work: (own: O | undefined) => Promise<T>,
  ): Promise<T> {
    const running = this.read(options, work)
    this.#changes.add(running)
    const done = (): void => void this.#changes.delete(running)
    running.then(done, done)
    return running
  }

  /** Of what closing does by itself. */
  async unlessClosed(work: () => Promise<void>): Promise<void> {
    if (this.#closing === undefined) await this.change(undefined, work)
  }

  close(release: () => Promise<void>): Promise<void> {
    this.#closing ??= Promise.allSettled(this.#changes).then(release)
    return this.#closing
  }
}

/** One for each that was given: Node keeps a trace of every signal that follows another, as long as that one lives. */
const followers = new WeakMap<AbortSignal, AbortSignal>()

/** A call makes many requests at once, each listening to the signal: more than Node takes for sound. */
export function own<O extends CallOptions>(options: O | undefined): O | undefined {
  if (options?.signal === undefined) return options
  const signal = followers.get(options.signal) ?? AbortSignal.any([options.signal])
  followers.set(options.signal, signal)
  setMaxListeners(0, signal)
  return { ...options, signal }
}

const closedError = (): CairnError => new CairnError('closed', 'The backend is closed.')
