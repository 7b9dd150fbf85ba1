/**
 * A sweep: letting go of pins that nothing needs. The node's collector frees the blocks.
 *
 * Writers go on meanwhile, and may come to rely on a pin that is about to go. Each side writes before
 * it looks: a writer its intent and then the condemned list and the pins, a sweep the condemned list
 * and then the intents. So one of them sees the other: the sweep spares what an intent names, or the
 * writer waits and looks at the pins again (`import.ts`). ADR 9 has the argument in full.
 *
 * Stagings that began before need not end: their intents name all that they rely on.
 *
 * A crash before pins were dropped leaves them to the next sweep; in the middle, too: what is left of
 * them is offered again, by the intents of the dead and by who prunes.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { CairnError, isCairnError, throwIfAborted } from '../../errors.ts'
import { cidKey, printCid, type CidBytes } from '../../model/cid.ts'
import type { CallOptions, Freed, Sweep } from '../../store/backend.ts'
import { notAnAnswer } from './answers.ts'
import type { KuboClient } from './client.ts'
import { breakUp, Marks } from './break-up.ts'
import type { Bundles } from './bundles.ts'
import type { Condemned } from './condemned.ts'
import type { DeadIntents, Intents } from './intents.ts'
import type { KuboLease, LeaseFile, LeaseFolder } from './leases.ts'
import type { Mfs } from './mfs.ts'
import { PINS_A_REQUEST, type PinType } from './pins.ts'
import { unnamedPins, unpin, unpinningEnded } from './unpin.ts'

/** Others may drop pins meanwhile, but not each that is listed anew. */
const MOST_PASSES = 5
const PAUSE_MS = 100
const FILES_A_REQUEST = 64

export interface SweepTools {
  readonly client: KuboClient
  readonly mfs: Mfs
  readonly sweeps: LeaseFolder
  readonly leases: LeaseFolder
  readonly intents: Intents
  readonly condemned: Condemned
  readonly bundles: Bundles
  readonly now: () => number
}

type FreeOptions = Parameters<Sweep['free']>[0]

export async function beginSweep(
  tools: SweepTools,
  options: CallOptions & { readonly waitMs: number },
): Promise<Sweep> {
  const lease = await takeTurn(tools, options)
  try {
    await removeVoid(tools)
    const dead = await tools.intents.deadAt(tools.now(), options)
    return createSweep(tools, lease, dead)
  } catch (error) {
    await lease.release().catch(() => {})
    throw error
  }
}

/** Puts a lease there and looks for others: of two at once both see the other, or one does. */
async function takeTurn(
  { sweeps }: SweepTools,
  { waitMs, ...options }: CallOptions & { readonly waitMs: number },
): Promise<KuboLease> {
  const giveUpAt = performance.now() + waitMs
  for (;;) {
    const lease = await sweeps.take('a sweep', options)
    const others = await liveOthers(sweeps, lease, options)
    if (others.length === 0) return lease
    await lease.release()
    // Two that came at once must not step aside for each other again and again.
    const pause = PAUSE_MS * (0.5 + Math.random())
    if (performance.now() + pause > giveUpAt) throw busy(others[0]?.path ?? '')
    await sleep(pause)
    throwIfAborted(options.signal)
  }
}

async function liveOthers(
  sweeps: LeaseFolder,
  own: KuboLease,
  options?: CallOptions,
): Promise<LeaseFile[]> {
  try {
    const files = await sweeps.list(options)
    return files.filter((file) => file.name !== own.name && !sweeps.isVoid(file))
  } catch (error) {
    await own.release().catch(() => {})
    throw error
  }
}

/** What the dead left. Owners that live have long stopped to believe in what is void. */
async function removeVoid({ sweeps, leases, condemned, mfs }: SweepTools): Promise<void> {
  for (const file of await sweeps.list()) {
    if (!sweeps.isVoid(file)) continue
    await condemned.clear(file.name)
    await mfs.remove([file.path])
  }
  const leftLeases = (await leases.list()).filter((file) => leases.isVoid(file))
  for (const { path } of leftLeases) await mfs.remove([path])
}

