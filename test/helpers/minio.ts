/**
 * A private MinIO for tests: its own temporary folder, loopback only, its own root user and password. A missing
 * one is a failure, never a reason to skip. The binary is MINIO_BIN, else what scripts/minio.mjs finds or builds.
 */
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { startDaemon } from './daemon.ts'
import { freePort } from './free-port.ts'

/** What the AWS SDK reads from the environment. */
export interface BucketEnv {
  readonly AWS_ACCESS_KEY_ID: string
  readonly AWS_SECRET_ACCESS_KEY: string
  readonly AWS_REGION: string
}

export interface Minio {
  /** `http://127.0.0.1:PORT`; buckets are the first part of a path under it. */
  readonly endpoint: string
  readonly env: BucketEnv
  /** The name of a bucket that nobody else has. */
  newBucket(): Promise<string>
  /** Asks it to end, and waits. */
  stop(): Promise<void>
  /** SIGKILL. */
  kill(): Promise<void>
  /** Starts it again at the same address, after `stop` or `kill`. */
  start(): Promise<void>
  /** Kills it and removes its folder. */
  dispose(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const run = promisify(execFile)

export async function startMinio(): Promise<Minio> {
  const binary = await minioBinary()
  const folder = await mkdtemp(join(tmpdir(), 'cairn-minio-'))
  const [data, certs] = [join(folder, 'data'), join(folder, 'certs')]
  const host = `127.0.0.1:${await freePort()}`
  const endpoint = `http://${host}`
  const env: BucketEnv = {
    AWS_ACCESS_KEY_ID: `test-${randomBytes(6).toString('hex')}`,
    AWS_SECRET_ACCESS_KEY: randomBytes(18).toString('hex'),
    AWS_REGION: 'us-east-1',
  }
  await mkdir(data)
  const begin = (): ReturnType<typeof startDaemon> =>
    startDaemon({
      binary,
      args: ['server', '--quiet', `--address=${host}`, `--certs-dir=${certs}`, data],
      env: { ...process.env, ...serverEnv(env) },
      folder,
      isReady: () => isHealthy(endpoint),
    })
  const client = bucketClient(endpoint, env)
  let daemon = await begin()
  const dispose = async (): Promise<void> => {
    client.destroy()
    await daemon.end('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  }
  return {
    endpoint,
    env,
    newBucket: async () => {
      const name = `test-${randomBytes(8).toString('hex')}`
      await client.send(new CreateBucketCommand({ Bucket: name }))
      return name
    },
    stop: () => daemon.end('SIGTERM'),
    kill: () => daemon.end('SIGKILL'),
    start: async () => {
      daemon = await begin()
    },
    dispose,
    [Symbol.asyncDispose]: dispose,
  }
}

/** A client that is not Cairn's, which tries nothing twice and believes what it gets. To be destroyed in the end. */
export function bucketClient(endpoint: string, env: BucketEnv): S3Client {
  return new S3Client({
    endpoint,
    region: env.AWS_REGION,
    forcePathStyle: true,
    maxAttempts: 1,
    responseChecksumValidation: 'WHEN_REQUIRED',
    credentials: {
      accessKeyId: env.AWS_ACCESS_KEY_ID,
      secretAccessKey: env.AWS_SECRET_ACCESS_KEY,
    },
  })
}

async function minioBinary(): Promise<string> {
  const given = process.env['MINIO_BIN']
  if (given !== undefined && given !== '') return given
  const script = fileURLToPath(new URL('../../scripts/minio.mjs', import.meta.url))
  const { stdout } = await run(process.execPath, [script])
  return stdout.trim()
}

function serverEnv({ AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY }: BucketEnv): NodeJS.ProcessEnv {
  return {
    MINIO_ROOT_USER: AWS_ACCESS_KEY_ID,
    MINIO_ROOT_PASSWORD: AWS_SECRET_ACCESS_KEY,
    MINIO_BROWSER: 'off',
    MINIO_UPDATE: 'off',
    MINIO_CALLHOME_ENABLE: 'off',
    GOMEMLIMIT: '400MiB',
  }
}

/** Whether it takes writes: it listens, and says that it lives, before it does. */
async function isHealthy(endpoint: string): Promise<boolean> {
  try {
    return (await fetch(`${endpoint}/minio/health/cluster`)).ok
  } catch {
    return false
  }
}
