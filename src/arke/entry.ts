/** One entry of the old system, wherever it stood: in a snapshot, a chunk, a chain entry or an event. */
import { idOfKey } from '../model/entity-id.ts'
import type { CidBytes } from '../model/cid.ts'
import { isVersion, readId, readTime, textOr } from './fields.ts'
import { readLink } from './links.ts'
import type { FindingKind } from './report.ts'
import { isMap } from './source.ts'

export interface OldEntry {
  readonly key: string
  /** Undefined where the old program did not state it. */
  readonly ver: number | undefined
  readonly tip: CidBytes | undefined
  readonly ts: number | undefined
  /** The chain entry or event that it came from. */
  readonly chain: CidBytes | undefined
}

export interface BadEntry {
  readonly kind: Extract<FindingKind, 'bad_entry' | 'unusable_cid'>
  readonly pi: string | undefined
  readonly why: string
}

export type ReadEntry = { readonly entry: OldEntry } | { readonly bad: BadEntry }

export function readOldEntry(value: unknown): ReadEntry {
  if (!isMap(value)) return bad('bad_entry', undefined, 'it is not a map')
  const key = readId(value['pi'])
  if (key === undefined) return bad('bad_entry', textOr(value['pi'], ''), 'its "pi" is not an id')
  const pi = idOfKey(key)
  const ver = value['ver'] ?? undefined
  if (ver !== undefined && !isVersion(ver))
    return bad('bad_entry', pi, 'its "ver" is not a version')
  const tip = readLink(value['tip'] ?? value['tip_cid'])
  if (tip !== undefined && 'unusable' in tip) return bad('unusable_cid', pi, tip.unusable)
  const chain = readLink(value['chain_cid'])
  return {
    entry: {
      key,
      ver,
      tip: tip?.cid,
      ts: readTime(value['ts']),
      chain: chain !== undefined && 'cid' in chain ? chain.cid : undefined,
    },
  }
}

function bad(kind: BadEntry['kind'], pi: string | undefined, why: string): ReadEntry {
  return { bad: { kind, pi, why } }
}
