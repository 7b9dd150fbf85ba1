/** Bytes that come as a stream, on their way into the store. */
import { MAX_BLOCK_BYTES } from '../model/node.ts'

/** Bytes that fit one block become one; a stream would become a UnixFS file of one leaf. */
export async function smallOrStream(
  chunks: AsyncIterable<Uint8Array>,
): Promise<Uint8Array | AsyncIterable<Uint8Array>> {
  const first: Uint8Array[] = []
  let size = 0
  const rest = chunks[Symbol.asyncIterator]()
  for (;;) {
    const next = await rest.next()
    if (next.done === true) return new Uint8Array(Buffer.concat(first))
    first.push(next.value)
    size += next.value.length
    if (size > MAX_BLOCK_BYTES) return joined(first, rest)
  }
}

async function* joined(
  first: readonly Uint8Array[],
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield* first
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value
}
