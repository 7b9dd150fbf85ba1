import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll } from 'vitest'
import { openBucketStore } from '../../src/backend/s3/index.ts'
import type { Backend } from '../../src/store/backend.ts'
import { backendConformance } from '../conformance/backend.ts'
import { preparedPrefix } from '../helpers/bucket-store.ts'
import { startMinio, type Minio } from '../helpers/minio.ts'

let minio: Minio
let bucket: string

beforeAll(async () => {
  minio = await startMinio()
  Object.assign(process.env, minio.env)
  bucket = await minio.newBucket()
})

afterAll(() => minio.dispose())

backendConformance(
  's3',
  async () => {
    const address = `//${bucket}/${randomBytes(6).toString('hex')}?endpoint=${minio.endpoint}`
    await preparedPrefix(address)
    const opened: Backend[] = []
    const open = async (): Promise<Backend> => {
      const one = await openBucketStore({ address, graceMs: 100, deadShare: 0 })
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
  { rounds: 10 },
)
