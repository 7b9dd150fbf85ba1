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
