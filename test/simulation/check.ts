/** How a simulation judges. */

/** A promise that was found broken. */
export class Broken extends Error {
  override readonly name = 'Broken'
}

export function expectTrue(holds: boolean, promise: string): asserts holds {
  if (!holds) throw new Broken(promise)
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}
