/** Reading blocks out of packs: neighbours come in one request, and what was read lately stays at hand. */
import { cidMatches, cidParts, digestKey, type CidBytes } from '../../model/cid.ts'
import type { Bucket, RequestOptions } from '../../s3/bucket.ts'
import type { ByteLru } from '../../util/byte-lru.ts'
import type { Catalog } from './catalog.ts'
import type { Location } from './locations.ts'
import { readSection } from './pack.ts'

/** Two sections that are so near are read together with what is between them. */
const GAP_BYTES = 128 * 1024
const RANGE_BYTES = 8 << 20
const AT_ONCE = 16
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
  /** In the order of `cids`; the bytes are the caller's. */
  get(cids: readonly CidBytes[], options?: RequestOptions): Promise<(Uint8Array | undefined)[]>
  has(cids: readonly CidBytes[], options?: RequestOptions): Promise<boolean[]>
}

export function createBlocks(bucket: Bucket, catalog: Catalog, cache: ByteLru<Uint8Array>): Blocks {
  const readRange = async (
    { key, from, end, wanted }: Range,
    found: Map<string, Uint8Array>,
    options?: RequestOptions,
  ): Promise<void> => {
    const got = await bucket.getRange(key, from, end - from, options)
    if (got === undefined) return catalog.gone(key)
    for (const { cid, at } of wanted) {
      const bytes = got.bytes.subarray(at - from)
      // What does not match is handed on as it is: the caller hashes, and tells of damage.
      const block = readSection(bytes)?.bytes ?? bytes
      const name = digestKey(cid)
      found.set(name, block)
      if (cidMatches(cid, block)) cache.set(name, new Uint8Array(block), block.length)
    }
  }

  const read = async (
    cids: readonly CidBytes[],
    options?: RequestOptions,
  ): Promise<Map<string, Uint8Array>> => {
    const found = new Map<string, Uint8Array>()
    let left = cids
    for (let tries = 0; tries < TRIES && left.length > 0; tries++) {
      const places = await catalog.locate(left, options)
      const wanted = left.flatMap((cid, i) => {
        const place = places[i]
        return place === undefined ? [] : [{ ...place, cid }]
      })
      const ranges = rangesOf(wanted)
      for (let at = 0; at < ranges.length; at += AT_ONCE) {
        const some = ranges.slice(at, at + AT_ONCE)
        await Promise.all(some.map((range) => readRange(range, found, options)))
      }
      left = wanted.map(({ cid }) => cid).filter((cid) => !found.has(digestKey(cid)))
    }
    return found
  }

  return {
    async get(cids, options) {
      const answers = cids.map((cid) => inlineBytes(cid) ?? cache.get(digestKey(cid)))
      const missing = new Map<string, CidBytes>()
      for (const [i, cid] of cids.entries()) {
        if (answers[i] === undefined) missing.set(digestKey(cid), cid)
      }
      const found = await read([...missing.values()], options)
      return cids.map((cid, i) => {
        const bytes = answers[i] ?? found.get(digestKey(cid))
        return bytes && new Uint8Array(bytes)
      })
    },
    async has(cids, options) {
      const stored = cids.filter((cid) => inlineBytes(cid) === undefined)
      const places = await catalog.locate(stored, options)
      const there = new Set(stored.filter((_, i) => places[i] !== undefined))
      return cids.map((cid) => there.has(cid) || inlineBytes(cid) !== undefined)
    },
  }
}

function rangesOf(wanted: readonly Wanted[]): Range[] {
  const sorted = wanted.toSorted((a, b) => (a.key === b.key ? a.at - b.at : a.key < b.key ? -1 : 1))
  const ranges: (Range & { readonly wanted: Wanted[]; end: number })[] = []
  for (const one of sorted) {
    const last = ranges.at(-1)
    const end = one.at + one.length
    const near = last?.key === one.key && one.at - last.end <= GAP_BYTES
    if (last !== undefined && near && end - last.from <= RANGE_BYTES) {
      last.end = Math.max(last.end, end)
      last.wanted.push(one)
    } else ranges.push({ key: one.key, from: one.at, end, wanted: [one] })
  }
  return ranges
}

/** The bytes of an identity CID, which no store needs to keep. */
export function inlineBytes(cid: CidBytes): Uint8Array | undefined {
  const { hash, digest } = cidParts(cid)
  return hash === 'identity' ? digest : undefined
}
