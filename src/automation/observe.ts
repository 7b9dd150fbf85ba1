/** Looking at a dataset: one small read. */
import type { Cairn } from '../cairn.ts'
import type { Dataset } from '../engine/dataset.ts'
import { printCid } from '../model/cid.ts'

export interface Seen {
  readonly recentCount: number
  /** Tells one snapshot, as the current one, from another. */
  readonly snapshot: string
  readonly snapshotTs: number
  readonly chainLimit: number
  /** Nothing was ever written to it. */
  readonly empty: boolean
}

/** Looks at a dataset again and again. */
export function observer(cairn: Cairn, name: string): () => Promise<Seen> {
  let dataset: Dataset | undefined
  return async () => {
    dataset ??= await cairn.dataset(name)
    const { snapshot, generation, snapshotTs, chainLimit, next, ...head } = await dataset.head()
    const current = `${printCid(snapshot)} ${generation.number} ${generation.tag}`
    // A replica's snapshots are built by its primary.
    const recentCount = head.writable ? head.recentCount : 0
    return { recentCount, snapshot: current, snapshotTs, chainLimit, empty: next === 0 }
  }
}
