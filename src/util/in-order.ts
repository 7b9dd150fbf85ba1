/** Doing the same to many, some of them at once, and handing on what comes of it in their order. */

/** Begins none after one has failed or the reader has left, and leaves none under way. */
export async function* inOrder<A, B>(
  items: Iterable<A> | AsyncIterable<A>,
  work: (item: A) => Promise<B>,
  atOnce: number,
): AsyncGenerator<B> {
  const underWay: Promise<B>[] = []
  try {
    for await (const item of items) {
      const one = work(item)
      // Told when its turn has come.
      one.catch(() => {})
      underWay.push(one)
      if (underWay.length < atOnce) continue
      const first = underWay.shift()
      if (first !== undefined) yield await first
    }
    while (underWay.length > 0) {
      const first = underWay.shift()
      if (first !== undefined) yield await first
    }
  } finally {
    await Promise.allSettled(underWay)
  }
}

/**
 * The results of `work` on every item, at most `width` at once. Begins none after one has failed, and leaves none
 * under way: whichever fails, it has settled only when all have.
 */
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
  for (const ended of await Promise.allSettled(workers)) {
    if (ended.status === 'rejected') throw ended.reason
  }
  return results
}
