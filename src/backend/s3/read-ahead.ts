/**
 * Reading ahead: who reads a pack from one place on gets more with each request than was asked for, up to a
 * limit. What came so, and what lay between two blocks that were read together, is kept as it came, in
 * bounded memory: a scan leaves the cache of single blocks alone.
 */
import { bytesEqual, cidMatches, type CidBytes } from '../../model/cid.ts'
import { parsePackKey } from './layout.ts'
import type { Location } from './locations.ts'
import { readSection } from './pack.ts'

/** A range that begins so soon behind the end of the last one of its pack goes on with it. */
const NEAR_BYTES = 128 << 10
const FIRST_BYTES = 256 << 10
const GROWTH = 4
const MOST_BYTES = 2 << 20
const KEPT_BYTES = 12 << 20
const TRAILS = 64

interface Segment {
  readonly key: string
  readonly from: number
  readonly bytes: Uint8Array
}

interface Trail {
  readonly end: number
  readonly window: number
}

export class ReadAhead {
  /** The one used last at the end. */
  #segments: Segment[] = []
  #bytes = 0
  /** By pack, the one used last at the end. */
  readonly #trails = new Map<string, Trail>()

  /** The block at a place, hashed; undefined if it is not at hand. */
  find({ key, at, length }: Location, cid: CidBytes): Uint8Array | undefined {
    const segment = this.#segments.findLast(
      (one) => one.key === key && one.from <= at && at < one.from + one.bytes.length,
    )
    if (segment === undefined) return undefined
    const from = at - segment.from
    const found = readSection(segment.bytes.subarray(from, from + length))
    if (found === undefined) return undefined
    if (!bytesEqual(found.cid, cid) || !cidMatches(cid, found.bytes)) {
      // It may have been damaged on its way.
      this.#drop(segment)
      return undefined
    }
    this.#drop(segment)
    this.#add(segment)
    return found.bytes
  }

  /** Where a range is to end that is about to be read. */
  extend(key: string, from: number, end: number): number {
    const before = this.#trails.get(key)
    const goesOn = before !== undefined && Math.abs(from - before.end) <= NEAR_BYTES
    const window = goesOn ? Math.min(MOST_BYTES, Math.max(FIRST_BYTES, before.window * GROWTH)) : 0
    const data = parsePackKey(key)?.indexAt ?? 0
    const extended = Math.max(end, Math.min(from + window, data))
    this.#trails.delete(key)
    this.#trails.set(key, { end: extended, window })
    for (const oldest of this.#trails.keys()) {
      if (this.#trails.size <= TRAILS) break
      this.#trails.delete(oldest)
    }
    return extended
  }

  /** Keeps what was read. */
  keep(key: string, from: number, bytes: Uint8Array): void {
    this.#add({ key, from, bytes })
    for (let oldest = this.#segments[0]; this.#bytes > KEPT_BYTES; oldest = this.#segments[0]) {
      if (oldest === undefined) break
      this.#drop(oldest)
    }
  }

  #add(segment: Segment): void {
    this.#segments.push(segment)
    this.#bytes += segment.bytes.length
  }

  #drop(segment: Segment): void {
    this.#segments = this.#segments.filter((one) => one !== segment)
    this.#bytes -= segment.bytes.length
  }
}
