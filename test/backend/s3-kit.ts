/** A bucket of a real server, a way to it that can be disturbed, and stores that are opened by either way. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, onTestFinished, vi } from 'vitest'
import {
  openBucketStore,
  type BucketBackend,
  type BucketStoreOptions,
} from '../../src/backend/s3/index.ts'
import { parseBucketAddress } from '../../src/s3/address.ts'
import { Bucket } from '../../src/s3/bucket.ts'
import {
  startBucketProxy,
  type BucketCall,
  type BucketProxy,
  type Fault,
} from '../helpers/bucket-proxy.ts'
import { preparedPrefix } from '../helpers/bucket-store.ts'
import { startMinio, type Minio } from '../helpers/minio.ts'

export const HOUR = 3_600_000

type Opening = Partial<Omit<BucketStoreOptions, 'address'>>

export interface Site {
  readonly proxy: BucketProxy
  /** What becomes of requests that go through the proxy. */
  disturb(decide: (call: BucketCall) => Fault | undefined): void
  /** By way of the proxy. */
  open(options?: Opening): Promise<BucketBackend>
  /** Past it. */
  openPlain(options?: Opening): Promise<BucketBackend>
  /** What lies there. */
  readonly bucket: Bucket
}

/** One server for the tests of a file. Its keys stand in the environment, where the library looks for them. */
export function useSites(): (prepared?: boolean) => Promise<Site> {
  let minio: Minio | undefined
  let name = ''
  beforeAll(async () => {
    minio = await startMinio()
    for (const [key, value] of Object.entries(minio.env)) vi.stubEnv(key, value)
    name = await minio.newBucket()
  })
  afterAll(async () => {
    vi.unstubAllEnvs()
    await minio?.dispose()
  })
  return async (prepared = true) => {
    const endpoint = minio?.endpoint ?? ''
    let decide: (call: BucketCall) => Fault | undefined = () => undefined
    const proxy = await startBucketProxy(endpoint, (call) => decide(call))
    const path = `//${name}/${randomBytes(6).toString('hex')}`
    const plain = `${path}?endpoint=${endpoint}`
    if (prepared) await preparedPrefix(plain)
    const bucket = new Bucket(parseBucketAddress(plain))
    const opened: BucketBackend[] = []
    const openAt = async (address: string, options: Opening = {}): Promise<BucketBackend> => {
      const given = { address, graceMs: 100, deadShare: 0, retryMs: 400, ...options }
      const one = await openBucketStore(given)
      opened.push(one)
      return one
    }
    onTestFinished(async () => {
      decide = () => undefined
      for (const one of opened) await one.close()
      bucket.close()
      await proxy.close()
    })
    return {
      proxy,
      disturb: (next) => {
        decide = next
      },
      open: (options) => openAt(`${path}?endpoint=${proxy.endpoint}`, options),
      openPlain: (options) => openAt(plain, options),
      bucket,
    }
  }
}

/** The fault for the first of the calls that are meant. */
export function once(
  fault: Fault,
  isMeant: (call: BucketCall) => boolean,
): (call: BucketCall) => Fault | undefined {
  let left = 1
  return (call) => (isMeant(call) && left-- > 0 ? fault : undefined)
}

export const isPutOf =
  (part: string) =>
  ({ operation, key }: BucketCall): boolean =>
    operation === 'PutObject' && key.includes(part)

export function totalOf(proxy: BucketProxy): number {
  return [...proxy.counts.values()].reduce((sum, count) => sum + count, 0)
}
