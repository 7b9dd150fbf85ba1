/**
 * Bringing the pins of a cluster in step with what a dataset keeps.
 *
 *   1 take a lease on what is kept, so that no prune takes from it while nodes fetch
 *   2 ask for what is not pinned, or on too few nodes; its root is put on the store's node before
 *   3 wait until all of it is pinned on enough nodes, if the caller wants to
 *   4 let go of what nothing kept needs, only if all that is needed is pinned on enough nodes
 *
 * The cluster's shared state is the only record, so a death anywhere leaves nothing that the next call does
 * not find: what was asked for is there, what was not released still bears our mark. The root on the store's
 * node is held by nobody until a node has pinned it: if a collection takes it before, the nodes find nothing, the
 * pin fails, and the next call puts it again.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { LongOptions } from '../engine/context.ts'
import type { Dataset } from '../engine/dataset.ts'
import type { PinRoot } from '../engine/pin-roots.ts'
import { CairnError, isCairnError } from '../errors.ts'
import { cidKey } from '../model/cid.ts'
import type { Backend, CallOptions } from '../store/backend.ts'
import type { Cluster, Factor } from './client.ts'
import {
  isShort,
  isWanted,
  marksOf,
  needsPin,
  needsRecovery,
  viewPins,
  type PinView,
  type Wanted,
} from './view.ts'

/** The store, as far as it is needed to put a root where the nodes find it. */
type RootStore = Pick<Backend, 'kind' | 'location' | 'hasBlocks' | 'heal'>

export interface PinPlace {
  readonly dataset: Dataset
  readonly backend: RootStore
  readonly cluster: Cluster
  readonly factor: Factor
}

export interface SyncOptions extends LongOptions {
  /** How long to wait until all is pinned on enough nodes; 0 for not at all. */
  readonly waitMs: number
}

export interface Synced {
  readonly views: readonly PinView[]
  /** How many pins were asked for, or asked for anew. */
  readonly asked: number
  readonly released: number
  /** Not released since something that is needed is on too few nodes. */
  readonly heldBack: number
}

const POLL_MS = 500
/** A node that failed is told to try again that often. */
const ASK_AGAIN_MS = 5_000

export async function syncPins(place: PinPlace, options: SyncOptions): Promise<Synced> {
  const { dataset, cluster, factor } = place
  checkNode(place.backend)
  return dataset.pinRoots(async (found) => {
    const { views, asked } = await settle(place, { ...found, dataset: dataset.name }, options)
    const obsolete = views.filter((view) => !isWanted(view))
    if (views.some(isShort(factor))) return { views, asked, released: 0, heldBack: obsolete.length }
    return { views, asked, released: await release(cluster, obsolete, options), heldBack: 0 }
  }, options)
}

/** Lets go of what nothing kept needs, or of all that is ours, however the rest stands. */
export function releasePins(
  { dataset, cluster }: Pick<PinPlace, 'dataset' | 'cluster'>,
  { all, ...options }: CallOptions & { readonly all: boolean },
): Promise<number> {
  return dataset.pinRoots(async (found) => {
    const views = await viewPins(cluster, { ...found, dataset: dataset.name }, options)
    return release(
      cluster,
      views.filter((view) => all || !isWanted(view)),
      options,
    )
  }, options)
}

export function pinStatus(
  { dataset, cluster }: Pick<PinPlace, 'dataset' | 'cluster'>,
  options: CallOptions,
): Promise<PinView[]> {
  return dataset.pinRoots(
    (found) => viewPins(cluster, { ...found, dataset: dataset.name }, options),
    options,
  )
}

/** Asks until enough is pinned, or the time is over; answers how all of it stands then, and how many it asked for. */
async function settle(
  place: PinPlace,
  wanted: Wanted,
  options: SyncOptions,
): Promise<Pick<Synced, 'views' | 'asked'>> {
  const { cluster, factor } = place
  const giveUpAt = performance.now() + options.waitMs
  const asked = new Set<string>()
  let askAt = 0
  for (;;) {
    const began = performance.now()
    try {
      let views = await viewPins(cluster, wanted, options)
      if (performance.now() >= askAt) {
        askAt = performance.now() + ASK_AGAIN_MS
        if (await ask(place, wanted, views, { ...options, asked }))
          views = await viewPins(cluster, wanted, options)
      }
      const needed = views.filter(isWanted)
      const short = needed.filter(isShort(factor)).length
      options.onProgress?.({ step: 'pin', done: needed.length - short, total: needed.length })
      if (short === 0 || performance.now() >= giveUpAt) return { views, asked: asked.size }
    } catch (error) {
      if (!isPassing(error) || performance.now() >= giveUpAt) throw error
    }
    // A look at many pins is work for every node: they have longer peace than it took.
    const pause = Math.max(POLL_MS, 2 * (performance.now() - began))
    await sleep(pause, undefined, { signal: options.signal })
  }
}

/** A peer that restarts, or has not yet noticed that another one is back. */
const isPassing = (error: unknown): boolean =>
  isCairnError(error, 'backend_unavailable') ||
  isCairnError(error, 'backend_timeout') ||
  isCairnError(error, 'not_replicated')

/** Whether there was anything to ask for; adds the pins to `asked`, by `cidKey`. */
async function ask(
  { backend, cluster, factor }: PinPlace,
  wanted: Wanted,
  views: readonly PinView[],
  { asked, ...options }: CallOptions & { readonly asked: Set<string> },
): Promise<boolean> {
  let any = false
  for (const view of views) {
    const { root, cid, name } = view
    const [pin, recover] = [needsPin(view, factor), needsRecovery(view)]
    if (root === undefined) continue
    if (pin || isShort(factor)(view)) await putRoot(backend, root, options)
    if (pin) await cluster.pin({ cid, name, ...factor, metadata: marksOf(wanted, root) }, options)
    if (recover) await cluster.recover(cid, options)
    if (!pin && !recover) continue
    asked.add(cidKey(cid))
    any = true
  }
  return any
}

async function putRoot(
  backend: RootStore,
  { blocks }: PinRoot,
  options: CallOptions,
): Promise<void> {
  const there = await backend.hasBlocks(
    blocks.map(({ cid }) => cid),
    options,
  )
  await backend.heal(
    blocks.filter((_, index) => there[index] !== true),
    options,
  )
}

async function release(
  cluster: Cluster,
  views: readonly PinView[],
  options: CallOptions,
): Promise<number> {
  let released = 0
  for (const { cid, isOurs } of views)
    if (isOurs && (await cluster.unpin(cid, options))) released += 1
  return released
}

function checkNode({ kind, location }: RootStore): void {
  if (kind === 'kubo') return
  throw new CairnError('usage', `The nodes of a cluster cannot fetch blocks from ${location}.`, {
    hint: 'Pins need a store on a node of their swarm: --store kubo:URL.',
  })
}
