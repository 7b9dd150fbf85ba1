/**
 * The old index pointer: JSON text in a file of MFS, `arke/index-pointer@v1` or `@v2`. Every field may
 * be null or absent, and unknown ones are no matter: which ones there are depended on which program
 * wrote last.
 */
import { CairnError } from '../errors.ts'
import type { CidBytes } from '../model/cid.ts'
import { readTime, textOr } from './fields.ts'
import { readLink } from './links.ts'
import type { FindingSink } from './report.ts'
import { isMap, type OldFiles, type OldMap } from './source.ts'

export interface OldPointer {
  readonly path: string
  readonly schema: string
  readonly snapshot: CidBytes | undefined
  /** The newest chain entry (v1) or event (v2). */
  readonly head: CidBytes | undefined
  /** Up to which event the snapshot has folded, where that is said. */
  readonly foldedHead: CidBytes | undefined
  readonly totalCount: number | undefined
  readonly updated: number | undefined
}

/** Where the old programs kept it; they did not agree. */
const POINTER_PATHS: readonly string[] = ['/arke/index-pointer', '/arke/index_pointer']

const MAX_POINTER_BYTES = 1 << 20
const SCHEMAS = ['arke/index-pointer@v1', 'arke/index-pointer@v2']

export function parsePointer(path: string, bytes: Uint8Array): OldPointer {
  const map = parseJson(path, bytes)
  const schema = map['schema']
  if (typeof schema !== 'string' || !SCHEMAS.includes(schema))
    throw damaged(path, `its schema is "${textOr(schema, 'none')}"`)
  const link = (field: string): CidBytes | undefined => {
    const read = readLink(map[field])
    if (read === undefined) return undefined
    if ('unusable' in read) throw damaged(path, `${field} is not a CID`)
    return read.cid
  }
  const total = map['total_count']
  return {
    path,
    schema,
    snapshot: link('latest_snapshot_cid'),
    head: link(schema.endsWith('v2') ? 'event_head' : 'recent_chain_head'),
    foldedHead: link('snapshot_event_cid'),
    totalCount: typeof total === 'number' ? total : undefined,
    updated: readTime(map['last_updated']),
  }
}

function parseJson(path: string, bytes: Uint8Array): OldMap {
  if (bytes.length > MAX_POINTER_BYTES) throw damaged(path, 'it is far too long')
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8').trim())
    if (isMap(value)) return value
  } catch (cause) {
    throw damaged(path, 'it is not JSON', cause)
  }
  throw damaged(path, 'it is not a JSON object')
}

function damaged(path: string, why: string, cause?: unknown): CairnError {
  return new CairnError('pointer_damaged', `The old index pointer ${path} is no good: ${why}.`, {
    hint: 'Name the snapshot itself with --snapshot, or another file with --pointer.',
    path,
    cause,
  })
}

/** The pointer at `path`; without one, the newer of those at the usual places. */
export async function findPointer(
  files: OldFiles,
  path: string | undefined,
  findings: FindingSink,
): Promise<OldPointer | undefined> {
  const found: OldPointer[] = []
  for (const one of path === undefined ? POINTER_PATHS : [path]) {
    const bytes = await files.read(one)
    if (bytes !== undefined) found.push(parsePointer(one, bytes))
  }
  const [newest, other] = found.sort((a, b) => (b.updated ?? 0) - (a.updated ?? 0))
  if (newest === undefined && path !== undefined) {
    throw new CairnError('not_found', `The node has no file ${path} in its MFS.`, {
      hint: `The usual places are ${POINTER_PATHS.join(' and ')}; \`ipfs files ls /arke\` shows what there is.`,
      path,
    })
  }
  if (newest !== undefined && other !== undefined) {
    await findings.add('two_pointers', { detail: `${newest.path} is newer than ${other.path}` })
  }
  return newest
}
