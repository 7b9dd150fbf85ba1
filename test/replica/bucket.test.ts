/** Copies into a bucket and out of it, against a real server. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openBucketStore } from '../../src/backend/s3/index.ts'
import { openMemory } from '../../src/backend/memory.ts'
import { Cairn } from '../../src/cairn.ts'
import { preparedPrefix } from '../helpers/bucket-store.ts'
import { START, tempDir } from '../helpers/engine.ts'
import { startMinio, type Minio } from '../helpers/minio.ts'
import { Random } from '../helpers/random.ts'
import { changeSource, expectSame, expectSound } from '../helpers/replicas.ts'

let minio: Minio
beforeAll(async () => {
  minio = await startMinio()
  Object.assign(process.env, minio.env)
}, 300_000)
afterAll(() => minio.dispose())

test('from memory to a bucket, and from there on', { timeout: 120_000 }, async () => {
  const bucket = await minio.newBucket()
  const address = `//${bucket}/copy?endpoint=${encodeURIComponent(minio.endpoint)}`
  await preparedPrefix(address)
  let clock = START
  const now = (): number => (clock += 10)
  const source = new Cairn(openMemory(), { now })
  const { dataset } = await source.init('main', { chunkSize: 64 })
  const random = new Random(9)
  const backend = await openBucketStore({ address, graceMs: 0 })
  const stored = new Cairn(backend, { now })
  const onward = openMemory()
  try {
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 4; i++) await changeSource(dataset, random)
      await stored.sync(source.asSource())
      await (await stored.dataset()).prune({ policy: { last: 1 } })
      await expectSame(dataset, backend, now)
      expect(await new Cairn(onward, { now }).sync(stored.asSource())).toMatchObject({
        status: 'synced',
      })
      await expectSame(dataset, onward, now)
    }
    await expectSound(backend, await tempDir())
    await expectSound(onward, await tempDir())
  } finally {
    await stored.close()
  }
})
