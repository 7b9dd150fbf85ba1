/**
 * Waiting for the next commit of a dataset: of this process, which the pointer tells of, and of others, for
 * which the store is asked now and then. However many wait, they share one asking, and nobody asks while
 * nobody waits.
 */
import { throwIfAborted, toCairnError, type CairnError } from '../errors.ts'
import type { EncodedCommit } from '../model/commit.ts'
import type { Context } from './context.ts'
import type { Pointer } from './pointer.ts'

const LOOK_MS = 1000

interface Waiting {
  /** The number of the commit that it knows. */
  readonly than: number
  readonly done: (error?: CairnError) => void
}

class PointerWatch {
  readonly #context: Context
  readonly #pointer: Pointer
  readonly #waiting = new Set<Waiting>()
  #looking = false

  constructor(context: Context, pointer: Pointer) {
    this.#context = context
    this.#pointer = pointer
    pointer.onMove(() => this.#wake())
  }

  async newer(than: number, signal: AbortSignal | undefined): Promise<void> {
    throwIfAborted(signal)
    if (this.#pointer.seen.commit.number > than) return
    let abort = (): void => {}
    try {
      await new Promise<void>((resolve, reject) => {
        const one: Waiting = {
          than,
          done: (error) => {
            this.#waiting.delete(one)
            if (error === undefined) resolve()
            else reject(error)
          },
        }
        abort = () => one.done()
        this.#waiting.add(one)
        signal?.addEventListener('abort', abort, { once: true })
        if (!this.#looking) void this.#look()
      })
    } finally {
      signal?.removeEventListener('abort', abort)
    }
    throwIfAborted(signal)
  }

  #wake(): void {
    const { number } = this.#pointer.seen.commit
    for (const one of this.#waiting) if (number > one.than) one.done()
  }

  async #look(): Promise<void> {
    this.#looking = true
    while (this.#waiting.size > 0) {
      await this.#context.timers.delay(LOOK_MS)
      if (this.#waiting.size === 0) break
      try {
        await this.#pointer.current()
      } catch (error) {
        // Who waits is told: silence would look like a dataset in which nothing happens.
        for (const one of this.#waiting) one.done(toCairnError(error))
      }
    }
    this.#looking = false
  }
}

const watches = new WeakMap<Pointer, PointerWatch>()

/** Resolves when there is a commit with a higher number than `than`. */
export function newerCommit(
  context: Context,
  pointer: Pointer,
  than: number,
  signal?: AbortSignal,
): Promise<void> {
  let watch = watches.get(pointer)
  if (watch === undefined) {
    watch = new PointerWatch(context, pointer)
    watches.set(pointer, watch)
  }
  return watch.newer(than, signal)
}

/** The newest commit, then each newer one; of several that were made meanwhile the newest. */
export async function* commitsOf(
  context: Context,
  pointer: Pointer,
  signal?: AbortSignal,
): AsyncGenerator<EncodedCommit> {
  let { stored } = await pointer.current(signal)
  for (;;) {
    yield stored
    await newerCommit(context, pointer, stored.commit.number, signal)
    stored = pointer.seen.stored
  }
}
