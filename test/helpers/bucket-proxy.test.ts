/** The MinIO of the tests is a real one, and the proxy before it does to requests what it says, and no more. */
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { startBucketProxy, type BucketProxy, type Fault } from './bucket-proxy.ts'
import { bucketClient, startMinio, type Minio } from './minio.ts'

let minio: Minio
beforeAll(async () => {
  minio = await startMinio()
})
afterAll(() => minio.dispose())

interface Bucket {
  put(key: string, body: Uint8Array, options?: { ifNoneMatch?: '*' }): Promise<void>
  get(key: string): Promise<Buffer>
}

function openBucket(client: S3Client, name: string): Bucket {
  return {
    put: async (Key, Body, { ifNoneMatch: IfNoneMatch } = {}) => {
      const conditions = IfNoneMatch === undefined ? {} : { IfNoneMatch }
      await client.send(new PutObjectCommand({ Bucket: name, Key, Body, ...conditions }))
    },
    get: async (Key) => {
      const { Body } = await client.send(new GetObjectCommand({ Bucket: name, Key }))
      return Buffer.from((await Body?.transformToByteArray()) ?? [])
    },
  }
}

function clientOf(endpoint: string): S3Client {
  const client = bucketClient(endpoint, minio.env)
  onTestFinished(() => client.destroy())
  return client
}

/** A bucket by way of a proxy, and without it; `next` is what becomes of the next request. */
async function setUp(): Promise<{
  proxy: BucketProxy
  faulty: Bucket
  real: Bucket
  next: (fault: Fault) => void
}> {
  let fault: Fault | undefined
  const proxy = await startBucketProxy(minio.endpoint, () => {
    const now = fault
    fault = undefined
    return now
  })
  onTestFinished(() => proxy.close())
  const name = await minio.newBucket()
  return {
    proxy,
    faulty: openBucket(clientOf(proxy.endpoint), name),
    real: openBucket(clientOf(minio.endpoint), name),
    next: (one) => (fault = one),
  }
}

const BODY = randomBytes(30_000)
const isMissing = { name: 'NoSuchKey' }

test('of eight puts that must be the first exactly one is', async () => {
  const { real, faulty } = await setUp()
  for (let round = 0; round < 10; round++) {
    const puts = Array.from({ length: 8 }, (_, i) =>
      real.put(`commits/${round}`, Buffer.from([i]), { ifNoneMatch: '*' }),
    )
    const settled = await Promise.allSettled(puts)
    const won = settled.findIndex(({ status }) => status === 'fulfilled')
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(await faulty.get(`commits/${round}`)).toEqual(Buffer.from([won]))
  }
})

test('what was acknowledged is there after a kill', async () => {
  const own = await startMinio()
  onTestFinished(() => own.dispose())
  const client = bucketClient(own.endpoint, own.env)
  onTestFinished(() => client.destroy())
  const bucket = openBucket(client, await own.newBucket())
  await bucket.put('a', BODY)
  await own.kill()
  await expect(bucket.get('a')).rejects.toThrow()
  await own.start()
  expect(await bucket.get('a')).toEqual(BODY)
})

test('without a fault everything passes, signatures and odd keys as well, and is counted', async () => {
  const { proxy, faulty, next } = await setUp()
  const key = 'a b/ü+%20/c?d=e'
  await faulty.put(key, BODY)
  expect(await faulty.get(key)).toEqual(BODY)
  next({ before: 20, after: 20 })
  expect(await faulty.get(key)).toEqual(BODY)
  expect(Object.fromEntries(proxy.counts)).toEqual({ PutObject: 1, GetObject: 2 })
})

test('the proxy says of a request what it is', async () => {
  const seen: string[] = []
  await using proxy = await startBucketProxy(minio.endpoint, ({ operation, bucket, key }) => {
    seen.push(`${operation} ${bucket} ${key}`)
    return undefined
  })
  const Bucket = await minio.newBucket()
  const client = clientOf(proxy.endpoint)
  await client.send(new PutObjectCommand({ Bucket, Key: 'x/ü y', Body: BODY }))
  const { ContentLength } = await client.send(new HeadObjectCommand({ Bucket, Key: 'x/ü y' }))
  expect(ContentLength).toBe(BODY.length)
  await client.send(new ListObjectsV2Command({ Bucket, Prefix: 'x/' }))
  expect(seen).toEqual([
    `PutObject ${Bucket} x/ü y`,
    `HeadObject ${Bucket} x/ü y`,
    `ListObjectsV2 ${Bucket} `,
  ])
})

test.each([
  ['refuse', { name: 'SlowDown' }, false],
  ['lose', { code: 'ECONNRESET' }, false],
  ['refuse-after', { name: 'SlowDown' }, true],
  ['cut-after', { code: 'ECONNRESET' }, true],
] as const)('%s: the put fails, and took effect or not', async (fault, error, isThere) => {
  const { faulty, real, next } = await setUp()
  next(fault)
  await expect(faulty.put('a', BODY)).rejects.toMatchObject(error)
  if (isThere) expect(await real.get('a')).toEqual(BODY)
  else await expect(real.get('a')).rejects.toMatchObject(isMissing)
  await faulty.put('b', BODY)
})

test('a put that hangs has taken effect', async () => {
  const { proxy, faulty, real, next } = await setUp()
  next('hang-after')
  const put = faulty.put('a', BODY).then(
    () => 'answered',
    () => 'cut',
  )
  await vi.waitFor(async () => expect(await real.get('a')).toEqual(BODY), 10_000)
  expect(await Promise.race([put, sleep(200, 'nothing')])).toBe('nothing')
  proxy.cut()
  expect(await put).toBe('cut')
})

test('an answer that is truncated fails, one that is shortened or flipped comes as if it were whole', async () => {
  const { faulty, real, next } = await setUp()
  await real.put('a', BODY)
  next('truncate')
  await expect(faulty.get('a')).rejects.toMatchObject({ code: 'ECONNRESET' })
  next('shorten')
  expect(await faulty.get('a')).toEqual(BODY.subarray(0, 15_000))
  next('flip')
  const flipped = await faulty.get('a')
  expect(flipped).toHaveLength(BODY.length)
  expect(flipped.filter((byte, at) => byte !== BODY[at])).toHaveLength(1)
  expect(await faulty.get('a')).toEqual(BODY)
})

test('what is held is answered at its release, what is late arrives though nobody waits', async () => {
  const { proxy, faulty, real, next } = await setUp()
  next('hold')
  const put = faulty.put('a', BODY)
  await vi.waitFor(() => expect(proxy.held()).toBe(1), 10_000)
  await expect(real.get('a')).rejects.toMatchObject(isMissing)
  await proxy.release()
  await put
  next('late')
  await expect(faulty.put('b', BODY)).rejects.toMatchObject({ code: 'ECONNRESET' })
  await expect(real.get('b')).rejects.toMatchObject(isMissing)
  await proxy.release()
  expect(await real.get('b')).toEqual(BODY)
})