function createSweep(tools: SweepTools, lease: KuboLease, dead: DeadIntents): Sweep {
  const { client, mfs, intents, condemned, bundles } = tools
  const marks = new Marks()
  const offered = new Map<string, CidBytes>(dead.pins.map((cid) => [cidKey(cid), cid]))
  let ended = false
  /** A request to drop pins may still be under way on the node. */
  let unsure = false

  const open = (): void => {
    if (ended) throw new CairnError('closed', 'This sweep has ended.')
  }
  const mayGoOn = (options: FreeOptions): void => {
    throwIfAborted(options?.signal)
    if (unsure || !lease.sound()) throw sweepLost()
  }

  /** Those of `doomed` that were in a request that ended half-way. */
  const drop = async (
    doomed: readonly (readonly [string, PinType])[],
    size: number,
    options: FreeOptions,
    onDone: (count: number) => void,
  ): Promise<string[]> => {
    const left: string[] = []
    try {
      for (const type of ['recursive', 'direct'] as const) {
        const cids = doomed.filter((one) => one[1] === type).map(([cid]) => cid)
        const task = { client, mayGoOn: () => mayGoOn(options), onDone }
        left.push(...(await unpin(task, cids, type, size)))
      }
    } catch (error) {
      if (isCairnError(error) && error.details['sent'] === true) {
        if (await unpinningEnded(client)) throw error
        unsure = true
        lease.stop()
      }
      throw error
    }
    return left
  }

  /** Offers the bundles that may go. A live intent names one whose commit may be still to come. */
  const offerBundles = async (options: FreeOptions): Promise<CidBytes[]> => {
    const known = [...(await bundles.list(options)), ...dead.bundles]
    if (known.length === 0) return []
    const live = await intents.livePins(dead, options)
    const idle = known.filter((bundle) => !live.has(printCid(bundle)))
    const { needed, broken } = await breakUp(client, idle, marks, options)
    // Intents of the dead may name them, too.
    for (const bundle of known) offered.delete(cidKey(bundle))
    // The dead one's intent will go.
    for (const bundle of needed) if (dead.bundles.includes(bundle)) await bundles.record(bundle)
    for (const bundle of broken) offered.set(cidKey(bundle), bundle)
    return broken
  }

  const free = async (options: FreeOptions): Promise<Freed> => {
    mayGoOn(options)
    const broken = await offerBundles(options)
    const unmarked = [...offered].filter(([key]) => !marks.has(key))
    let freed = 0
    const onDone = (count: number): void => {
      freed += count
      options?.onProgress?.(freed)
    }
    const spared = new Set<string>()
    let left = unmarked.map(([, cid]) => printCid(cid))
    for (let pass = 1; left.length > 0; pass++) {
      mayGoOn(options)
      if (pass > MOST_PASSES) throw notAnAnswer('pin/ls', `pins that are not there, ${left[0]}`)
      const size = pass === 1 ? PINS_A_REQUEST : 1
      // The order of these four is what the argument rests on.
      const pins = await unnamedPins(client, new Set(left), options)
      // Kubo does not say how far a request came that stopped half-way.
      if (size === 1 && left.length > pins.size) onDone(left.length - pins.size)
      await condemned.write(lease.name, [...pins.keys()], options)
      const live = await intents.livePins(dead, options)
      for (const cid of pins.keys()) if (live.has(cid)) spared.add(cid)
      const doomed = [...pins].filter(([cid]) => !spared.has(cid))
      left = await drop(doomed, size, options, onDone)
    }
    await condemned.clear(lease.name)
    // One that a writer came back for stays, and so must the record that tells of it.
    await bundles.forget(broken.filter((bundle) => !spared.has(printCid(bundle))))
    for (let at = 0; at < dead.paths.length; at += FILES_A_REQUEST) {
      await mfs.remove(dead.paths.slice(at, at + FILES_A_REQUEST))
    }
    return { blocks: freed, bytes: undefined }
  }

  return {
    frees: 'holds',
    async mark(held) {
      open()
      return held.map((one) => marks.add(one))
    },
    async offer(held) {
      open()
      for (const { cid } of held) offered.set(cidKey(cid), cid)
    },
    async free(options) {
      open()
      return free(options)
    },
    async end() {
      if (ended) return
      ended = true
      if (unsure) return
      await lease.release([condemned.pathOf(lease.name)])
    },
  }
}

function busy(path: string): CairnError {
  return new CairnError('busy', 'Another prune is under way on this node.', {
    hint: `Wait for it. If it died, ${path} stands in the way for up to an hour.`,
    path,
  })
}

function sweepLost(): CairnError {
  return new CairnError('backend_timeout', 'The prune could not renew its lease on the node.', {
    hint: 'Was this process asleep, or the node busy or away for half an hour? Prune again.',
  })
}
