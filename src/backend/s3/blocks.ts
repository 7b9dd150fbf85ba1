/** Reading blocks out of packs: neighbours come in one request, and what was read lately stays at hand. */
import { cidMatches, digestKey, inlineBytes, type CidBytes } from '../../model/cid.ts'
import type { Bucket, RequestOptions } from '../../s3/bucket.ts'
import { pooledCopy } from '../../util/pooled-copy.ts'
import type { BlockCache } from './block-cache.ts'
import { keepsMoving, type Catalog } from './catalog.ts'
import type { Location } from './locations.ts'
import { readSection } from './pack.ts'
import { ReadAhead } from './read-ahead.ts'

/** Two sections that are so near are read together with what is between them. */
const GAP_BYTES = 64 << 10
const RANGE_BYTES = 4 << 20
const AT_ONCE = 8
/** A block can move while it is looked for, but not for ever. */
const TRIES = 4

interface Wanted extends Location {
  readonly cid: CidBytes
}

interface Range {
  readonly key: string
  readonly from: number
  readonly end: number
  readonly wanted: readonly Wanted[]
}

export interface Blocks {
  /** In the order of `cids`; the bytes are the caller's. From the cache also what the bucket has no more. */
  get(cids: readonly CidBytes[], options?: RequestOptions): Promise<(Uint8Array | undefined)[]>
  /** What may be relied on, as of what is known of the packs. */
  has(cids: readonly CidBytes[], options?: RequestOptions): Promise<boolean[]>
}

export function createBlocks(bucket: Bucket, catalog: Catalog, cache: BlockCache): Blocks {
  const ahead = new ReadAhead()
  const readRange = async (
    { key, from, end, wanted }: Range,
    found: Map<string, Uint8Array>,
    options?: RequestOptions,
  ): Promise<void> => {
    const until = ahead.extend(key, from, end)
    const got = await bucket.getRange(key, from, until - from, options)
    if (got === undefined) return catalog.gone(key)
    // What is read alone is kept alone: a scan would sweep such blocks away.
    const keeps = until > end || wanted.length > 1
    if (keeps) ahead.keep(got.bytes)
    const take = ({ cid }: Wanted, bytes: Uint8Array): boolean => {
      const block = readSection(bytes)?.bytes ?? bytes
      found.set(digestKey(cid), block)
      const matches = cidMatches(cid, block)
      if (matches && !keeps) cache.set({ cid, bytes: block })
      return matches
    }
    for (const one of wanted) {
      const at = one.at - from
      if (take(one, got.bytes.subarray(at, at + one.length))) continue
      // Damaged on its way, or where it lies: then it is handed on as it is, and the caller tells of it.
      const again = await bucket.getRange(key, one.at, one.length, options)
      if (again !== undefined) take(one, again.bytes)
    }
  }

  const read = async (
    cids: readonly CidBytes[],
    options?: RequestOptions,
  ): Promise<Map<string, Uint8Array>> => {
    const found = new Map<string, Uint8Array>()
    let left = cids
    for (let tries = 0; tries < TRIES && left.length > 0; tries++) {
      const away: CidBytes[] = []
      for (const cid of left) {
        const block = ahead.find(cid)
        if (block === undefined) away.push(cid)
        else found.set(digestKey(cid), block)
      }
      const places = await catalog.locate(away, options)
      const wanted: Wanted[] = []
      for (const [i, cid] of away.entries()) {
        const place = places[i]
        // What a commit brought along is at hand since it was found there.
        const block = place && cache.get(cid)
        if (block !== undefined) found.set(digestKey(cid), block)
        else if (place !== undefined) wanted.push({ ...place, cid })
      }
      const ranges = rangesOf(wanted)
      for (let at = 0; at < ranges.length; at += AT_ONCE) {
        const some = ranges.slice(at, at + AT_ONCE)
        await Promise.all(some.map((range) => readRange(range, found, options)))
      }
      left = wanted.map(({ cid }) => cid).filter((cid) => !found.has(digestKey(cid)))
    }
    if (left.length > 0) throw keepsMoving(bucket.location)
    return found
  }

  return {
    async get(cids, options) {
      const answers = cids.map((cid) => inlineBytes(cid) ?? cache.get(cid))
      const missing = new Map<string, CidBytes>()
      for (const [i, cid] of cids.entries()) {
        if (answers[i] === undefined) missing.set(digestKey(cid), cid)
      }
      const found = await read([...missing.values()], options)
      return cids.map((cid, i) => {
        const bytes = answers[i] ?? found.get(digestKey(cid))
        return bytes && pooledCopy(bytes)
      })
    },
    async has(cids, options) {
      const stored = cids.filter((cid) => inlineBytes(cid) === undefined)
      const places = await catalog.locateToRely(stored, options)
      const there = new Set(stored.filter((_, i) => places[i] !== undefined))
      return cids.map((cid) => there.has(cid) || inlineBytes(cid) !== undefined)
    },
  }
}

function rangesOf(wanted: readonly Wanted[]): Range[] {
  const sorted = wanted.toSorted((a, b) => (a.key === b.key ? a.at - b.at : a.key < b.key ? -1 : 1))
  const ranges: { key: string; from: number; end: number; wanted: Wanted[] }[] = []
  for (const one of sorted) {
    const { key, at } = one
    const last = ranges.at(-1)
    const end = at + one.length
    const near = last?.key === key && at - last.end <= GAP_BYTES
    if (last !== undefined && near && end - last.from <= RANGE_BYTES) {
      last.end = Math.max(last.end, end)
      last.wanted.push(one)
    } else ranges.push({ key, from: at, end, wanted: [one] })
  }
  return ranges
}
