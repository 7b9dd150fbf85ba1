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
import { CairnError, throwIfAborted } from '../../errors.ts'
import { cidKey, printCid, type CidBytes } from '../../model/cid.ts'
import type { Backend, CallOptions, Freed, HeldCid, Sweep } from '../../store/backend.ts'
import { notAnAnswer } from './answers.ts'
import type { KuboClient } from './client.ts'
import { breakUp, Marks } from './break-up.ts'
import type { Bundles } from './bundles.ts'
import type { Calls } from './calls.ts'
import type { Condemned } from './condemned.ts'
import type { DeadIntents, Intents } from './intents.ts'
import type { KuboLease, FoundLease, LeaseFolder } from './leases.ts'
import type { Mfs } from './mfs.ts'
import { PINS_A_REQUEST, type PinType } from './pins.ts'
import { unnamedPins, unpin, unpinningEnded } from './unpin.ts'

/** Others may drop pins meanwhile, but not each that is listed anew. */
const MOST_PASSES = 5
const PAUSE_MS = 100

export interface SweepTools {
  readonly client: KuboClient
  readonly calls: Calls
  readonly mfs: Mfs
  readonly sweeps: LeaseFolder
  readonly leases: LeaseFolder
  readonly intents: Intents
  readonly condemned: Condemned
  readonly bundles: Bundles
  readonly now: () => number
  /** Hears of an end that failed, where another error is the one to tell. */
  readonly onError: (error: unknown) => void
}

export type SweepOptions = Parameters<Backend['sweep']>[0]
type FreeOptions = Parameters<Sweep['free']>[0]
/** Told of how many more pins are gone. */
type OnDone = (count: number) => void

export async function beginSweep(tools: SweepTools, options: SweepOptions): Promise<Sweep> {
  const lease = await takeTurn(tools, options)
  try {
    await removeVoid(tools)
    const dead = await tools.intents.deadAt(tools.now(), options)
    return new KuboSweep(tools, lease, dead)
  } catch (error) {
    await lease.release().catch(tools.onError)
    throw error
  }
}

/** Puts a lease there and looks for others: of two at once both see the other, or one does. */
async function takeTurn(
  tools: SweepTools,
  { waitMs, ...options }: SweepOptions,
): Promise<KuboLease> {
  const giveUpAt = performance.now() + waitMs
  for (;;) {
    const lease = await tools.sweeps.take('a sweep', options)
    const others = await liveOthers(tools, lease, options)
    if (others.length === 0) return lease
    await lease.release()
    // Two that came at once must not step aside for each other again and again.
    const pause = PAUSE_MS * (0.5 + Math.random())
    if (performance.now() + pause > giveUpAt) throw busy(others[0]?.paths[0] ?? '')
    await sleep(pause)
    throwIfAborted(options.signal)
  }
}

async function liveOthers(
  { sweeps, onError }: SweepTools,
  own: KuboLease,
  options?: CallOptions,
): Promise<FoundLease[]> {
  try {
    const files = await sweeps.list(options)
    return files.filter((file) => file.name !== own.name && !sweeps.isVoid(file))
  } catch (error) {
    await own.release().catch(onError)
    throw error
  }
}

/** What the dead left. Owners that live have long stopped to believe in what is void. */
async function removeVoid({ sweeps, leases, condemned, mfs }: SweepTools): Promise<void> {
  for (const file of await sweeps.list()) {
    if (!sweeps.isVoid(file)) continue
    await condemned.clear(file.name)
    await mfs.remove(file.paths)
  }
  const leftLeases = (await leases.list()).filter((file) => leases.isVoid(file))
  await mfs.remove(leftLeases.flatMap(({ paths }) => paths))
}

class KuboSweep implements Sweep {
  readonly frees = 'holds'
  readonly #tools: SweepTools
  readonly #lease: KuboLease
  readonly #dead: DeadIntents
  readonly #marks = new Marks()
  readonly #offered: Map<string, CidBytes>
  #ended = false
  /** A request to drop pins may still be under way on the node. */
  #unsure = false

  constructor(tools: SweepTools, lease: KuboLease, dead: DeadIntents) {
    this.#tools = tools
    this.#lease = lease
    this.#dead = dead
    this.#offered = new Map(dead.pins.map((cid) => [cidKey(cid), cid]))
  }

