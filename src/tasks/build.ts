/** Building a snapshot. When to build is decided by who asks for it. */
import type { BuildReport } from '../engine/build.ts'
import { isCairnError } from '../errors.ts'
import type { IpldMap } from '../model/ipld.ts'
import { printCid } from '../model/cid.ts'
import { formatTime } from '../model/time.ts'
import { longOptions, type TaskContext } from './context.ts'

export interface BuildTaskOptions {
  readonly reason?: string | undefined
  readonly tags?: readonly string[] | undefined
  readonly meta?: IpldMap | undefined
  /** Build even when nothing is new. */
  readonly force?: boolean | undefined
}

export type BuildRecord = Readonly<{
  status: BuildReport['status']
  snapshot: string
  root: string
  seq: number
  ts: string | number
  entries: number
  live: number
  chunk_count: number
  folded: number
  chunks_written: number
  chunks_dropped: number
  blocks_written: number
  bytes_written: number
  recent_count: number
}>

/** How often somebody else's build may be first. */
const TRIES = 5

export async function buildTask(
  context: TaskContext,
  { reason, tags, meta, force }: BuildTaskOptions = {},
): Promise<BuildRecord> {
  const dataset = await context.cairn.dataset(context.dataset)
  const options = { ...longOptions(context), reason, tags, meta, force }
  for (let attempt = 1; ; attempt++) {
    try {
      return recordOf(await dataset.build(options))
    } catch (error) {
      // The one that was first may have left nothing to do, or some of it: the next try will see.
      if (!isOvertaken(error) || attempt === TRIES) throw error
    }
  }
}

/** The build was dropped since another snapshot became current; nothing was changed by it. */
function isOvertaken(error: unknown): boolean {
  return isCairnError(error, 'conflict') && 'current_snapshot' in error.details
}

function recordOf(report: BuildReport): BuildRecord {
  return {
    status: report.status,
    snapshot: printCid(report.snapshot),
    root: printCid(report.root),
    seq: report.seq,
    ts: formatTime(report.ts),
    entries: report.entries,
    live: report.live,
    chunk_count: report.chunkCount,
    folded: report.folded,
    chunks_written: report.chunksWritten,
    chunks_dropped: report.chunksDropped,
    blocks_written: report.blocksWritten,
    bytes_written: report.bytesWritten,
    recent_count: report.recentCount,
  }
}
