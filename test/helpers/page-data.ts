/** A dataset with something to see: entities of several kinds, snapshots, a CAR, a drill. */
import { connect, type DatasetClient } from '../../src/client/index.ts'

export interface FillOptions {
  readonly dataset?: string
  readonly token?: string
  readonly entities?: number
  /** How many snapshots are built, each with some changes of its own. */
  readonly snapshots?: number
  readonly car?: boolean
  readonly drill?: boolean
  /** Entries after the newest snapshot. */
  readonly recent?: number
}

const BATCH = 1000

export async function fill(url: string, options: FillOptions = {}): Promise<DatasetClient> {
  const { dataset = 'main', token, entities = 200, snapshots = 3 } = options
  const client = connect({ url, token }).dataset(dataset)
  const value = (i: number, round: number) => ({
    pi: `${KINDS[i % KINDS.length]}:${String(i).padStart(5, '0')}`,
    value: { name: `Number ${i}`, round, at: { x: i % 97, y: i % 89 } },
  })
  const all = Array.from({ length: entities }, (_, i) => value(i, 0))
  for (let i = 0; i < all.length; i += BATCH) await client.appendBatch(all.slice(i, i + BATCH))
  for (let round = 1; round <= snapshots; round++) {
    await client.run({ kind: 'build', reason: `round ${round}` })
    const changed = Array.from({ length: 5 }, (_, i) =>
      value((round * 7 + i * 3) % entities, round),
    )
    if (round < snapshots) await client.appendBatch(changed)
  }
  if (options.car === true) await client.run({ kind: 'export' })
  if (options.drill === true) await client.run({ kind: 'drill' })
  const recent = Array.from({ length: options.recent ?? 0 }, (_, i) => value(i % entities, 99))
  if (recent.length > 0) await client.appendBatch(recent)
  return client
}

const KINDS = ['user', 'scene', 'note', 'light'] as const
