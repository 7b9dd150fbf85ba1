/**
 * The commits of datasets. Which is the newest is found without listing: a hint says where to begin, and
 * then number after number is asked for until one is not there. What was read is noted for who looks for
 * its blocks: a commit brings them along, until they are folded into packs.
 */
import { CairnError } from '../../errors.ts'
import { bytesEqual, type CidBytes } from '../../model/cid.ts'
import { isDatasetName } from '../../model/settings.ts'
import type { Bucket, EffectOptions, RequestOptions } from '../../s3/bucket.ts'
import type { BlockCache } from './block-cache.ts'
import { later, type Clock, type Moment } from './clock.ts'
import {
  commitKey,
  commitsOf,
  DATASETS,
  headOf,
  markKey,
  marksOf,
  numberOf,
  parseMarkKey,
  type MarkKind,
} from './layout.ts'
import type { Locations } from './locations.ts'
import { damaged, decodeCommitObject, LARGEST_OBJECT, type CommitObject } from './pack.ts'

/** How long ago a number may have been seen to be free: less than anything forgotten is old. */
export const FRESH_MS = 60_000

/** How many numbers are asked for at once, at most, by who has fallen behind. */
const AHEAD = 8
const HINT_EVERY = 16
const HINT_BYTES = 64
const AT_ONCE = 16
/** Writers fold after far fewer: a number so far ahead of what was folded is none of theirs. */
const MOST_UNFOLDED = 1_000_000
const HINT = /^\d{1,12}$/

export interface Head {
  readonly number: number
  readonly cid: CidBytes
  readonly etag: string
  /** When no number behind it was given yet: the beginning of a request that proved it. */
  readonly seen: Moment | undefined
  readonly commit: Uint8Array
}

export interface Marks {
  /** The lowest number that is kept. */
  readonly floor: number
  /** The blocks of commits up to this number are in packs; -1: of none. */
  readonly folded: number
}

interface Found extends CommitObject {
  readonly number: number
  readonly etag: string
}

export class CommitLog {
  readonly #bucket: Bucket
  readonly #clock: Clock
  readonly #cache: BlockCache
  readonly #heads = new Map<string, Head>()
  readonly #marks = new Map<string, Marks>()
  locations: Locations

  constructor(bucket: Bucket, locations: Locations, cache: BlockCache, clock: Clock) {
    this.#bucket = bucket
    this.locations = locations
    this.#cache = cache
    this.#clock = clock
  }

  /** What was last seen. */
  head(dataset: string): Head | undefined {
    return this.#heads.get(dataset)
  }

  /** As was last seen: both only grow. */
  knownMarks(dataset: string): Marks {
    return this.#marks.get(dataset) ?? { floor: 0, folded: -1 }
  }

  async marks(dataset: string, options?: RequestOptions): Promise<Marks> {
    const { objects } = await this.#bucket.list(marksOf(dataset), options)
    for (const { key } of objects) {
      const mark = parseMarkKey(key)
      if (mark !== undefined) this.#note(dataset, mark.kind, mark.number)
    }
    return this.knownMarks(dataset)
  }

  /** Raises a mark, durably; lower ones go. */
  async mark(
    dataset: string,
    kind: MarkKind,
    number: number,
    options?: EffectOptions,
  ): Promise<void> {
    await this.#bucket.put(markKey(dataset, kind, number), new Uint8Array(0), options)
    this.#note(dataset, kind, number)
    const { objects } = await this.#bucket.list(marksOf(dataset), options)
    const lower = objects.filter(({ key }) => {
      const mark = parseMarkKey(key)
      return mark?.kind === kind && mark.number < number
    })
    await this.#bucket.delete(lower.map(({ key }) => key))
  }

