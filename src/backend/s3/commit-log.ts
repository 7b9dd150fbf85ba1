/**
 * The commits of datasets. Which is the newest is found without listing: a hint says where to begin, and
 * then number after number is asked for until one is not there. What was read is noted for who looks for
 * its blocks: a commit brings them along, until they are folded into packs.
 */
import { CairnError } from '../../errors.ts'
import { bytesEqual, digestKey, type CidBytes } from '../../model/cid.ts'
import type { Bucket, GotObject, RequestOptions } from '../../s3/bucket.ts'
import type { ByteLru } from '../../util/byte-lru.ts'
import { commitKey, commitsOf, DATASETS, floorsOf, headOf, numberOf } from './layout.ts'
import type { Locations } from './locations.ts'
import { decodeCommitObject, type CommitObject } from './pack.ts'

/** How many numbers are asked for at once by who has fallen behind. */
const AHEAD = 8
const HINT_EVERY = 16
const AT_ONCE = 16

export interface Head {
  readonly number: number
  readonly cid: CidBytes
  readonly etag: string
  /** When the next number was not there yet: the beginning of that request, by our clock. */
  readonly seen: number
  readonly commit: Uint8Array
}

interface Found extends CommitObject {
  readonly number: number
  readonly etag: string
}

export class CommitLog {
  readonly #bucket: Bucket
  readonly #now: () => number
  readonly #cache: ByteLru<Uint8Array>
  readonly #heads = new Map<string, Head>()
  readonly #folded = new Map<string, number>()
  readonly #floors = new Map<string, number>()
  locations: Locations

  constructor(bucket: Bucket, locations: Locations, cache: ByteLru<Uint8Array>, now: () => number) {
    this.#bucket = bucket
    this.locations = locations
    this.#cache = cache
    this.#now = now
  }

  /** What was last seen. */
  head(dataset: string): Head | undefined {
    return this.#heads.get(dataset)
  }

  /** The blocks of commits up to this number are in packs. */
  foldedOf(dataset: string): number {
    return this.#folded.get(dataset) ?? -1
  }

  noteFolded(dataset: string, number: number): void {
    if (number > this.foldedOf(dataset)) this.#folded.set(dataset, number)
  }

  /** A commit of ours that is there now. */
  noteHead(dataset: string, head: Head): void {
    if (head.number >= (this.#heads.get(dataset)?.number ?? -1)) this.#heads.set(dataset, head)
    if (head.number % HINT_EVERY === 0) this.#writeHint(dataset, head.number)
  }

  /** Learns what is newest now; `undefined` when there is no commit. */
  async advance(dataset: string, options?: RequestOptions): Promise<Head | undefined> {
    if (!this.#heads.has(dataset)) await this.#findHead(dataset, options)
    for (let atOnce = 1; ; atOnce = AHEAD) {
      const from = (this.#heads.get(dataset)?.number ?? -1) + 1
      const seen = this.#now()
      const numbers = Array.from({ length: atOnce }, (_, i) => from + i)
      const found = await Promise.all(numbers.map((n) => this.#fetch(dataset, n, options)))
      const end = found.indexOf(undefined)
      for (const one of end < 0 ? found : found.slice(0, end)) {
        if (one !== undefined) this.#become(dataset, one, seen)
      }
      if (end < 0) continue
      const head = this.#heads.get(dataset)
      // A number is only given after the one before it, so behind a gap there is nothing.
      if (head !== undefined) this.#heads.set(dataset, { ...head, seen: Math.max(head.seen, seen) })
      return head
    }
  }

  /** Whether the newest commit that we know is still what it was: `store_changed` if not. */
  async checkHead(dataset: string, head: Head, options?: RequestOptions): Promise<void> {
    const there = await this.#bucket.head(commitKey(dataset, head.number), options)
    if (there !== undefined && there.etag === head.etag) return
    this.#heads.delete(dataset)
    throw storeChanged(dataset, head.number, there === undefined ? 'no longer has' : 'has another')
  }

  async read(
    dataset: string,
    number: number,
    options?: RequestOptions,
  ): Promise<Found | undefined> {
    if (number < 0 || number < (this.#floors.get(dataset) ?? 0)) return undefined
    return await this.#fetch(dataset, number, options)
  }

  /** The lowest number that is kept, of a dataset with commits. */
  async floor(dataset: string, options?: RequestOptions): Promise<number> {
    const { objects } = await this.#bucket.list(floorsOf(dataset), options)
    const found = Math.max(0, ...objects.map(({ key }) => numberOf(key) ?? 0))
    const floor = Math.max(found, this.#floors.get(dataset) ?? 0)
    this.#floors.set(dataset, floor)
    return floor
  }

  async datasets(options?: RequestOptions): Promise<string[]> {
    const { folders } = await this.#bucket.list(DATASETS, { ...options, folders: true })
    return folders.map((name) => name.slice(0, -1)).sort()
  }

  /** Learns of the blocks that came with commits and are not in packs yet. */
  async loadUnfolded(dataset: string, options?: RequestOptions): Promise<void> {
    const newest = (await this.advance(dataset, options))?.number ?? -1
    const first = Math.max(this.foldedOf(dataset) + 1, await this.floor(dataset, options))
    const wanted: number[] = []
    for (let number = first; number <= newest; number++) {
      if (!this.locations.has(commitKey(dataset, number))) wanted.push(number)
    }
    for (let at = 0; at < wanted.length; at += AT_ONCE) {
      await Promise.all(wanted.slice(at, at + AT_ONCE).map((n) => this.#fetch(dataset, n, options)))
    }
  }

  async #findHead(dataset: string, options?: RequestOptions): Promise<void> {
    const hint = await this.#bucket.get(headOf(dataset), options)
    const number = hint && Number(Buffer.from(hint.bytes).toString())
    const seen = this.#now()
    if (number !== undefined && Number.isSafeInteger(number) && number >= 0) {
      const found = await this.#fetch(dataset, number, options)
      if (found !== undefined) return this.#become(dataset, found, seen)
    }
    const { objects } = await this.#bucket.list(commitsOf(dataset), options)
    const last = objects.findLast(({ key }) => numberOf(key) !== undefined)
    if (last === undefined) return
    const found = await this.#fetch(dataset, numberOf(last.key) ?? 0, options)
    if (found !== undefined) this.#become(dataset, found, seen)
  }

  async #fetch(
    dataset: string,
    number: number,
    options?: RequestOptions,
  ): Promise<Found | undefined> {
    const key = commitKey(dataset, number)
    const got: GotObject | undefined = await this.#bucket.get(key, options)
    if (got === undefined) return undefined
    const object = decodeCommitObject(got.bytes, key)
    this.noteFolded(dataset, object.folded)
    this.learn(key, object)
    return { ...object, number, etag: got.etag }
  }

  /** Where the blocks of a commit are; and they are at hand already. */
  learn(key: string, { sections, blocks }: Pick<CommitObject, 'sections' | 'blocks'>): void {
    if (!this.locations.has(key)) this.locations.add(key, sections)
    for (const { cid, bytes } of blocks) {
      const name = digestKey(cid)
      if (this.#cache.get(name) === undefined)
        this.#cache.set(name, new Uint8Array(bytes), bytes.length)
    }
  }

  #become(dataset: string, { number, cid, etag, commit }: Found, seen: number): void {
    const before = this.#heads.get(dataset)
    if (before !== undefined && before.number > number) return
    if (before?.number === number && !bytesEqual(before.cid, cid)) {
      throw storeChanged(dataset, number, 'has another')
    }
    this.#heads.set(dataset, { number, cid, etag, seen, commit })
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
