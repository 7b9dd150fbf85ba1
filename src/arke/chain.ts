/**
 * The old chain: `arke/chain-entry@v1`, `@v0` (only id and time, though newer) and `arke/event@v1`, each
 * naming the one before it. It is walked one record at a time, so memory does not grow with it; records
 * name each other by their hashes, so it ends.
 */
import { bytesEqual, type CidBytes } from '../model/cid.ts'
import { throwIfAborted } from '../errors.ts'
import { readOldEntry, type ReadEntry } from './entry.ts'
import { readLink, type OldLink } from './links.ts'
import { readRecord, type OldMap, type OldSource, type Problem } from './source.ts'

const SCHEMAS = ['arke/chain-entry@v0', 'arke/chain-entry@v1', 'arke/event@v1']

export const isChainRecord = ({ schema }: OldMap): boolean =>
  typeof schema === 'string' && SCHEMAS.includes(schema)

/** The record before this one. */
export const prevOf = (map: OldMap): OldLink | undefined => readLink(map['prev'])

/** Where a walk had to end before its time. */
export interface Gap {
  readonly cid: CidBytes | undefined
  readonly why: Problem
}

export type ChainStep = { readonly cid: CidBytes; readonly read: ReadEntry } | { readonly gap: Gap }

/** From `head` back, newest first, to before `until` or to the beginning; a gap comes last. */
export async function* walkChain(
  source: OldSource,
  head: CidBytes | undefined,
  until: CidBytes | undefined,
  signal?: AbortSignal,
): AsyncGenerator<ChainStep> {
  let link: OldLink | undefined = head === undefined ? undefined : { cid: head, linked: false }
  while (link !== undefined) {
    throwIfAborted(signal)
    if (!('cid' in link)) return yield { gap: { cid: undefined, why: 'unreadable' } }
    const { cid }: { cid: CidBytes } = link
    if (until !== undefined && bytesEqual(cid, until)) return
    const record = await readRecord(source, cid, signal)
    if ('problem' in record) return yield { gap: { cid, why: record.problem } }
    if (!isChainRecord(record.map)) return yield { gap: { cid, why: 'unreadable' } }
    yield { cid, read: readOldEntry(record.map) }
    link = prevOf(record.map)
  }
}
