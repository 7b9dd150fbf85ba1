/** Where a bucket is, as people write it: `//BUCKET/PREFIX?endpoint=URL&region=NAME`. Never with a secret. */
import { CairnError } from '../errors.ts'

export interface BucketAddress {
  readonly bucket: string
  /** '' or what all keys begin with, ending with '/'. */
  readonly prefix: string
  /** A server that is not Amazon's. */
  readonly endpoint: string | undefined
  readonly region: string | undefined
  /** For writing new objects, such as STANDARD_IA. */
  readonly storageClass: string | undefined
  /** What else stood behind the '?', for whoever reads the address. */
  readonly rest: ReadonlyMap<string, string>
}

const BUCKET = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/
const PREFIX = /^[\w.=@+-]+(\/[\w.=@+-]+)*$/

/** `allowed`: the further parameters that the caller knows. */
export function parseBucketAddress(text: string, allowed: readonly string[] = []): BucketAddress {
  const [, bucket, path = '', query = ''] = /^\/\/([^/?]*)\/?([^?]*)\??(.*)$/.exec(text) ?? []
  if (bucket === undefined || !BUCKET.test(bucket)) throw badAddress('it names no bucket')
  const trimmed = path.replace(/\/+$/, '')
  if (trimmed !== '' && (!PREFIX.test(trimmed) || trimmed.split('/').some(isDots))) {
    throw badAddress('its prefix is more than letters, digits, "_.=@+-" and single slashes')
  }
  const rest = new Map<string, string>()
  const known = { endpoint: '', region: '', class: '' }
  for (const [name, value] of new URLSearchParams(query)) {
    if (Object.hasOwn(known, name)) known[name as keyof typeof known] = value
    else if (allowed.includes(name)) rest.set(name, value)
    else throw badAddress(`it has the parameter "${name}", which nothing reads`)
  }
  return {
    bucket,
    prefix: trimmed === '' ? '' : `${trimmed}/`,
    endpoint: known.endpoint === '' ? undefined : checkedEndpoint(known.endpoint),
    region: known.region === '' ? undefined : known.region,
    storageClass: known.class === '' ? undefined : known.class,
    rest,
  }
}

/** As in a store's location, without what only its writer needs to know. */
export function printBucketAddress({ bucket, prefix, endpoint }: BucketAddress): string {
  const at =
    endpoint === undefined ? '' : `?endpoint=${endpoint.replaceAll(/[%&+]/g, encodeURIComponent)}`
  return `s3://${bucket}/${prefix.slice(0, -1)}${at}`
}

const isDots = (part: string): boolean => part === '.' || part === '..'

function checkedEndpoint(text: string): string {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw badAddress('its endpoint does not parse')
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw badAddress('its endpoint is not HTTP')
  }
  if (url.username !== '' || url.password !== '') {
    throw badAddress('keys do not belong into its endpoint; they come from the environment')
  }
  return url.origin + url.pathname.replace(/\/$/, '')
}

function badAddress(why: string): CairnError {
  return new CairnError('config', `The address of the bucket is no good: ${why}.`, {
    hint: 'It looks like s3://BUCKET/PREFIX, or s3://BUCKET/PREFIX?endpoint=http://127.0.0.1:9000.',
  })
}
