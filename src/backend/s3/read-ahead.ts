/**
 * Reading ahead: who reads a pack from one place on gets more with each request than was asked for, up to a
 * limit. What came so, and what was read together with others, is kept as it came, in
 * bounded memory: a scan leaves the cache of single blocks alone.
 */
import type { CidBytes } from '../../model/cid.ts'
import { parsePackKey } from './layout.ts'
import { Segment } from './segment.ts'

/** A range that begins so soon behind the end of the last one of its pack goes on with it. */
const NEAR_BYTES = 128 << 10
const FIRST_BYTES = 256 << 10
const GROWTH = 4
const MOST_BYTES = 2 << 20
const KEPT_BYTES = 8 << 20
const TRAILS = 64

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

  /** The block, proved; undefined if it is not at hand. */
  find(cid: CidBytes): Uint8Array | undefined {
    for (let i = this.#segments.length - 1; i >= 0; i--) {
      const segment = this.#segments[i]
      const found = segment?.find(cid)
      if (segment === undefined || found === undefined) continue
      this.#drop(segment)
      // It may have been damaged on its way.
      if (found === 'damaged') return undefined
      this.#add(segment)
      return found
    }
    return undefined
  }

  /** Where a range is to end that is about to be read. */
  extend(key: string, from: number, end: number): number {
    const before = this.#trails.get(key)
    const goesOn = before !== undefined && Math.abs(from - before.end) <= NEAR_BYTES
    const window = goesOn ? Math.min(MOST_BYTES, Math.max(FIRST_BYTES, before.window * GROWTH)) : 0
    // Where a commit ends is not known, and nobody minds to be asked for more than there is.
    const data = parsePackKey(key)?.indexAt ?? Infinity
    const extended = Math.max(end, Math.min(from + window, data))
    this.#trails.delete(key)
    this.#trails.set(key, { end: extended, window })
    for (const oldest of this.#trails.keys()) {
      if (this.#trails.size <= TRAILS) break
      this.#trails.delete(oldest)
    }
    return extended
  }

  /** Keeps what was read, from the beginning of a section on. */
  keep(bytes: Uint8Array): void {
    this.#add(new Segment(bytes))
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
