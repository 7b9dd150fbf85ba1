/** Making the checkpoint of a state: what an exported CAR begins with. */
import {
  encodeChainList,
  encodeCheckpoint,
  placeAfter,
  type CarContent,
} from '../model/checkpoint.ts'
import type { Block, CidBytes } from '../model/cid.ts'
import type { SnapshotHeader } from '../model/snapshot.ts'
import type { State } from './state.ts'

/** What goes into a CAR: a snapshot, and the chain over it when it is the current one. */
export interface ExportedState {
  readonly state: State
  readonly snapshot: CidBytes
  readonly header: SnapshotHeader
  /** Without: the snapshot alone, as it was when it was built. */
  readonly withChain: boolean
}

/** The blocks of the checkpoint, which no store holds: the lists of the chain, and last the root. */
export function checkpointOf(
  { state, snapshot, header, withChain }: ExportedState,
  content: CarContent,
  since: CidBytes | null,
): Block[] {
  const { commit, chain } = state
  const lists = withChain && chain.length > 0 ? encodeChainList(chain.map(({ cid }) => cid)) : []
  const { dataset, identity, origins, generation, settings } = commit
  const place = withChain
    ? {
        base: commit.base,
        recentCount: commit.recentCount,
        chainFirst: commit.chainFirst,
        next: commit.next,
        nextOrdinal: commit.nextOrdinal,
        nextSeq: commit.nextSeq,
        totalCount: commit.totalCount,
      }
    : placeAfter(header)
  const chainList = lists.at(-1)?.cid ?? null
  const root = encodeCheckpoint({
    dataset,
    identity,
    origins,
    generation,
    settings,
    content,
    snapshot,
    since,
    chain: chainList,
    ...place,
  })
  return [...lists, root]
}
