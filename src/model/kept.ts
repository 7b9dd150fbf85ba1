/**
 * Kept list: the snapshots a dataset keeps, in pages, newest page first. FORMAT.md, "Kept list".
 *
 * All CIDs in it are weak: what is kept is held by the backend, not by this list. A full page is never
 * written again; `older` leads to the page before.
 */
import { CairnError } from '../errors.ts'
import { cborBlock, type Block, type CidBytes } from './cid.ts'
import {
  DAMAGED_HINT,
  checkCanonical,
  decodeIpldMap,
  encodeIpld,
  Fields,
  type IpldMap,
} from './ipld.ts'
import { MAX_BLOCK_BYTES } from './node.ts'
import { KEPT_SCHEMA } from './schema.ts'

export const KEPT_PAGE = 256

export interface KeptSnapshot {
  readonly cid: CidBytes
  readonly seq: number
  readonly ts: number
  readonly entries: number
  readonly live: number
  readonly reason: string
  readonly tags: readonly string[]
}

export interface KeptPage {
  readonly older: CidBytes | null
  /** Oldest first. */
  readonly snapshots: readonly KeptSnapshot[]
}

function pageBytes(page: KeptPage): Uint8Array {
  return encodeIpld({ schema: KEPT_SCHEMA, ...page })
}

export function encodeKeptPage(page: KeptPage): Block {
  return cborBlock(pageBytes(page))
}

export function decodeKeptPage(bytes: Uint8Array): KeptPage {
  const fields = new Fields(decodeIpldMap(bytes, KEPT_SCHEMA), 'a kept list')
  const snapshots = fields.list('snapshots').map(decodeKept)
  if (snapshots.length === 0 || snapshots.length > KEPT_PAGE) {
    throw new CairnError('invalid_block', 'A kept list has an impossible length.', {
      hint: DAMAGED_HINT,
    })
  }
  const page = { older: fields.weakCidOrNull('older'), snapshots }
  checkCanonical(bytes, pageBytes(page), 'A kept list')
  if (snapshots.some(({ live, entries }) => live > entries)) {
    throw new CairnError('invalid_block', 'The counts of a kept snapshot are impossible.', {
      hint: DAMAGED_HINT,
    })
  }
  return page
}

function decodeKept(value: unknown): KeptSnapshot {
  const map = typeof value === 'object' && value !== null ? (value as IpldMap) : {}
  const fields = new Fields(map, 'a kept snapshot')
  return {
    cid: fields.weakCid('cid'),
    seq: fields.uint('seq'),
    ts: fields.uint('ts'),
    entries: fields.uint('entries'),
    live: fields.uint('live'),
    reason: fields.text('reason'),
    tags: fields.texts('tags'),
  }
}

/** The page that results when `snapshot` is kept, too, after the page `newest`. */
export function keep(
  newest: { page: KeptPage; cid: CidBytes } | undefined,
  snapshot: KeptSnapshot,
): KeptPage {
  if (newest === undefined) return { older: null, snapshots: [snapshot] }
  const { page, cid } = newest
  const longer = { older: page.older, snapshots: [...page.snapshots, snapshot] }
  // Long tags and reasons can fill a block before its number does.
  const full = longer.snapshots.length > KEPT_PAGE || pageBytes(longer).length > MAX_BLOCK_BYTES
  return full ? { older: cid, snapshots: [snapshot] } : longer
}
