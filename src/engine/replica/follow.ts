/** Keeping a replica up to date until it is told to stop: also while source or target are away for a time. */
import { isCairnError, type CairnError } from '../../errors.ts'
import type { FollowedSource } from './source.ts'
import type { SyncReport } from './sync.ts'

export interface FollowOptions {
  readonly source: Pick<FollowedSource, 'changed'>
  readonly dataset: string
  readonly sync: () => Promise<SyncReport>
  /** Of each sync that brought something. */
  readonly onSynced: (report: SyncReport) => Promise<void> | void
  /** Something was away; it is tried again after so many milliseconds. */
  readonly onAway: (error: CairnError, againMs: number) => void
  /** Ends it, without an error. */
  readonly signal: AbortSignal
  readonly delay: (ms: number) => Promise<void>
}

/** Between two syncs: what was written in between comes in one. */
const GATHER_MS = 50
const AWAY_LEAST_MS = 1000
const AWAY_MOST_MS = 30_000

/** Errors that pass by themselves. */
const PASSES: ReadonlySet<string> = new Set([
  'backend_unavailable',
  'backend_timeout',
  'busy',
  'closed',
  'overloaded',
  'rate_limited',
  'deadline_exceeded',
  'commit_unknown',
])

export async function follow(options: FollowOptions): Promise<void> {
  const { source, dataset, sync, onSynced, signal, delay, onAway } = options
  let away = AWAY_LEAST_MS
  while (!signal.aborted) {
    try {
      const report = await sync()
      away = AWAY_LEAST_MS
      if (report.status === 'synced') await onSynced(report)
      await delay(GATHER_MS)
      await source.changed(dataset, report.from, { signal })
    } catch (error) {
      if (signal.aborted) return
      if (!isCairnError(error) || !PASSES.has(error.code)) throw error
      onAway(error, away)
      await delay(away)
      away = Math.min(away * 2, AWAY_MOST_MS)
    }
  }
}
