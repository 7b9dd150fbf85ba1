/**
 * How the pins of a dataset stand on a cluster, against what should be pinned there.
 *
 * Ours are the pins that bear the dataset's identity; all others are other people's, and so is one of a root
 * of ours that somebody else asked for: those are counted where they are of use, and never touched.
 */
import { CairnError } from '../errors.ts'
import { cidKey, type CidBytes } from '../model/cid.ts'
import type { PinRoot, PinRoots } from '../engine/pin-roots.ts'
import type { CallOptions } from '../store/backend.ts'
import type { PeerState, SharedPin } from './answers.ts'
import type { Cluster, Factor } from './client.ts'

export interface PinView {
  readonly cid: CidBytes
  readonly name: string
  /** Undefined: nothing that is kept needs it any more. */
  readonly root: PinRoot | undefined
  /** Undefined: the cluster has no such pin. */
  readonly shared: SharedPin | undefined
  readonly isOurs: boolean
  readonly peers: readonly PeerState[]
  /** How many nodes have it with all that it links to. */
  readonly on: number
}

export type Wanted = PinRoots & { readonly dataset: string }

const IDENTITY = 'cairn-identity'
/** More than any dataset keeps. */
const MOST_PINS = 100_000

export function marksOf(
  { dataset, identity }: Wanted,
  { seq, recent }: PinRoot,
): Readonly<Record<string, string>> {
  return {
    'cairn-dataset': dataset,
    [IDENTITY]: identity,
    'cairn-seq': String(seq),
    'cairn-recent': String(recent),
  }
}

/** `cairn/main/12` is snapshot 12, `cairn/main/12+350` that with the 350 entries after it. */
function pinName({ dataset }: Wanted, { seq, recent }: PinRoot): string {
  return `cairn/${dataset}/${seq}${recent === 0 ? '' : `+${recent}`}`
}

/** First what is wanted, in its order, then what is ours and not wanted. */
export async function viewPins(
  cluster: Cluster,
  wanted: Wanted,
  options?: CallOptions,
): Promise<PinView[]> {
  const shared = await sharedPins(cluster, wanted, options)
  const states = await cluster.states(
    [...shared.values()].map(({ cid }) => cid),
    options,
  )
  const view = (cid: CidBytes, name: string, root: PinRoot | undefined): PinView => {
    const [pin, peers] = [shared.get(cidKey(cid)), states.get(cidKey(cid))?.peers ?? []]
    const isOurs = pin?.metadata[IDENTITY] === wanted.identity
    const on = peers.filter(({ status }) => status === 'pinned').length
    return { cid, name, root, shared: pin, isOurs, peers, on }
  }
  const needed = new Set(wanted.roots.map(({ cid }) => cidKey(cid)))
  return [
    ...wanted.roots.map((root) => view(root.cid, pinName(wanted, root), root)),
    ...[...shared.values()]
      .filter(({ cid }) => !needed.has(cidKey(cid)))
      .map(({ cid, name }) => view(cid, name, undefined)),
  ]
}

/** Of all pins of the cluster those that are ours or wanted. */
async function sharedPins(
  cluster: Cluster,
  { identity, roots }: Wanted,
  options?: CallOptions,
): Promise<Map<string, SharedPin>> {
  const needed = new Set(roots.map(({ cid }) => cidKey(cid)))
  const found = new Map<string, SharedPin>()
  for await (const pin of cluster.pins(options)) {
    const key = cidKey(pin.cid)
    if (pin.metadata[IDENTITY] === identity || needed.has(key)) found.set(key, pin)
    if (found.size > MOST_PINS) {
      throw new CairnError(
        'backend_refused',
        `The cluster at ${cluster.address} lists pins without end.`,
        {
          hint: 'Is something between it and here that answers in its place?',
        },
      )
    }
  }
  return found
}

export const isWanted = ({ root }: PinView): boolean => root !== undefined

/** Wanted, and on fewer nodes than it has to be. */
export const isShort =
  ({ min }: Factor) =>
  ({ root, on }: PinView): boolean =>
    root !== undefined && on < min

const COMING: readonly string[] = ['pinned', 'pinning', 'pin_queued']

/**
 * Not there, or under another factor, or not even on its way to enough nodes: asked for again, the cluster
 * puts others in the place of peers that are gone.
 */
export function needsPin({ root, shared, isOurs, peers }: PinView, factor: Factor): boolean {
  if (root === undefined) return false
  if (shared === undefined) return true
  if (!isOurs) return false
  const coming = peers.filter(({ status }) => COMING.includes(status)).length
  return coming < factor.min || shared.min !== factor.min || shared.max !== factor.max
}

const FAILED: readonly string[] = ['pin_error', 'unpin_error', 'unexpectedly_unpinned']

/** Some node failed at it, and tries again only when told to. */
export function needsRecovery({ root, shared, peers }: PinView): boolean {
  return (
    root !== undefined &&
    shared !== undefined &&
    peers.some(({ status }) => FAILED.includes(status))
  )
}
