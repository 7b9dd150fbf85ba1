/** A store for clients of several processes, and the faults on their way to it. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { startKuboNode } from '../helpers/kubo-node.ts'
import { startNodeProxy, type Fate } from '../helpers/node-proxy.ts'
import type { Random } from '../helpers/random.ts'

export type BackendName = 'lmdb' | 'kubo'

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
  const node = await startKuboNode({ offline: false })
  const proxyFate = fates(random, faults)
  const proxy = await startNodeProxy(node.url, proxyFate)
  const dispose = async (): Promise<void> => {
    await proxy.close()
    await node.dispose()
  }
  return { store: `kubo:${proxy.url}`, plain: `kubo:${node.url}`, faults, dispose }
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
