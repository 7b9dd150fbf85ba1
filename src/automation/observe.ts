/** Looking at a dataset: one small read, and a larger one only when there is another snapshot. */
import type { Cairn } from '../engine/cairn.ts'
import type { Dataset } from '../engine/dataset.ts'
import { printCid } from '../model/cid.ts'

export interface Seen {
  readonly recentCount: number
  /** Tells one snapshot, as the current one, from another. */
  readonly snapshot: string
  readonly snapshotTs: number
  readonly chainLimit: number
}

/** Looks at a dataset again and again. */
export function observer(cairn: Cairn, name: string): () => Promise<Seen> {
  let dataset: Dataset | undefined
  let seen: Seen | undefined
  return async () => {
    dataset ??= await cairn.dataset(name)
    const { snapshot, generation, recentCount } = await dataset.head()
    const current = `${printCid(snapshot)} ${generation.number} ${generation.tag}`
    if (seen?.snapshot === current) return (seen = { ...seen, recentCount })
    return (seen = await lookClosely(dataset))
  }
}

async function lookClosely(dataset: Dataset): Promise<Seen> {
  const { pointer } = await dataset.status()
  const settings = pointer['settings'] as Readonly<Record<string, unknown>>
  const generation = pointer['generation'] as Readonly<Record<string, unknown>>
  return {
    recentCount: Number(pointer['recent_count']),
    snapshot: `${String(pointer['latest_snapshot_cid'])} ${String(generation['number'])} ${String(generation['tag'])}`,
    snapshotTs: Date.parse(String(pointer['snapshot_ts'])),
    chainLimit: Number(settings['chain_limit']),
  }
}
