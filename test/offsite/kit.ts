/** Backups whose CARs are just bytes, a bucket of a real server, and a way to it that can be disturbed. */
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, onTestFinished, vi } from 'vitest'
import { readBackups, type Backup } from '../../src/backup/folder.ts'
import { pathsBeside } from '../../src/backup/name.ts'
import { printSidecar, printSums, type Sidecar } from '../../src/backup/sidecar.ts'
import { SILENT } from '../../src/engine/logger.ts'
import { readOffsite, type OffsiteListing } from '../../src/offsite/listing.ts'
import { parseOffsite, withPlace } from '../../src/offsite/place.ts'
import type { Bucket } from '../../src/s3/bucket.ts'
import type { OffsiteContext } from '../../src/tasks/offsite.ts'
import { backup } from '../backup/backups.ts'
import {
  startBucketProxy,
  type BucketCall,
  type BucketProxy,
  type Fault,
} from '../helpers/bucket-proxy.ts'
import { startMinio, type Minio } from '../helpers/minio.ts'

export const DAY: number = 86_400_000
/** Where the parts of an upload end, and the ranges of a download. */
export const PART: number = 8 << 20

/** One for the tests of a file. Its keys stand in the environment, where the library looks for them. */
export function useMinio(): () => Minio {
  let minio: Minio | undefined
  beforeAll(async () => {
    minio = await startMinio()
    for (const [name, value] of Object.entries(minio.env)) vi.stubEnv(name, value)
  })
  afterAll(async () => {
    vi.unstubAllEnvs()
    await minio?.dispose()
  })
  return () => {
    if (minio === undefined) throw new Error('It was not started.')
    return minio
  }
}

export interface Site {
  readonly folder: string
  readonly bucketName: string
  readonly proxy: BucketProxy
  /** By way of the proxy. */
  readonly address: string
  /** Past it. */
  readonly direct: string
  /** What becomes of requests from now on. */
  disturb(decide: (call: BucketCall) => Fault | undefined): void
  context(more?: Partial<OffsiteContext>): OffsiteContext
  /** What lies in the bucket, seen past the proxy. */
  inBucket<T>(use: (bucket: Bucket) => Promise<T>): Promise<T>
  listing(): Promise<OffsiteListing>
}

export async function newSite(minio: Minio, prefix = 'cairn'): Promise<Site> {
  let decide: (call: BucketCall) => Fault | undefined = () => undefined
  const proxy = await startBucketProxy(minio.endpoint, (call) => decide(call))
  const folder = await newFolder()
  onTestFinished(() => proxy.close())
  const bucketName = await minio.newBucket()
  const addressBy = (endpoint: string): string =>
    `s3://${bucketName}${prefix === '' ? '' : `/${prefix}`}?endpoint=${endpoint}`
  const direct = addressBy(minio.endpoint)
  const inBucket = <T>(use: (bucket: Bucket) => Promise<T>): Promise<T> =>
    withPlace(parseOffsite(direct), {}, ({ bucket }) => use(bucket))
  return {
    folder,
    bucketName,
    proxy,
    address: addressBy(proxy.endpoint),
    direct,
    disturb: (next) => {
      decide = next
    },
    context: (more = {}) => ({
      dataset: 'main',
      backupsDir: folder,
      now: Date.now,
      log: SILENT,
      ...more,
    }),
    inBucket,
    listing: () => inBucket((bucket) => readOffsite(bucket)),
  }
}

export async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'cairn-offsite-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** A backup of `size` random bytes in a folder. */
export async function addBackup(
  folder: string,
  name: string,
  fields: Partial<Sidecar> & { at?: number; size?: number; encrypted?: boolean } = {},
): Promise<Backup> {
  const { size = 1000, ...given } = fields
  const bytes = randomBytes(size)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const filename = `${name}.car${given.encrypted === true ? '.age' : ''}`
  const made = backup(name, { ...given, filename, sha256, size_bytes: size })
  const paths = pathsBeside(join(folder, filename))
  await mkdir(folder, { recursive: true })
  await writeFile(paths.car, bytes)
  await writeFile(paths.sums, printSums(made.sidecar))
  await writeFile(paths.sidecar, printSidecar(made.sidecar))
  return { sidecar: made.sidecar, paths }
}

/** Every file of a folder, by its name; a hash stands for its bytes. */
export async function filesIn(folder: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {}
  for (const name of (await readdir(folder)).sort()) {
    const bytes = await readFile(join(folder, name))
    files[name] = createHash('sha256').update(bytes).digest('hex')
  }
  return files
}

export const namesIn = async (folder: string): Promise<string[]> =>
  (await readBackups(folder)).backups.map(({ sidecar }) => sidecar.filename)
