/** The body of an answer, whole, as long as it keeps within bounds. */
import type { GetObjectCommandOutput } from '@aws-sdk/client-s3'

/** Room for what an answer says of its length, which may be missing, or a lie. */
const FIRST_BYTES = 64 << 10
const MOST_BELIEVED = 64 << 20

/** undefined: there is more than `most`. */
export async function bytesWithin(
  { Body, ContentLength }: GetObjectCommandOutput,
  most: number,
): Promise<Uint8Array | undefined> {
  if (Body === undefined) return new Uint8Array(0)
  if (ContentLength !== undefined && ContentLength > most) {
    if ('destroy' in Body) Body.destroy()
    return undefined
  }
  let bytes: Uint8Array = Buffer.allocUnsafeSlow(
    Math.min(ContentLength ?? FIRST_BYTES, MOST_BELIEVED),
  )
  let size = 0
  for await (const piece of Body as AsyncIterable<Uint8Array>) {
    const end = size + piece.length
    if (end > most) return undefined
    if (end > bytes.length) bytes = enlarged(bytes.subarray(0, size), end)
    bytes.set(piece, size)
    size = end
  }
  return new Uint8Array(bytes.buffer, bytes.byteOffset, size)
}

function enlarged(bytes: Uint8Array, least: number): Uint8Array {
  const larger = Buffer.allocUnsafeSlow(Math.max(least, bytes.length * 2))
  larger.set(bytes)
  return larger
}
