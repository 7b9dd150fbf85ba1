/** An offsite place: a bucket, and the prefix in it under which copies of backups are. */
import { CairnError } from '../errors.ts'
import { parseBucketAddress, printBucketAddress, type BucketAddress } from '../s3/address.ts'
import type { Bucket } from '../s3/bucket.ts'

const SCHEME = 's3:'

export interface Place {
  readonly bucket: Bucket
  /** Without what only a writer needs to know, and never with a secret. */
  readonly location: string
  /** The address under which one copy can be named. */
  addressOf(name: string): string
}

export interface PlaceOptions {
  /** How long a request that fails is made again; half a minute unless given. */
  readonly retryMs?: number | undefined
}

export const isOffsiteAddress = (text: string): boolean => text.startsWith(`${SCHEME}//`)

export function parseOffsite(address: string): BucketAddress {
  if (isOffsiteAddress(address)) return parseBucketAddress(address.slice(SCHEME.length))
  throw new CairnError('config', `The offsite place "${address.slice(0, 100)}" is no bucket.`, {
    hint: 'It looks like s3://BUCKET/PREFIX, or s3://BUCKET/PREFIX?endpoint=http://127.0.0.1:9000.',
  })
}

/** As a place's location; an address that is no good as it stands. */
export function printPlace(address: string): string {
  try {
    return printBucketAddress(parseOffsite(address))
  } catch {
    return address
  }
}

/** Gives the place to `use`, and lets go of it whatever happens. */
export async function withPlace<T>(
  address: BucketAddress,
  { retryMs }: PlaceOptions,
  use: (place: Place) => Promise<T>,
): Promise<T> {
  // What speaks to buckets takes a while to load, and most commands need none.
  const { Bucket: Opened } = await import('../s3/bucket.ts')
  const bucket = new Opened(address, retryMs === undefined ? {} : { retryMs })
  const addressOf = (name: string): string => {
    const printed = printBucketAddress({ ...address, prefix: `${address.prefix}${name}/` })
    const { region } = address
    return region === undefined
      ? printed
      : `${printed}${printed.includes('?') ? '&' : '?'}region=${region}`
  }
  try {
    return await use({ bucket, location: bucket.location, addressOf })
  } finally {
    bucket.close()
  }
}