  #note(dataset: string, kind: MarkKind, number: number): void {
    const known = this.knownMarks(dataset)
    this.#marks.set(dataset, { ...known, [kind]: Math.max(known[kind], number) })
  }

  /** A commit of ours that is there now. */
  noteHead(dataset: string, head: Head): void {
    if (head.number >= (this.#heads.get(dataset)?.number ?? -1)) this.#heads.set(dataset, head)
    if (head.number % HINT_EVERY === 0) this.#writeHint(dataset, head.number)
  }

  /** Whether what is missing behind it is free: what was given since `seen` is too young to be deleted. */
  isFresh(head: Head | undefined): boolean {
    return head?.seen !== undefined && this.#clock.since(head.seen) < FRESH_MS
  }

  /** Learns what is newest now; `undefined` when there is no commit. */
  async advance(dataset: string, options?: RequestOptions): Promise<Head | undefined> {
    for (;;) {
      if (!this.#heads.has(dataset)) await this.#beginAtHint(dataset, options)
      const from = this.#heads.get(dataset)
      const { last, seen } = await this.#climb(dataset, from?.number ?? -1, options)
      if (!this.isFresh(from)) {
        // The next one may be missing because it was forgotten: then the floor is above it by now.
        const { floor } = await this.marks(dataset, options)
        if (Math.max(last, 0) < floor) {
          if (await this.#beginAtNewest(dataset, floor, options)) continue
          return undefined
        }
      }
      // Else another call found meanwhile that the store is another: begin anew.
      if ((this.#heads.get(dataset)?.number ?? -1) >= last) return this.#proved(dataset, seen)
    }
  }

  /** Number after number: the last one that was there, and when the next was not. */
  async #climb(
    dataset: string,
    from: number,
    options?: RequestOptions,
  ): Promise<{ readonly last: number; readonly seen: Moment }> {
    let last = from
    for (let atOnce = 1; ; atOnce = Math.min(AHEAD, atOnce * 2)) {
      const seen = this.#clock.moment
      const numbers = Array.from({ length: atOnce }, (_, i) => last + 1 + i)
      const found = await Promise.all(numbers.map((n) => this.#fetch(dataset, n, options)))
      for (const one of found) {
        // A number is only given after the one before it, so behind a gap there is nothing.
        if (one === undefined) return { last, seen }
        this.#become(dataset, one)
        last = one.number
      }
    }
  }

  /** What is so behind a number is so behind a higher one, too, which another call may have found. */
  #proved(dataset: string, seen: Moment): Head | undefined {
    const head = this.#heads.get(dataset)
    if (head === undefined) return undefined
    const proved = { ...head, seen: head.seen === undefined ? seen : later(head.seen, seen) }
    this.#heads.set(dataset, proved)
    return proved
  }

  /** Whether the newest commit that we know is still what it was: `store_changed` if not. */
  async checkHead(dataset: string, head: Head, options?: RequestOptions): Promise<void> {
    const there = await this.#bucket.head(commitKey(dataset, head.number), options)
    if (there?.etag === head.etag) return
    // We have not looked for so long that it was forgotten.
    if (there === undefined && head.number < (await this.marks(dataset, options)).floor) return
    // Nor is what else we know of the dataset.
    this.#heads.delete(dataset)
    this.#marks.delete(dataset)
    throw storeChanged(dataset, head.number, there ? 'has another' : 'no longer has')
  }

  async read(
    dataset: string,
    number: number,
    options?: RequestOptions,
  ): Promise<Found | undefined> {
    if (number < 0 || number < this.knownMarks(dataset).floor) return undefined
    return await this.#fetch(dataset, number, options)
  }

  async datasets(options?: RequestOptions): Promise<string[]> {
    const { folders } = await this.#bucket.list(DATASETS, { ...options, folders: true })
    const names = folders.map((name) => name.slice(0, -1))
    return names.filter(isDatasetName).sort()
  }

  /** Learns of the blocks that came with commits and are not in packs yet. */
  async loadUnfolded(dataset: string, options?: RequestOptions): Promise<void> {
    const newest = (await this.advance(dataset, options))?.number ?? -1
    const { floor, folded } = await this.marks(dataset, options)
    const first = Math.max(folded + 1, floor)
    if (newest - first >= MOST_UNFOLDED) {
      throw damaged(commitKey(dataset, newest), 'the commits before it are not there')
    }
    const wanted: number[] = []
    for (let number = first; number <= newest; number++) {
      if (!this.locations.has(commitKey(dataset, number))) wanted.push(number)
    }
    for (let at = 0; at < wanted.length; at += AT_ONCE) {
      await Promise.all(wanted.slice(at, at + AT_ONCE).map((n) => this.#fetch(dataset, n, options)))
    }
  }

  async #beginAtHint(dataset: string, options?: RequestOptions): Promise<void> {
    const hint = await this.#bucket.get(headOf(dataset), { ...options, limit: HINT_BYTES })
    const text = Buffer.from(hint?.bytes ?? []).toString()
    const found = HINT.test(text) ? await this.#fetch(dataset, Number(text), options) : undefined
    if (found === undefined) await this.#beginAtNewest(dataset, 0, options)
    else this.#become(dataset, found)
  }

  /** By a listing; false if there is none. */
  async #beginAtNewest(dataset: string, floor: number, options?: RequestOptions): Promise<boolean> {
    const after = floor === 0 ? {} : { after: commitKey(dataset, floor - 1) }
    const { objects } = await this.#bucket.list(commitsOf(dataset), { ...options, ...after })
    const last = objects.findLast(({ key }) => numberOf(key) !== undefined)
    const found = last && (await this.#fetch(dataset, numberOf(last.key) ?? 0, options))
    if (found !== undefined) this.#become(dataset, found)
    return found !== undefined
  }

  async #fetch(
    dataset: string,
    number: number,
    options?: RequestOptions,
  ): Promise<Found | undefined> {
    const key = commitKey(dataset, number)
    const got = await this.#bucket.get(key, { ...options, limit: LARGEST_OBJECT })
    if (got === undefined) return undefined
    const object = decodeCommitObject(got.bytes, key)
    this.learn(dataset, number, object)
    return { ...object, number, etag: got.etag }
  }

  /** Where the blocks of a commit are; and they are at hand already. */
  learn(
    dataset: string,
    number: number,
    { sections, blocks }: Pick<CommitObject, 'sections' | 'blocks'>,
  ): void {
    const key = commitKey(dataset, number)
    // Of one that was folded the packs tell what is still needed.
    const isFolded = number <= this.knownMarks(dataset).folded
    if (!isFolded && !this.locations.has(key) && !this.locations.full)
      this.locations.add(key, sections)
    for (const block of blocks) if (this.#cache.get(block.cid) === undefined) this.#cache.set(block)
  }

  /** That it is there proves nothing of what is behind it. */
  #become(dataset: string, { number, cid, etag, commit }: Found): void {
    const before = this.#heads.get(dataset)
    if (before !== undefined && before.number > number) return
    if (before?.number === number && !bytesEqual(before.cid, cid)) {
      throw storeChanged(dataset, number, 'has another')
    }
    this.#heads.set(dataset, { number, cid, etag, seen: before?.seen, commit })
  }

  /** Where others begin to look. That it is late, or lost, costs them requests. */
  #writeHint(dataset: string, number: number): void {
    this.#bucket.put(headOf(dataset), Buffer.from(String(number))).catch(() => {})
  }
}

export function storeChanged(dataset: string, number: number, how: string): CairnError {
  return new CairnError('store_changed', `The store ${how} commit ${number} of ${dataset}.`, {
    hint: 'It was emptied or replaced: restore it from a backup.',
    dataset,
    expected: number,
  })
}
