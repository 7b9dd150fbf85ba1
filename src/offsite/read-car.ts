/** The bytes of a copy, in order, by ranges that are asked for again where they fail. */
import { createHash } from 'node:crypto'
import type { LongOptions } from '../engine/context.ts'
import { CairnError } from '../errors.ts'
import type { Bucket } from '../s3/bucket.ts'
import { inOrder } from '../util/in-order.ts'

const RANGE_BYTES = 8 << 20
const RANGES_AT_ONCE = 3

export async function* readCar(
  bucket: Bucket,
  key: string,
  { from, size }: { readonly from: number; readonly size: number },
  { signal }: Pick<LongOptions, 'signal'>,
): AsyncGenerator<Uint8Array> {
  const read = async (at: number): Promise<Uint8Array> => {
    const wanted = Math.min(RANGE_BYTES, size - at)
    const got = await bucket.getRange(key, at, wanted, { signal })
    if (got?.size === size && got.bytes.length === wanted) return got.bytes
    throw new CairnError('invalid_car', `The copy ${key} changed while it was read.`, {
      hint: 'Try again.',
      path: key,
    })
  }
  yield* inOrder(rangesFrom(from, size), read, RANGES_AT_ONCE)
}

function* rangesFrom(from: number, size: number): Generator<number> {
  for (let at = from; at < size; at += RANGE_BYTES) yield at
}

/** Of all bytes, in hex. */
export async function hashCopy(
  bucket: Bucket,
  key: string,
  size: number,
  options: Pick<LongOptions, 'signal'> & { readonly onBytes?: (count: number) => void },
): Promise<string> {
  const hash = createHash('sha256')
  for await (const bytes of readCar(bucket, key, { from: 0, size }, options)) {
    hash.update(bytes)
    options.onBytes?.(bytes.length)
  }
  return hash.digest('hex')
}

export function notTheCar(key: string): CairnError {
  return new CairnError(
    'invalid_car',
    `The copy ${key} is not the CAR that its sidecar tells of.`,
    {
      hint: 'Its bytes are others. Take another copy, or push it again from where it is whole.',
      path: key,
    },
  )
}
