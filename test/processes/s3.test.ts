/** Several processes on one bucket. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { chanceFaults } from '../helpers/bucket-faults.ts'
import { startBucketProxy } from '../helpers/bucket-proxy.ts'
import { preparedPrefix } from '../helpers/bucket-store.ts'
import { builtDist } from '../helpers/built.ts'
import { startMinio, type Minio } from '../helpers/minio.ts'
import { expectRaceLosesNothing } from '../helpers/processes.ts'
import { Random } from '../helpers/random.ts'

const PROCESSES = 8
/** PROCESSES_SEED repeats the faults, as far as the clock allows. */
const SEED = Number(process.env['PROCESSES_SEED'] ?? Math.floor(Math.random() * 2 ** 31))

let minio: Minio
let bucket: string

beforeAll(async () => {
  await builtDist()
  minio = await startMinio()
  Object.assign(process.env, minio.env)
  bucket = await minio.newBucket()
}, 300_000)
afterAll(() => minio.dispose())

const names = Array.from({ length: PROCESSES }, (_, i) => `w${i}`)

async function newStore(endpoint: string): Promise<string> {
  const address = `//${bucket}/${randomBytes(6).toString('hex')}?endpoint=${endpoint}`
  await preparedPrefix(address)
  return `s3:${address}`
}

test('8 processes that append 100 entries each while builds run lose none, and repeat no position', async () => {
  await using proxy = await startBucketProxy(minio.endpoint)
  const store = await newStore(proxy.endpoint)
  await expectRaceLosesNothing({ store, names, each: 100, builds: 1 })
  const counts = JSON.stringify(Object.fromEntries(proxy.counts))
  process.stderr.write(`40 appends of 20, by 8 processes: ${counts}\n`)
}, 120_000)

test('so do those whose requests and answers are lost, late, cut and damaged', async () => {
  const faults = chanceFaults(new Random(SEED), 0.08)
  await using proxy = await startBucketProxy(minio.endpoint, faults.decide)
  const store = await newStore(proxy.endpoint)
  const late = setInterval(() => void proxy.release(), 500)
  try {
    await expectRaceLosesNothing({ store, names, each: 60, builds: 1 })
  } finally {
    clearInterval(late)
  }
  process.stderr.write(`seed ${SEED}: ${faults.count()} faults\n`)
  expect(faults.count()).toBeGreaterThan(10)
}, 120_000)
