/** Keeping a replica up to date until it is told to stop: also while source or target are away for a time. */
import { isCairnError, type CairnError } from '../../errors.ts'
import { bytesEqual, type CidBytes } from '../../model/cid.ts'
import type { SyncSource } from './source.ts'
import type { SyncReport } from './sync.ts'

export interface FollowOptions {
  readonly source: SyncSource
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

/** The source is looked at that often: what was written in between comes in one sync. */
const LOOK_MS = 500
const AWAY_LEAST_MS = 1000
const AWAY_MOST_MS = 30_000

/** Errors that pass by themselves. */
const PASSES: ReadonlySet<string> = new Set([
  'backend_unavailable',
  'backend_timeout',
  'busy',
  'overloaded',
  'rate_limited',
  'deadline_exceeded',
  'commit_unknown',
])

export async function follow(options: FollowOptions): Promise<void> {
  const { signal, delay, onAway } = options
  let known: CidBytes | undefined
  let away = AWAY_LEAST_MS
  while (!signal.aborted) {
    try {
      known = await once(options, known)
      away = AWAY_LEAST_MS
      await delay(LOOK_MS)
    } catch (error) {
      if (signal.aborted) return
      if (!isCairnError(error) || !PASSES.has(error.code)) throw error
      onAway(error, away)
      await delay(away)
      away = Math.min(away * 2, AWAY_MOST_MS)
    }
  }
}

/** Answers the commit of the source that the replica has now. */
async function once(
  { source, dataset, sync, onSynced, signal }: FollowOptions,
  known: CidBytes | undefined,
): Promise<CidBytes | undefined> {
  const newest = await source.newest(dataset, { signal })
  if (newest !== undefined && known !== undefined && bytesEqual(newest.cid, known)) return known
  const report = await sync()
  if (report.status === 'synced') await onSynced(report)
  // It may be an older one than the replica has: then the next look finds that out.
  return newest?.cid
}
