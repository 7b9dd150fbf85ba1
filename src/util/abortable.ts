/** Waiting that ends when a signal says so, even while what is waited for does not answer. */
import { CairnError, throwIfAborted } from '../errors.ts'

/** The items of a source; an abort ends it even while the source keeps it waiting. */
export async function* untilAborted<T>(
  source: AsyncIterable<T> | Iterable<T>,
  signal: AbortSignal | undefined,
): AsyncGenerator<T> {
  if (signal === undefined || !(Symbol.asyncIterator in source)) {
    for await (const item of source) {
      throwIfAborted(signal)
      yield item
    }
    return
  }
  const items = source[Symbol.asyncIterator]()
  let over = false
  try {
    for (;;) {
      const next = await orAborted(items.next(), signal)
      over = next.done === true
      if (next.done === true) return
      yield next.value
    }
  } finally {
    const returned = over ? undefined : items.return?.()
    if (signal.aborted) returned?.catch(() => {})
    else await returned
  }
}

/** What is waited for, or an abort before it: what goes on then is its own business. */
export function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      reject(new CairnError('aborted', 'The operation was aborted.', { cause: signal.reason }))
    }
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
