/** The kept snapshots, and one of them by what it is called. */
import type { SnapshotRecord } from '../../../../src/client/index.ts'
import { usePolled, type Polled } from '../../app/live.ts'
import { datasetClient } from '../../app/session.ts'
import { absoluteText, timeOf } from '../../ui/format.ts'
import { visibleText } from '../entities/visible.ts'

/** As many as are asked for; what is older is said to be there. */
export const MOST_SNAPSHOTS = 1000

export interface Snapshots {
  /** Newest first. */
  readonly items: readonly SnapshotRecord[]
  readonly hasMore: boolean
}

export function useSnapshots(dataset: string): Polled<Snapshots> {
  return usePolled(
    { key: `snapshots ${dataset}`, everyMs: 30_000, onChangeOf: dataset },
    async (signal) => {
      const answer = await datasetClient(dataset).snapshots({ limit: MOST_SNAPSHOTS, signal })
      return { items: answer.items, hasMore: answer.has_more }
    },
  )
}

export const selectorOf = ({ seq }: Pick<SnapshotRecord, 'seq'>): string => `seq:${seq}`

/** One of a list by `latest`, `seq:N` or a CID. */
export function findSnapshot(
  items: readonly SnapshotRecord[],
  selector: string | undefined,
): SnapshotRecord | undefined {
  if (selector === undefined) return undefined
  if (selector === 'latest') return items.find(({ current }) => current)
  return items.find((one) => selectorOf(one) === selector || one.cid === selector)
}

export const snapshotText = ({ seq, ts, tags }: SnapshotRecord): string =>
  [`Snapshot ${seq}`, absoluteText(timeOf(ts)), ...tags.map(visibleText)].join(' · ')
