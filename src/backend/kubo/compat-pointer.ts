/**
 * A commit in the words of the system that Cairn replaces: the JSON text of an `arke/index-pointer@v1`
 * or `@v2`, fields in its order, indented, times with microseconds. The CIDs name Cairn's blocks, which
 * the old programs cannot walk; it is for what reads counts and CIDs.
 *
 * Behind the old fields stand `written_by`, `dataset`, and a check over all before it, by which Cairn
 * knows its own: an old program that changes a pointer leaves fields in it that it does not know.
 */
import { createHash } from 'node:crypto'
import { printCid, type CidBytes } from '../../model/cid.ts'
import { decodeCommit, type Commit } from '../../model/commit.ts'

export type CompatShape = 'arke-v1' | 'arke-v2'

type Fields = Readonly<Record<string, string | number | null>>

const WRITTEN_BY = 'cairn'
const CHECK_DIGITS = 16

export function encodeCompatPointer(shape: CompatShape, commit: Commit): Uint8Array {
  const fields = shape === 'arke-v1' ? fieldsV1(commit) : fieldsV2(commit)
  const marked = { ...fields, written_by: WRITTEN_BY, dataset: commit.dataset }
  return Buffer.from(`${JSON.stringify({ ...marked, check: checkOf(marked) }, null, 2)}\n`)
}

/** Whose a pointer is: the name of a dataset, if Cairn wrote it, and nobody changed it since. */
export function datasetOfPointer(bytes: Uint8Array): string | undefined {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null || !('dataset' in value)) return undefined
  const { dataset } = value
  if (typeof dataset !== 'string') return undefined
  const isOurs = 'written_by' in value ? hasMark(value) : isCommit(bytes)
  return isOurs ? dataset : undefined
}

function hasMark(value: object & { readonly written_by: unknown }): boolean {
  const { check, ...marked } = value as { check?: unknown; written_by: unknown }
  return value.written_by === WRITTEN_BY && check === checkOf(marked)
}

/** The pointer in Cairn's own words, as `index_pointer_path` puts it where it is told to. */
function isCommit(bytes: Uint8Array): boolean {
  try {
    decodeCommit(bytes)
    return true
  } catch {
    return false
  }
}

function checkOf(marked: object): string {
  return createHash('sha256').update(JSON.stringify(marked)).digest('hex').slice(0, CHECK_DIGITS)
}

function fieldsV1(commit: Commit): Fields {
  const { cid, ts } = snapshotOf(commit)
  return {
    schema: 'arke/index-pointer@v1',
    latest_snapshot_cid: cid,
    snapshot_seq: commit.snapshotSeq,
    snapshot_count: commit.snapshotCount,
    snapshot_ts: ts,
    recent_chain_head: printOrNull(commit.head),
    recent_count: commit.recentCount,
    total_count: commit.totalCount,
    last_updated: printTime(commit.ts),
  }
}

/** Its events are all that were ever written: the head outlives a build, and the count goes on. */
function fieldsV2(commit: Commit): Fields {
  const { cid, ts } = snapshotOf(commit)
  return {
    schema: 'arke/index-pointer@v2',
    event_head: printOrNull(commit.head ?? commit.base),
    event_count: commit.next,
    latest_snapshot_cid: cid,
    snapshot_event_cid: printOrNull(commit.base),
    snapshot_seq: commit.snapshotSeq,
    snapshot_count: commit.snapshotCount,
    snapshot_ts: ts,
    total_count: commit.totalCount,
    last_snapshot_trigger: null,
    last_updated: printTime(commit.ts),
  }
}

/** The empty snapshot that a dataset begins with was none in the old system. */
function snapshotOf({ snapshot, snapshotSeq, snapshotTs }: Commit): {
  readonly cid: string | null
  readonly ts: string | null
} {
  if (snapshotSeq === 0) return { cid: null, ts: null }
  return { cid: printCid(snapshot), ts: printTime(snapshotTs) }
}

const printOrNull = (cid: CidBytes | null): string | null => (cid === null ? null : printCid(cid))

const printTime = (ms: number): string => new Date(ms).toISOString().replace('Z', '000Z')
