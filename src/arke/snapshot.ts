/**
 * Snapshots of the old system, all schemas. The id alone does not tell the shape: `arke/snapshot@v2`
 * names two, so a snapshot is told by the field that its entries are under.
 *
 *   entries       in the snapshot itself: snapshot-index@v1, snapshot@v0, @v1, and @v2 of the last version
 *   chunks        a list of snapshot-chunk@v1: @v2 of the first version
 *   entries_head  the newest of snapshot-chunk@v2, each naming the one before: @v3
 */
import { cidKey, type CidBytes } from '../model/cid.ts'
import { readOldEntry, type OldEntry } from './entry.ts'
import { readTime } from './fields.ts'
import { readLink } from './links.ts'
import type { FindingSink } from './report.ts'
import {
  isMap,
  problemError,
  readRecord,
  type OldMap,
  type OldSource,
  type Problem,
} from './source.ts'

const SCHEMAS = [
  'arke/snapshot-index@v1',
  'arke/snapshot@v0',
  'arke/snapshot@v1',
  'arke/snapshot@v2',
  'arke/snapshot@v3',
]

type Shape = 'entries' | 'chunks' | 'entries_head'

export interface OldSnapshot {
  readonly cid: CidBytes
  readonly schema: string
  readonly shape: Shape
  readonly seq: number | undefined
  readonly ts: number | undefined
  readonly totalCount: number | undefined
  readonly prev: CidBytes | undefined
  /** The newest event that it has folded. */
  readonly event: CidBytes | undefined
  readonly map: OldMap
}

/** Undefined: the record is no snapshot, or none whose shape is known. */
export function describeSnapshot(cid: CidBytes, map: OldMap): OldSnapshot | undefined {
  const { schema } = map
  const shape = shapeOf(map)
  if (typeof schema !== 'string' || !SCHEMAS.includes(schema) || shape === undefined)
    return undefined
  const count = (field: string): number | undefined => {
    const value = map[field]
    return typeof value === 'number' && Number.isSafeInteger(value) ? value : undefined
  }
  const link = (value: unknown): CidBytes | undefined => {
    const read = readLink(value)
    return read !== undefined && 'cid' in read ? read.cid : undefined
  }
  return {
    cid,
    schema,
    shape,
    seq: count('seq'),
    ts: readTime(map['ts']),
    totalCount: count('total_count'),
    prev: link(map['prev_snapshot'] ?? map['prev']),
    event: link(map['event_cid']),
    map,
  }
}

function shapeOf(map: OldMap): Shape | undefined {
  if (Array.isArray(map['entries'])) return 'entries'
  if (Array.isArray(map['chunks'])) return 'chunks'
  return 'entries_head' in map ? 'entries_head' : undefined
}

export async function readSnapshot(
  source: OldSource,
  cid: CidBytes,
  signal?: AbortSignal,
): Promise<OldSnapshot> {
  const read = await readRecord(source, cid, signal)
  if ('problem' in read) throw problemError(read.problem, 'snapshot', cid)
  const snapshot = describeSnapshot(cid, read.map)
  if (snapshot === undefined) throw problemError('unreadable', 'snapshot', cid)
  return snapshot
}

const BATCH = 256

/** Its entries, in batches, as they stand there; what cannot be read goes to `findings`. */
export async function* snapshotEntries(
  source: OldSource,
  snapshot: OldSnapshot,
  findings: FindingSink,
  signal?: AbortSignal,
): AsyncGenerator<OldEntry[]> {
  if (snapshot.shape === 'entries') {
    yield* entriesOf(snapshot.map, snapshot, findings)
    return
  }
  const chunks =
    snapshot.shape === 'chunks'
      ? listedChunks(source, snapshot, findings, signal)
      : linkedChunks(source, snapshot, findings, signal)
  for await (const chunk of chunks) yield* entriesOf(chunk, snapshot, findings)
}

async function* entriesOf(
  map: OldMap,
  { ts }: OldSnapshot,
  findings: FindingSink,
): AsyncGenerator<OldEntry[]> {
  const entries = map['entries'] as readonly unknown[]
  for (let from = 0; from < entries.length; from += BATCH) {
    const batch: OldEntry[] = []
    for (const [i, value] of entries.slice(from, from + BATCH).entries()) {
      const read = readOldEntry(value)
      if ('entry' in read) batch.push({ ...read.entry, ts: read.entry.ts ?? ts })
      else {
        const { kind, pi, why } = read.bad
        await findings.add(kind, { pi, detail: `entry ${from + i}: ${why}` })
      }
    }
    yield batch
  }
}

async function* listedChunks(
  source: OldSource,
  snapshot: OldSnapshot,
  findings: FindingSink,
  signal?: AbortSignal,
): AsyncGenerator<OldMap> {
  const seen = new Set<string>()
  for (const [i, value] of (snapshot.map['chunks'] as readonly unknown[]).entries()) {
    const link = readLink(value)
    const cid = link !== undefined && 'cid' in link ? link.cid : undefined
    if (cid !== undefined && seen.has(cidKey(cid))) continue
    if (cid !== undefined) seen.add(cidKey(cid))
    const chunk = cid === undefined ? 'unreadable' : await readChunk(source, cid, signal)
    if (typeof chunk === 'string') await missingChunk(findings, cid, `chunk ${i}: ${chunk}`)
    else yield chunk
  }
}

/** Newest first. Chunks name each other by their hashes, so the list ends. */
async function* linkedChunks(
  source: OldSource,
  snapshot: OldSnapshot,
  findings: FindingSink,
  signal?: AbortSignal,
): AsyncGenerator<OldMap> {
  let link = readLink(snapshot.map['entries_head'])
  while (link !== undefined) {
    const cid: CidBytes | undefined = 'cid' in link ? link.cid : undefined
    const chunk = cid === undefined ? 'unreadable' : await readChunk(source, cid, signal)
    if (typeof chunk === 'string') {
      await missingChunk(findings, cid, `${chunk}; older chunks are named by it alone`)
      return
    }
    yield chunk
    link = readLink(chunk['prev'])
  }
}

async function readChunk(
  source: OldSource,
  cid: CidBytes,
  signal?: AbortSignal,
): Promise<OldMap | Problem> {
  const read = await readRecord(source, cid, signal)
  if ('problem' in read) return read.problem
  return isMap(read.map) && Array.isArray(read.map['entries']) ? read.map : 'unreadable'
}

function missingChunk(
  findings: FindingSink,
  cid: CidBytes | undefined,
  detail: string,
): Promise<void> {
  return findings.add('missing_chunk', { cid, detail })
}
