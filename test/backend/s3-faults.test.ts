/** The contract, held through a way to the bucket on which requests and answers are lost, late, cut and changed. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openBucketStore } from '../../src/backend/s3/index.ts'
import type { Backend } from '../../src/store/backend.ts'
import { backendConformance } from '../conformance/backend.ts'
import { chanceFaults } from '../helpers/bucket-faults.ts'
import { startBucketProxy, type BucketProxy } from '../helpers/bucket-proxy.ts'
import { preparedPrefix } from '../helpers/bucket-store.ts'
import { startMinio, type Minio } from '../helpers/minio.ts'
import { Random } from '../helpers/random.ts'

/** S3_FAULTS_SEED repeats them, as far as the clock allows. */
const SEED = Number(process.env['S3_FAULTS_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
/** More than it takes for what is late to come. */
const GRACE_MS = 250
const faults = chanceFaults(new Random(SEED), 0.04)

let minio: Minio
let proxy: BucketProxy
let bucket: string
let late: NodeJS.Timeout

beforeAll(async () => {
  minio = await startMinio()
  Object.assign(process.env, minio.env)
  bucket = await minio.newBucket()
  proxy = await startBucketProxy(minio.endpoint, faults.decide)
  late = setInterval(() => void proxy.release(), 50)
  process.stderr.write(`seed ${SEED}\n`)
})

afterAll(async () => {
  clearInterval(late)
  await proxy.close()
  await minio.dispose()
})

backendConformance(
  's3 through faults',
  async () => {
    const path = `//${bucket}/${randomBytes(6).toString('hex')}`
    await preparedPrefix(`${path}?endpoint=${minio.endpoint}`)
    const address = `${path}?endpoint=${proxy.endpoint}`
    const opened: Backend[] = []
    const open = async (): Promise<Backend> => {
      const one = await openBucketStore({ address, graceMs: GRACE_MS, deadShare: 0 })
      opened.push(one)
      return one
    }
    const backend = await open()
    return {
      backend,
      second: open,
      reopen: async () => {
        await backend.close()
        return await open()
      },
      dispose: async () => {
        for (const one of opened) await one.close()
      },
    }
  },
  { rounds: 3 },
)

test('there were faults', () => {
  expect(faults.count()).toBeGreaterThan(50)
})
