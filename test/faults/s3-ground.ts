/**
 * A bucket. Its steps are those of the contract, or the requests under them, which go through a proxy. Each case
 * gets a copy of all objects under a prefix of its own.
 */
import { randomBytes } from 'node:crypto'
import { openBucketStore } from '../../src/backend/s3/index.ts'
import { parseBucketAddress } from '../../src/s3/address.ts'
import { Bucket } from '../../src/s3/bucket.ts'
import type { Backend } from '../../src/store/backend.ts'
import { startBucketProxy, type BucketCall, type Fault as Fate } from '../helpers/bucket-proxy.ts'
import { preparedPrefix } from '../helpers/bucket-store.ts'
import { startMinio } from '../helpers/minio.ts'
import { steppedBackend } from './contract.ts'
import { AHEAD_MS, type Ground, type Grounds } from './ground.ts'
import { fillStore, START, type Clock, type Material } from './material.ts'
import type { Fault, Steps } from './steps.ts'

export type BucketLevel = 'contract' | 'requests'

const RETRY_MS = 150
const GRACE_MS = 20
const AT_ONCE = 16

export async function bucketGrounds(level: BucketLevel): Promise<Grounds> {
  const minio = await startMinio()
  Object.assign(process.env, minio.env)
  const name = await minio.newBucket()
  let steps: Steps | undefined
  const proxy = await startBucketProxy(minio.endpoint, (call) => fateOf(steps, call))
  const address = (prefix: string, endpoint: string): string =>
    `//${name}/${prefix}?endpoint=${endpoint}`
  const bucketAt = (prefix: string): Bucket =>
    new Bucket(parseBucketAddress(address(prefix, minio.endpoint)))
  const template = bucketAt('template')
  await preparedPrefix(address('template', minio.endpoint))
  const backend = await openAt(address('template', minio.endpoint))
  const material = await fillStore(backend, { now: START })
  await backend.close()
  const make = async (): Promise<Ground> => {
    const prefix = randomBytes(6).toString('hex')
    const copy = bucketAt(prefix)
    await copyAll(template, copy)
    const plain = address(prefix, minio.endpoint)
    const way = level === 'requests' ? address(prefix, proxy.endpoint) : plain
    return bucketGround(copy, { plain, way }, material, level, (now) => (steps = now))
  }
  const dispose = async (): Promise<void> => {
    template.close()
    await proxy.close()
    await minio.dispose()
  }
  const atOnce = level === 'contract' ? 4 : 1
  return { name: level === 'contract' ? 's3' : 's3 requests', atOnce, make, dispose }
}

const openAt = (address: string): Promise<Backend> =>
  openBucketStore({ address, retryMs: RETRY_MS, graceMs: GRACE_MS, deadShare: 0 })

function bucketGround(
  bucket: Bucket,
  { plain, way }: { readonly plain: string; readonly way: string },
  material: Material,
  level: BucketLevel,
  arm: (steps: Steps | undefined) => void,
): Ground {
  const clock: Clock = { now: START }
  return {
    clock,
    material,
    counts: false,
    openStepped: async (steps) => {
      const backend = await openAt(way)
      if (level === 'contract') return steppedBackend(backend, steps)
      arm(steps)
      return { backend, handles: [] }
    },
    open: () => openAt(plain),
    // The server has a clock of its own: what is void to it in two hours is gone at once.
    bury: async () => {
      clock.now += AHEAD_MS
      const { objects } = await bucket.list('leases/')
      await bucket.delete(objects.map(({ key }) => key))
    },
    collect: () => Promise.resolve(),
    dispose: async () => {
      arm(undefined)
      bucket.close()
    },
  }
}

const FATES: Readonly<Record<Fault | 'pass', Fate | undefined>> = {
  pass: undefined,
  before: 'lose',
  unsure: 'lose',
  gone: 'lose',
  dead: 'lose',
  after: 'cut-after',
  cut: 'cut-after',
}

function fateOf(steps: Steps | undefined, { operation, key }: BucketCall): Fate | undefined {
  if (steps === undefined) return undefined
  // The prefix says nothing, nor do numbers and names.
  const what = key
    .split('/')
    .slice(1)
    .filter((part) => /^[a-z]+$/.test(part))
  const name = [operation, ...what.slice(0, 1), ...what.slice(-1)].join(' ')
  const effect = operation === 'PutObject' || operation === 'DeleteObjects'
  return FATES[steps.next({ name, effect, unclear: 'backend_unavailable' })]
}

async function copyAll(from: Bucket, to: Bucket): Promise<void> {
  const { objects } = await from.list('')
  for (let at = 0; at < objects.length; at += AT_ONCE) {
    const some = objects.slice(at, at + AT_ONCE)
    await Promise.all(
      some.map(async ({ key }) => {
        const got = await from.get(key)
        await to.put(key, got?.bytes ?? new Uint8Array(0))
      }),
    )
  }
}