  async mark(held: readonly HeldCid[]): Promise<boolean[]> {
    this.#checkOpen()
    return held.map((one) => this.#marks.add(one))
  }

  async offer(held: readonly HeldCid[]): Promise<void> {
    this.#checkOpen()
    for (const { cid } of held) this.#offered.set(cidKey(cid), cid)
  }

  free(options?: FreeOptions): Promise<Freed> {
    return this.#tools.calls.change(options, (own) => {
      this.#checkOpen()
      return this.#free(own)
    })
  }

  end(): Promise<void> {
    return this.#tools.calls.unlessClosed(async () => {
      if (this.#ended) return
      this.#ended = true
      if (this.#unsure) return
      await this.#lease.release([this.#tools.condemned.pathOf(this.#lease.name)])
    })
  }

  #checkOpen(): void {
    if (this.#ended) throw new CairnError('closed', 'This sweep has ended.')
  }

  #mayGoOn(options: FreeOptions): void {
    throwIfAborted(options?.signal)
    if (this.#unsure || !this.#lease.sound()) throw sweepLost()
  }

  async #free(options: FreeOptions): Promise<Freed> {
    const { condemned, bundles } = this.#tools
    this.#mayGoOn(options)
    const broken = await this.#offerBundles(options)
    let freed = 0
    const spared = await this.#dropOffered(options, (count) => {
      freed += count
      options?.onProgress?.(freed)
    })
    await condemned.clear(this.#lease.name)
    // One that a writer came back for stays, and so must the record that tells of it.
    await bundles.forget(broken.filter((bundle) => !spared.has(printCid(bundle))))
    await this.#removeIntents()
    return { blocks: freed, bytes: undefined }
  }

  /** Offers the bundles that may go. A live intent names one whose commit may be still to come. */
  async #offerBundles(options: FreeOptions): Promise<CidBytes[]> {
    const { client, intents, bundles } = this.#tools
    const known = [...(await bundles.list(options)), ...this.#dead.bundles]
    if (known.length === 0) return []
    const live = await intents.livePins(this.#dead, options)
    const idle = known.filter((bundle) => !live.has(printCid(bundle)))
    const { needed, broken } = await breakUp(client, idle, this.#marks, options)
    // Intents of the dead may name them, too.
    for (const bundle of known) this.#offered.delete(cidKey(bundle))
    // The dead one's intent will go.
    for (const bundle of needed)
      if (this.#dead.bundles.includes(bundle)) await bundles.record(bundle)
    for (const bundle of broken) this.#offered.set(cidKey(bundle), bundle)
    return broken
  }

  /** Drops what was offered and not marked; answers what of it a live intent names, which stays. */
  async #dropOffered(options: FreeOptions, onDone: OnDone): Promise<ReadonlySet<string>> {
    const { client, intents, condemned } = this.#tools
    const unmarked = [...this.#offered].filter(([key]) => !this.#marks.has(key))
    const spared = new Set<string>()
    let left = unmarked.map(([, cid]) => printCid(cid))
    for (let pass = 1; left.length > 0; pass++) {
      this.#mayGoOn(options)
      if (pass > MOST_PASSES) throw notAnAnswer('pin/ls', `pins that are not there, ${left[0]}`)
      const size = pass === 1 ? PINS_A_REQUEST : 1
      // The order of these four is what the argument rests on; what a later pass has is listed.
      const pins = await unnamedPins(client, new Set(left), options)
      // Kubo does not say how far a request came that stopped half-way.
      if (size === 1 && left.length > pins.size) onDone(left.length - pins.size)
      if (pass === 1) await condemned.write(this.#lease.name, [...pins.keys()], options)
      const live = await intents.livePins(this.#dead, options)
      for (const cid of pins.keys()) if (live.has(cid)) spared.add(cid)
      const doomed = [...pins].filter(([cid]) => !spared.has(cid))
      left = await this.#drop(doomed, size, options, onDone)
    }
    return spared
  }

  /** Those of `doomed` that were in a request that ended half-way. */
  async #drop(
    doomed: readonly (readonly [string, PinType])[],
    size: number,
    options: FreeOptions,
    onDone: OnDone,
  ): Promise<string[]> {
    const { client } = this.#tools
    const task = { client, mayGoOn: () => this.#mayGoOn(options), onDone, mayRunStill: false }
    const left: string[] = []
    try {
      for (const type of ['recursive', 'direct'] as const) {
        const cids = doomed.filter((one) => one[1] === type).map(([cid]) => cid)
        left.push(...(await unpin(task, cids, type, size)))
      }
    } catch (error) {
      if (task.mayRunStill && !(await unpinningEnded(client))) {
        this.#unsure = true
        this.#lease.stop()
      }
      throw error
    }
    return left
  }

  /** What they told of is known to be gone, or needed. */
  async #removeIntents(): Promise<void> {
    await this.#tools.mfs.remove(this.#dead.paths)
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
