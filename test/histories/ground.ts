/** A store for clients of several processes, and the faults on their way to it. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { startBucketProxy, type BucketCall, type Fault } from '../helpers/bucket-proxy.ts'
import { preparedPrefix } from '../helpers/bucket-store.ts'
import { startKuboNode } from '../helpers/kubo-node.ts'
import { startMinio } from '../helpers/minio.ts'
import { startNodeProxy, type Fate } from '../helpers/node-proxy.ts'
import type { Random } from '../helpers/random.ts'

export type BackendName = 'lmdb' | 'kubo' | 's3'

export interface Ground {
  /** As clients name it. */
  readonly store: string
  /** Without faults on the way. */
  readonly plain: string
  /** Requests that were lost, and answers. */
  readonly faults: { lost: number; muted: number }
  dispose(): Promise<void>
}

const LOSE = 0.003
const MUTE = 0.008
/** A commit is put in place, its answer is lost, and for a while whoever asks what became of it gets no answer. */
const OUTAGE = 0.04
const OUTAGE_MS = [300, 800, 2500] as const

export async function openGround(
  backend: BackendName,
  folder: string,
  random: Random,
): Promise<Ground> {
  const faults = { lost: 0, muted: 0 }
  if (backend === 'lmdb') {
    const dir = join(folder, 'store')
    const store = `lmdb:${dir}`
    const dispose = (): Promise<void> => rm(dir, { recursive: true, force: true })
    return { store, plain: store, faults, dispose }
  }
  if (backend === 's3') return await openBucketGround(random, faults)
  const node = await startKuboNode({ offline: false })
  const proxyFate = fates(random, faults)
  const proxy = await startNodeProxy(node.url, proxyFate)
  const dispose = async (): Promise<void> => {
    await proxy.close()
    await node.dispose()
  }
  return { store: `kubo:${proxy.url}`, plain: `kubo:${node.url}`, faults, dispose }
}

/** Answers that are cut or changed are asked for again; what tells is what is lost, and what comes late. */
async function openBucketGround(random: Random, faults: Ground['faults']): Promise<Ground> {
  const minio = await startMinio()
  Object.assign(process.env, minio.env)
  const silence = { until: 0 }
  const proxy = await startBucketProxy(minio.endpoint, (call) => {
    const fault = bucketFault(random, call, silence)
    if (fault === 'lose') faults.lost += 1
    else if (fault !== undefined) faults.muted += 1
    return fault
  })
  const late = setInterval(() => void proxy.release(), 700)
  const path = `//${await minio.newBucket()}/histories?endpoint=`
  await preparedPrefix(path + minio.endpoint)
  const dispose = async (): Promise<void> => {
    clearInterval(late)
    await proxy.close()
    await minio.dispose()
  }
  const store = `s3:${path}${proxy.endpoint}`
  return { store, plain: `s3:${path}${minio.endpoint}`, faults, dispose }
}

function bucketFault(
  random: Random,
  call: BucketCall,
  silence: { until: number },
): Fault | undefined {
  if (performance.now() < silence.until) return 'lose'
  const isCommit = call.operation === 'PutObject' && call.key.includes('/commits/')
  if (isCommit && random.next() < OUTAGE) {
    silence.until = performance.now() + random.pick(OUTAGE_MS)
    return random.pick(['cut-after', 'late', 'refuse-after'] as const)
  }
  const dice = random.next()
  if (dice < LOSE) return 'lose'
  return dice < LOSE + MUTE ? random.pick(['cut-after', 'late', 'truncate'] as const) : undefined
}

function fates(random: Random, faults: Ground['faults']): (call: string) => Fate {
  let silentUntil = 0
  const fate = (call: string): Fate => {
    if (performance.now() < silentUntil) return 'lose'
    if (call.startsWith('files/cp') && random.next() < OUTAGE) {
      silentUntil = performance.now() + random.pick(OUTAGE_MS)
      return random.next() < 0.5 ? 'mute' : 'lose'
    }
    const dice = random.next()
    return dice < LOSE ? 'lose' : dice < LOSE + MUTE ? 'mute' : 'pass'
  }
  return (call) => {
    const one = fate(call)
    if (one === 'lose') faults.lost += 1
    if (one === 'mute') faults.muted += 1
    return one
  }
}
