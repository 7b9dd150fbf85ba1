/** Building a snapshot. When to build is decided by who asks for it. */
import type { BuildReport } from '../engine/build.ts'
import type { Dataset } from '../engine/dataset.ts'
import { isCairnError, type ErrorCode } from '../errors.ts'
import { sessionMeta } from '../live/session-store.ts'
import type { IpldMap } from '../model/ipld.ts'
import { printCid } from '../model/cid.ts'
import { formatTime } from '../model/time.ts'
import { longOptions, type TaskContext } from './context.ts'
import { tellSessionFile } from './session-file.ts'

export interface BuildTaskOptions {
  readonly reason?: string | undefined
  readonly tags?: readonly string[] | undefined
  /** Of a dataset with a session what it says, unless given. */
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

/** What it needs of a task's context. */
export type BuildContext = Pick<TaskContext, 'cairn' | 'dataset' | 'signal' | 'onProgress'> &
  Partial<Pick<TaskContext, 'dataDir' | 'log'>>

export async function buildTask(
  context: BuildContext,
  { reason, tags, meta, force }: BuildTaskOptions = {},
): Promise<BuildRecord> {
  const dataset = await context.cairn.dataset(context.dataset)
  const { signal } = context
  for (let attempt = 1; ; attempt++) {
    const of = meta ?? (await metaOf(dataset, signal))
    const options = { ...longOptions(context), reason, tags, meta: of, force }
    try {
      const record = recordOf(await dataset.build(options))
      if (record.status === 'built' && of !== undefined)
        await tellSessionFile(context.dataDir, dataset, context.log)
      return record
    } catch (error) {
      // The one that was first may have left nothing to do, or some of it: the next try will see.
      if (!isOvertaken(error) || attempt === TRIES) throw error
    }
  }
}

/** Errors about one entity's content, on which a build must not depend. */
const ABOUT_CONTENT: ReadonlySet<ErrorCode> = new Set([
  'invalid_content',
  'format_unsupported',
  'block_missing',
  'block_mismatch',
  'invalid_block',
])

/** None where the entity of that name is another program's, or cannot be read: the chain is to be folded all the same. */
async function metaOf(
  dataset: Dataset,
  signal: AbortSignal | undefined,
): Promise<IpldMap | undefined> {
  try {
    return await sessionMeta(dataset, { signal })
  } catch (error) {
    if (isCairnError(error) && ABOUT_CONTENT.has(error.code)) return undefined
    throw error
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
