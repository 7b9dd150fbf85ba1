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
