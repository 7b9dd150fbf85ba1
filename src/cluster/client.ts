/** The calls of an IPFS Cluster's REST API that replicated pins need. */
import { CairnError } from '../errors.ts'
import { bytesEqual, cidKey, printCid, type CidBytes } from '../model/cid.ts'
import type { CallOptions } from '../store/backend.ts'
import { httpAddress } from '../util/http-address.ts'
import {
  peerOf,
  pinStateOf,
  sharedPinOf,
  type Peer,
  type PinState,
  type SharedPin,
} from './answers.ts'
import { clusterHttp, notAnAnswer, type Query } from './http.ts'

/** On how many nodes a pin has to be, and on how many the cluster puts it where it can. */
export interface Factor {
  readonly min: number
  readonly max: number
}

export interface PinRequest extends Factor {
  readonly cid: CidBytes
  readonly name: string
  readonly metadata: Readonly<Record<string, string>>
}

export interface Cluster {
  /** Of the peer that is asked, without secrets. */
  readonly address: string
  /** The peers that the cluster sees at this moment. */
  peers(options?: CallOptions): Promise<Peer[]>
  /** All pins of the shared state, others' as well. */
  pins(options?: CallOptions): AsyncGenerator<SharedPin, void, undefined>
  /** How pins stand on each node, by `cidKey`. */
  states(cids: readonly CidBytes[], options?: CallOptions): Promise<Map<string, PinState>>
  /** Asks for a pin, or for one anew: peers that are gone are replaced where too few are left. */
  pin(request: PinRequest, options?: CallOptions): Promise<void>
  /** Has nodes try again what failed on them. */
  recover(cid: CidBytes, options?: CallOptions): Promise<void>
  /** False where there was no such pin. */
  unpin(cid: CidBytes, options?: CallOptions): Promise<boolean>
}

export interface ClusterOptions {
  readonly url: string
  /** `basic:USER:PASSWORD` or `bearer:TOKEN`. */
  readonly token: string | undefined
  readonly deadlineMs: number
}

/** Keeps the head of a request under the 4 KiB that a peer takes. */
const CIDS_A_REQUEST = 32
const MOST_PEERS = 10_000

export function openCluster({ url, token, deadlineMs }: ClusterOptions): Cluster {
  const server = { name: 'cluster', hint: 'It looks like http://127.0.0.1:9094.' }
  const http = clusterHttp(httpAddress(url, token, server), deadlineMs)

  const pathOf = (cid: CidBytes): string => `pins/${printCid(cid)}`

  return {
    address: http.address,
    async peers(options) {
      const peers: Peer[] = []
      for await (const answer of http.list('peers', {}, options)) {
        peers.push(peerOf(answer))
        if (peers.length > MOST_PEERS) throw notAnAnswer('peers', 'more peers than there can be')
      }
      return peers
    },
    async *pins(options) {
      for await (const answer of http.list('allocations', { filter: 'pin' }, options)) {
        const pin = sharedPinOf(answer)
        if (pin !== undefined) yield pin
      }
    },
    async states(cids, options) {
      const states = new Map<string, PinState>()
      for (let at = 0; at < cids.length; at += CIDS_A_REQUEST) {
        const some = cids.slice(at, at + CIDS_A_REQUEST)
        const asked = new Set(some.map(cidKey))
        const query = { cids: some.map(printCid).join(',') }
        for await (const answer of http.list('pins', query, options)) {
          const state = pinStateOf(answer)
          if (!asked.delete(cidKey(state.cid)))
            throw notAnAnswer('pins', `${printCid(state.cid)}, which was not asked for`)
          states.set(cidKey(state.cid), state)
        }
        if (asked.size > 0) throw unanswered(http.address)
      }
      return states
    },
    async pin(request, options) {
      const answer = await http.ask('POST', pathOf(request.cid), queryOf(request), options)
      const pinned = sharedPinOf(answer)
      if (pinned === undefined || !bytesEqual(pinned.cid, request.cid))
        throw notAnAnswer('a pin', String(JSON.stringify(answer)))
    },
    async recover(cid, options) {
      await http.ask('POST', `${pathOf(cid)}/recover`, {}, options)
    },
    async unpin(cid, options) {
      return (await http.ask('DELETE', pathOf(cid), {}, options)) !== undefined
    },
  }
}

function queryOf({ name, min, max, metadata }: PinRequest): Query {
  const marks = Object.entries(metadata).map(([key, text]) => [`meta-${key}`, text] as const)
  return {
    name,
    mode: 'recursive',
    'replication-min': String(min),
    'replication-max': String(max),
    ...Object.fromEntries(marks),
  }
}

function unanswered(address: string): CairnError {
  return new CairnError(
    'backend_refused',
    `The cluster at ${address} left out pins it was asked for.`,
    {
      hint: 'The log of the peer may say more.',
    },
  )
}
