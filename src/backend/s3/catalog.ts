/**
 * What is known of the packs of a bucket, and through them where blocks lie. Packs are named by time, so
 * that what is new since the last look is one listing; what a sweep deleted is learned by a whole one.
 *
 * Of a pack that was listed the index is read when a block is looked for that none before it has: the newest
 * first, for there is what a newest state reaches. Who looks for a block that the store lacks reads them all.
 */
import { CairnError, throwIfAborted } from '../../errors.ts'
import type { CidBytes } from '../../model/cid.ts'
import type { Bucket, ObjectInfo, RequestOptions } from '../../s3/bucket.ts'
import { Mutex } from '../../util/mutex.ts'
import type { CommitLog } from './commit-log.ts'
import { checkOf, commitKey, PACKS, packsSince, parseCommitKey, parsePackKey } from './layout.ts'
import { Locations, type Location } from './locations.ts'
import type { PackBuilder, Section } from './pack-builder.ts'
import { LARGEST_OBJECT, readIndex, readPack } from './pack.ts'

/** Between naming a pack and having written it, and by how much clocks differ. */
const LATE_MS = 60 * 60 * 1000
const AT_ONCE = 16
/** So many commits were learned of, most of which were folded since, that it is time to forget them. */
const MOST_COMMITS = 65_536
/** A pack of so many blocks takes more memory to know than a request is worth. */
const MANY_BLOCKS = 4096
/** It may be damaged on its way once. */
const INDEX_TRIES = 2
/** Blocks can move while they are looked for, but not for ever. */
const TRIES = 8

type Unread = Pick<ObjectInfo, 'key' | 'size'>

export class Catalog {
  readonly #bucket: Bucket
  readonly #log: CommitLog
  #locations: Locations
  /** Of every pack that is known. */
  readonly #sizes = new Map<string, number>()
  /** Whose index was not read yet, in the order of their keys. */
  #unread: Unread[] = []
  /** How many of them were gone when they were to be read. */
  #moved = 0
  /** Objects that are there no more. None comes back, whatever an answer on its way says: names are used once. */
  readonly #gone = new Set<string>()
  readonly #reading = new Mutex()
  #since = 0
  /** The version of the sweeps that what is known is good for; see sweep-state.ts. */
  #version = 0
  #running: Promise<void> | undefined
  #queued: Promise<void> | undefined

  constructor(bucket: Bucket, log: CommitLog) {
    this.#bucket = bucket
    this.#log = log
    this.#locations = log.locations
  }

