/** What a cluster says of peers and pins, as far as it is used here, checked. */
import { parseCid, type CidBytes } from '../model/cid.ts'
import { inWords, notAnAnswer } from './http.ts'

/** A pin of the cluster's shared state, whatever has become of it on the nodes. */
export interface SharedPin {
  readonly cid: CidBytes
  readonly name: string
  readonly metadata: Readonly<Record<string, string>>
  readonly min: number
  readonly max: number
}

/** How a pin stands on the node of one peer. */
export interface PeerState {
  readonly peer: string
  readonly name: string
  /** As the cluster calls it: `pinned`, `pinning`, `pin_queued`, `remote`, `pin_error`, `cluster_error` and so on. */
  readonly status: string
  /** Empty where nothing is wrong. */
  readonly error: string
}

export interface Peer {
  readonly peer: string
  readonly name: string
  readonly version: string
  /** What is wrong with the peer or with its node; empty where nothing is. */
  readonly error: string
}

type JsonMap = Readonly<Record<string, unknown>>

export function peerOf(answer: unknown): Peer {
  const map = mapOf(answer, 'a peer')
  const node = isMap(map['ipfs']) ? textIn(map['ipfs'], 'error') : ''
  return {
    peer: textIn(map, 'id'),
    name: textIn(map, 'peername'),
    version: textIn(map, 'version'),
    error: textIn(map, 'error') || node,
  }
}

/** Undefined for a pin of a kind that is not ours: its CID is one that Cairn has no use for. */
export function sharedPinOf(answer: unknown): SharedPin | undefined {
  const map = mapOf(answer, 'a pin')
  const cid = cidIn(map)
  if (cid === undefined || map['type'] !== 'pin') return undefined
  const metadata = isMap(map['metadata']) ? map['metadata'] : {}
  return {
    cid,
    name: textIn(map, 'name'),
    metadata: Object.fromEntries(
      Object.entries(metadata).map(([key, text]) => [key, String(text)]),
    ),
    min: numberIn(map, 'replication_factor_min'),
    max: numberIn(map, 'replication_factor_max'),
  }
}

export interface PinState {
  readonly cid: CidBytes
  /** One for each peer that the cluster knows, by name. */
  readonly peers: readonly PeerState[]
}

export function pinStateOf(answer: unknown): PinState {
  const map = mapOf(answer, 'the state of a pin')
  const cid = cidIn(map)
  const states = map['peer_map']
  if (cid === undefined || !isMap(states)) throw notAnAnswer('the state of a pin', shown(answer))
  const peers = Object.entries(states).map(([peer, state]) => {
    const of = mapOf(state, 'the state of a pin')
    return {
      peer: inWords(peer),
      name: textIn(of, 'peername'),
      status: textIn(of, 'status'),
      error: textIn(of, 'error'),
    }
  })
  return { cid, peers: peers.toSorted((a, b) => (a.name + a.peer < b.name + b.peer ? -1 : 1)) }
}

function isMap(value: unknown): value is JsonMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function mapOf(answer: unknown, what: string): JsonMap {
  if (isMap(answer)) return answer
  throw notAnAnswer(what, shown(answer))
}

function cidIn(map: JsonMap): CidBytes | undefined {
  try {
    return parseCid(String(map['cid']))
  } catch {
    return undefined
  }
}

function textIn(map: JsonMap, name: string): string {
  const value = map[name]
  return typeof value === 'string' ? inWords(value) : ''
}

function numberIn(map: JsonMap, name: string): number {
  const value = map[name]
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value
  throw notAnAnswer('a pin', shown(map))
}

const shown = (answer: unknown): string => String(JSON.stringify(answer))
