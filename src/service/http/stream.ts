/**
 * Answers that go on. The first part is there before the head is sent, so what fails at once is a problem
 * with its status; what fails later resets the connection, and is never taken for the end.
 */
import { Readable } from 'node:stream'

const BATCH_CHARS = 64 * 1024

/**
 * The parts as they are read, the first one read already. Whoever reads them no more ends the source, also
 * before the first one was taken: a generator around it would not hear of that.
 */
export async function started<T>(parts: AsyncIterable<T>): Promise<Readable> {
  const source = parts[Symbol.asyncIterator]()
  let first: IteratorResult<T> | undefined = await source.next()
  const all: AsyncIterableIterator<T> = {
    next: () => {
      const part = first === undefined ? source.next() : Promise.resolve(first)
      first = undefined
      return part
    },
    return: async () => {
      await source.return?.()
      return { done: true, value: undefined }
    },
    [Symbol.asyncIterator]: () => all,
  }
  return Readable.from(all, { objectMode: false })
}

/** For the answer to a HEAD, whose headers tell of a body that is not made. */
export const nothing = (): Readable => Readable.from([])

/** Records as lines of JSON, many in one part. */
export async function* ndjson<T>(
  records: AsyncIterable<T>,
  print: (record: T) => string,
): AsyncGenerator<string> {
  let lines = ''
  for await (const record of records) {
    lines += `${print(record)}\n`
    if (lines.length < BATCH_CHARS) continue
    yield lines
    lines = ''
  }
  if (lines !== '') yield lines
}
