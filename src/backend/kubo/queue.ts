import { throwIfAborted } from '../../errors.ts'
import { orAborted } from '../../util/abortable.ts'

/** Runs one piece of work at a time. An abort takes one that waits out of the line. */
export type Queue = <T>(work: () => Promise<T>, signal?: AbortSignal) => Promise<T>

export function createQueue(): Queue {
  let last: Promise<unknown> = Promise.resolve()
  return async (work, signal) => {
    throwIfAborted(signal)
    const before = last
    let leave = (): void => {}
    last = new Promise<void>((resolve) => {
      leave = resolve
    })
    try {
      await orAborted(before, signal)
    } catch (error) {
      void before.then(leave)
      throw error
    }
    try {
      return await work()
    } finally {
      leave()
    }
  }
}

/** Runs `work` on every item, at most `width` at once, with results in the order of `items`. */
export async function mapAtOnce<T, R>(
  items: readonly T[],
  width: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = []
  results.length = items.length
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++
      try {
        results[index] = await work(items[index] as T)
      } catch (error) {
        next = items.length
        throw error
      }
    }
  }
  const workers = Array.from({ length: Math.min(width, items.length) }, worker)
  // All of them, also after an error: nothing may go on when this has settled.
  for (const ended of await Promise.allSettled(workers)) {
    if (ended.status === 'rejected') throw ended.reason
  }
  return results
}
