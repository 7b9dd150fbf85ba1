/**
 * Run: encoded records (entries, or the child records of a branch) side by side in one buffer, sorted
 * by id, with an offset table. A decoded node is a run, and so is a batch of edits on its way into the
 * tree: a merge copies slices from run to run and makes no object for a record.
 */
import { writeEntry, ENTRY_OVERHEAD, type ContentMode, type Entry } from './entry.ts'
import { keyOf } from './entity-id.ts'

export interface Run {
  readonly bytes: Buffer
  /** Where record i starts; `starts[count]` is where the last one ends. */
  readonly starts: Uint32Array
  readonly count: number
  /** How many leading bytes all ids are known to share: a search need not compare them again. */
  readonly shared: number
  /** Known to hold entries only that neither are deleted nor expire: they need not be looked at. */
  readonly plain: boolean
  /** The least expiry among the records (entries only); null when none expires. */
  readonly exp: number | null
}

export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/**
 * Where the id of the record at `start` begins. Every record is a short list whose first element is
 * its id; the shape was checked when the run was made.
 */
export function keyStart(bytes: Uint8Array, start: number): number {
  const head = bytes[start + 1] ?? 0
  return start + (head < 0x78 ? 2 : head === 0x78 ? 3 : 4)
}

export function keyLength(bytes: Uint8Array, start: number): number {
  const head = bytes[start + 1] ?? 0
  if (head < 0x78) return head - 0x60
  if (head === 0x78) return bytes[start + 2] ?? 0
  return ((bytes[start + 2] ?? 0) << 8) | (bytes[start + 3] ?? 0)
}

export function keyAt(run: Run, index: number): string {
  const start = run.starts[index] ?? 0
  const from = keyStart(run.bytes, start)
  return run.bytes.toString('latin1', from, from + keyLength(run.bytes, start))
}

/**
 * Below 0, 0 or above 0: the key of record `index` against `key`, of which the first `skip` bytes are
 * known to be the same.
 */
export function compareKeyAt(run: Run, index: number, key: string, skip = 0): number {
  const { bytes } = run
  const start = run.starts[index] ?? 0
  const from = keyStart(bytes, start)
  const length = keyLength(bytes, start)
  const shorter = length < key.length ? length : key.length
  for (let i = skip; i < shorter; i++) {
    const difference = (bytes[from + i] ?? 0) - key.charCodeAt(i)
    if (difference !== 0) return difference
  }
  return length - key.length
}

/** The index of the first record from `from` on whose key is not below `key`. */
export function lowerBound(run: Run, key: string, from = 0): number {
  const side = from < run.count ? compareShared(run, key) : 0
  if (side !== 0) return side < 0 ? run.count : from
  return between(run, key, from, run.count)
}

/** The same; faster the nearer to `from` it lies, as the next of many keys does that come in order. */
export function lowerBoundNear(run: Run, key: string, from: number): number {
  const side = from < run.count ? compareShared(run, key) : 0
  if (side !== 0) return side < 0 ? run.count : from
  let low = from
  let high = from
  for (let step = 1; high < run.count; step *= 2) {
    if (compareKeyAt(run, high, key, run.shared) >= 0) break
    low = high + 1
    high += step
  }
  return between(run, key, low, Math.min(high, run.count))
}

function between(run: Run, key: string, from: number, to: number): number {
  let low = from
  let high = to
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareKeyAt(run, middle, key, run.shared) < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** The bytes that all ids share against `key`: 0 when it begins with them. */
function compareShared(run: Run, key: string): number {
  const from = keyStart(run.bytes, run.starts[0] ?? 0)
  for (let i = 0; i < run.shared; i++) {
    if (i === key.length) return 1
    const difference = (run.bytes[from + i] ?? 0) - key.charCodeAt(i)
    if (difference !== 0) return difference
  }
  return 0
}

/** How many leading bytes the first and the last id share; in a sorted run, all do. */
export function sharedBytes(bytes: Uint8Array, first: number, last: number): number {
  const a = keyStart(bytes, first)
  const b = keyStart(bytes, last)
  const most = Math.min(keyLength(bytes, first), keyLength(bytes, last))
  let shared = 0
  while (shared < most && bytes[a + shared] === bytes[b + shared]) shared += 1
  return shared
}

export const EMPTY_RUN: Run = {
  bytes: Buffer.alloc(0),
  starts: new Uint32Array(1),
  count: 0,
  shared: 0,
  plain: true,
  exp: null,
}

/** Collects entries, which the caller brings in the order of their keys, into runs. */
export class RunBuilder {
  #bytes: Buffer = Buffer.allocUnsafe(64 * 1024)
  #starts: number[] = []
  #at = 0
  #exp: number | null = null
  #plain = true

  get count(): number {
    return this.#starts.length
  }

  push(entry: Entry, content: ContentMode, key: string = keyOf(entry.pi)): void {
    this.#reserve(ENTRY_OVERHEAD + key.length)
    this.#starts.push(this.#at)
    this.#at = writeEntry(this.#bytes, this.#at, entry, content, key)
    this.#noteExp(entry.exp)
    if (entry.tip === null || entry.exp !== null) this.#plain = false
  }

  #noteExp(exp: number | null): void {
    if (exp !== null && (this.#exp === null || exp < this.#exp)) this.#exp = exp
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#at + bytes))
    this.#bytes.copy(larger, 0, 0, this.#at)
    this.#bytes = larger
  }

  /** The run collected so far; the builder begins anew. */
  take(): Run {
    const starts = new Uint32Array(this.#starts.length + 1)
    starts.set(this.#starts)
    starts[this.#starts.length] = this.#at
    const run: Run = {
      bytes: this.#bytes.subarray(0, this.#at),
      starts,
      count: this.#starts.length,
      shared: 0,
      plain: this.#plain,
      exp: this.#exp,
    }
    this.#bytes = Buffer.allocUnsafe(Math.max(64 * 1024, this.#at))
    this.#starts = []
    this.#at = 0
    this.#exp = null
    this.#plain = true
    return run
  }
}