  /** Bytes of all packs that are known. */
  get packs(): { readonly count: number; readonly bytes: number } {
    let bytes = 0
    for (const size of this.#sizes.values()) bytes += size
    return { count: this.#sizes.size, bytes }
  }

  find(cid: CidBytes): Location | undefined {
    const found = this.#locations.find(cid)
    return found === 'gone' ? undefined : found
  }

  /** Where each is, as of after the call; undefined: the store lacks it. */
  async locate(
    cids: readonly CidBytes[],
    options?: RequestOptions,
  ): Promise<(Location | undefined)[]> {
    const known = cids.map((cid) => this.find(cid))
    if (known.every((one) => one !== undefined)) return known
    if (this.#locations.objects - this.#sizes.size > MOST_COMMITS) await this.rebuild(options)
    for (let tries = 0; tries < TRIES; tries++) {
      const [locations, moved] = [this.#locations, this.#moved]
      if (!(await this.#readUntil(cids, options))) {
        await this.refresh(options)
        await this.#readUntil(cids, options)
      }
      // What another call has begun to learn anew says nothing of what is missing, nor does a pack that
      // went before its index was read: its blocks may be in one that was not listed yet.
      if (this.#locations !== locations || this.#moved !== moved) continue
      if (!cids.some((cid) => locations.find(cid) === 'gone')) {
        return cids.map((cid) => this.find(cid))
      }
      await this.rebuild(options)
    }
    throw keepsMoving(this.#bucket.location)
  }

  /** As `locate`, but not in commits that were folded: a sweep may have freed of the packs what they still have. */
  async locateToRely(
    cids: readonly CidBytes[],
    options?: RequestOptions,
  ): Promise<(Location | undefined)[]> {
    for (let tries = 0; tries < TRIES; tries++) {
      const places = await this.locate(cids, options)
      const keys = new Set(places.flatMap((place) => (place === undefined ? [] : [place.key])))
      if (!(await this.#dropFolded(keys, options))) return places
    }
    throw keepsMoving(this.#bucket.location)
  }

  /**
   * A pack of ours that is there now. What was just written is seldom looked for: of one of many small blocks,
   * as of those of others, the index is read when it is.
   */
  written(key: string, pack: Pick<PackBuilder, 'count' | 'sections'>, size: number): void {
    const healed = parsePackKey(key)?.healed === true
    if (healed || pack.count < MANY_BLOCKS) return this.added(key, pack.sections(), size)
    this.#sizes.set(key, size)
    this.#unread = sorted([...this.#unread, { key, size }])
  }

  /** The index of a pack that is there. */
  added(key: string, sections: readonly Section[], size: number): void {
    this.#locations.add(key, sections, parsePackKey(key)?.healed)
    this.#sizes.set(key, size)
  }

  /** An object that was found to be there no more. */
  gone(key: string): void {
    this.#gone.add(key)
    this.#locations.drop(key)
    this.#sizes.delete(key)
    this.#unread = this.#unread.filter((info) => info.key !== key)
  }

  /** After what a sweep did since. */
  async catchUp(version: number, options?: RequestOptions): Promise<void> {
    if (version === this.#version) return
    await this.#relist(options)
    // While deleting goes on, what was listed is out of date at once.
    if (version % 2 === 0) this.#version = version
  }

  /** Learns of everything that was written before the call. Calls that wait share one, so none can abort it. */
  async refresh({ signal }: RequestOptions = {}): Promise<void> {
    const start = (): Promise<void> => {
      this.#queued = undefined
      this.#running = this.#learn().finally(() => (this.#running = undefined))
      return this.#running
    }
    if (this.#running === undefined) await start()
    else await (this.#queued ??= this.#running.then(start, start))
    throwIfAborted(signal)
  }

  /** Forgets where anything is and learns it anew: for blocks whose first copy went. */
  async rebuild(options?: RequestOptions): Promise<void> {
    const before = this.#locations
    this.#locations = new Locations()
    this.#log.locations = this.#locations
    this.#sizes.clear()
    this.#unread = []
    this.#since = 0
    before.close()
    await this.refresh(options)
  }

  close(): void {
    this.#locations.close()
  }

  /**
   * Commits first: what is folded since they were read is in a pack that is listed behind them. The other way
   * round it would be looked for in none of the two.
   */
  async #learn(): Promise<void> {
    for (const dataset of await this.#log.datasets()) await this.#log.loadUnfolded(dataset)
    const locations = this.#locations
    await this.#note(await this.list(this.#since), locations)
  }

  /** Forgets those of the objects that are commits which were folded by now; whether there were any. */
  async #dropFolded(keys: ReadonlySet<string>, options?: RequestOptions): Promise<boolean> {
    const commits = [...keys].flatMap((key) => parseCommitKey(key) ?? [])
    let dropped = false
    for (const dataset of new Set(commits.map((one) => one.dataset))) {
      const { folded } = await this.#log.marks(dataset, options)
      for (const { number } of commits.filter((one) => one.dataset === dataset)) {
        if (number > folded) continue
        this.gone(commitKey(dataset, number))
        dropped = true
      }
    }
    return dropped
  }

  async #relist(options?: RequestOptions): Promise<void> {
    const locations = this.#locations
    // One that is written meanwhile may be missing from the listing.
    const known = [...this.#sizes.keys()]
    const listed = await this.list(0, options)
    const there = new Set(listed.map(({ key }) => key))
    for (const key of known) if (!there.has(key)) this.gone(key)
    await this.#note(listed, locations, options)
  }

  /** All packs, or those that were named since a time. Foreign objects are passed over. */
  async list(since: number, options?: RequestOptions): Promise<ObjectInfo[]> {
    const after = since === 0 ? {} : { after: packsSince(since) }
    const { objects } = await this.#bucket.list(PACKS, { ...options, ...after })
    return objects.filter(({ key }) => parsePackKey(key) !== undefined)
  }

  /** What was listed before `rebuild` is not all that there is for who learns anew: `locations` tells them apart. */
  async #note(
    listed: readonly ObjectInfo[],
    locations: Locations,
    options?: RequestOptions,
  ): Promise<void> {
    const unknown = listed.filter(({ key }) => !this.#sizes.has(key))
    const isHealed = ({ key }: ObjectInfo): boolean => parsePackKey(key)?.healed === true
    // Their blocks go before those of others, so they cannot wait to be looked for.
    const healed = unknown.filter(isHealed)
    for (let at = 0; at < healed.length; at += AT_ONCE) {
      await this.#readIndexes(healed.slice(at, at + AT_ONCE), options)
    }
    if (this.#locations !== locations) return
    const fresh = unknown.filter((info) => !isHealed(info) && !this.#sizes.has(info.key))
    for (const { key, size } of fresh) this.#sizes.set(key, size)
    this.#unread = sorted([...this.#unread, ...fresh])
    for (const { key, modified } of listed) {
      // A name may lie, and hide all that come later.
      const time = Math.min(modified, parsePackKey(key)?.time ?? 0)
      this.#since = Math.max(this.#since, time - LATE_MS)
    }
  }

  /** Reads indexes until it is known where each is; false: it is not, and all were read. */
  async #readUntil(cids: readonly CidBytes[], options?: RequestOptions): Promise<boolean> {
    const isKnown = (cid: CidBytes): boolean => this.find(cid) !== undefined
    return await this.#reading.run(async () => {
      while (!cids.every(isKnown)) {
        const some = this.#unread.slice(-AT_ONCE)
        if (some.length === 0) return false
        await this.#readIndexes(some, options)
        const read = new Set(some)
        this.#unread = this.#unread.filter((info) => !read.has(info))
      }
      return true
    })
  }

  async #readIndexes(packs: readonly Unread[], options?: RequestOptions): Promise<void> {
    await Promise.all(
      packs.map(async (info) => {
        const sections = await this.sections(info, options)
        if (sections !== undefined && !this.#gone.has(info.key)) {
          return this.added(info.key, sections, info.size)
        }
        this.#moved++
        this.gone(info.key)
      }),
    )
  }

  /** What the index of a pack says, or the pack itself where that is damaged; undefined if it is gone. */
  async sections({ key, size }: Unread, options?: RequestOptions): Promise<Section[] | undefined> {
    // Not one of ours, whatever it is called.
    if (size > LARGEST_OBJECT) return []
    const { indexAt, check } = parsePackKey(key) ?? { indexAt: size, check: '' }
    for (let tries = 0; indexAt < size && tries < INDEX_TRIES; tries++) {
      const index = await this.#bucket.getRange(key, indexAt, size - indexAt, options)
      if (index === undefined) return undefined
      const found = checkOf(index.bytes) === check ? readIndex(index.bytes, indexAt) : undefined
      if (found !== undefined) return found
    }
    const got = await this.#bucket.get(key, { ...options, limit: LARGEST_OBJECT })
    return got && readPack(got.bytes, key).packed.map(({ section }) => section)
  }
}

const sorted = (packs: readonly Unread[]): Unread[] =>
  packs.toSorted((a, b) => (a.key < b.key ? -1 : 1))

export function keepsMoving(location: string): CairnError {
  return new CairnError('backend_unavailable', `Blocks of ${location} move while they are read.`, {
    hint: 'Try again when the prune or compaction that is under way has ended.',
  })
}
