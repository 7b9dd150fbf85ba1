/** The body of an answer, whole, as long as it keeps within bounds. */
import type { GetObjectCommandOutput } from '@aws-sdk/client-s3'

/** undefined: there is more than `most`. What an answer says of its length may be wrong, or missing. */
export async function bytesWithin(
  { Body, ContentLength = 0 }: GetObjectCommandOutput,
  most: number,
): Promise<Uint8Array | undefined> {
  if (Body === undefined) return new Uint8Array(0)
  if (ContentLength > most) {
    if ('destroy' in Body) Body.destroy()
    return undefined
  }
  const pieces: Uint8Array[] = []
  let size = 0
  for await (const piece of Body as AsyncIterable<Uint8Array>) {
    size += piece.length
    if (size > most) return undefined
    pieces.push(piece)
  }
  const bytes = new Uint8Array(size)
  let at = 0
  for (const piece of pieces) {
    bytes.set(piece, at)
    at += piece.length
  }
  return bytes
}
