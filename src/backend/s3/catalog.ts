/**
 * What is known of the packs of a bucket, and through them where blocks lie. Packs are named by time, so
 * that what is new since the last look is one listing; what a sweep deleted is learned by a whole one.
 */
import type { CidBytes } from '../../model/cid.ts'
import type { Bucket, ObjectInfo, RequestOptions } from '../../s3/bucket.ts'
import type { CommitLog } from './commit-log.ts'
import { PACKS, packsSince, parsePackKey } from './layout.ts'
import { Locations, type Location } from './locations.ts'
import { readIndex, type Section } from './pack.ts'

/** Between naming a pack and having written it, and by how much clocks differ. */
const LATE_MS = 60 * 60 * 1000
const AT_ONCE = 16

export class Catalog {
  readonly #bucket: Bucket
  readonly #log: CommitLog
  #locations: Locations
  readonly #sizes = new Map<string, number>()
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
    await this.refresh(options)
    if (cids.some((cid) => this.#locations.find(cid) === 'gone')) await this.rebuild(options)
    return cids.map((cid) => this.find(cid))
  }

  /** A pack of ours that is there now. */
  added(key: string, sections: readonly Section[], size: number): void {
    this.#locations.add(key, sections, parsePackKey(key)?.healed)
    this.#sizes.set(key, size)
  }

  /** An object that was found to be there no more. */
  gone(key: string): void {
    this.#locations.drop(key)
    this.#sizes.delete(key)
  }

  /** After what a sweep did since. */
  async catchUp(version: number, options?: RequestOptions): Promise<void> {
    if (version === this.#version) return
    await this.#relist(options)
    // While deleting goes on, what was listed is out of date at once.
    if (version % 2 === 0) this.#version = version
  }

  /** Learns of everything that was written before the call. Calls that wait share one. */
  async refresh(options?: RequestOptions): Promise<void> {
    if (this.#running === undefined) {
      this.#running = this.#learn(options).finally(() => (this.#running = undefined))
      return await this.#running
    }
    const start = (): Promise<void> => {
      this.#queued = undefined
      this.#running = this.#learn(options).finally(() => (this.#running = undefined))
      return this.#running
    }
    this.#queued ??= this.#running.then(start, start)
    await this.#queued
  }

  /** Forgets where anything is and learns it anew: for blocks whose first copy went. */
  async rebuild(options?: RequestOptions): Promise<void> {
    const before = this.#locations
    this.#locations = new Locations()
    this.#log.locations = this.#locations
    this.#sizes.clear()
    this.#since = 0
    before.close()
    await this.refresh(options)
  }

  close(): void {
    this.#locations.close()
  }

  async #learn(options?: RequestOptions): Promise<void> {
    const listed = await this.list(this.#since, options)
    await this.#load(listed, options)
    for (const dataset of await this.#log.datasets(options)) {
      await this.#log.loadUnfolded(dataset, options)
    }
  }

  async #relist(options?: RequestOptions): Promise<void> {
    const listed = await this.list(0, options)
    const there = new Set(listed.map(({ key }) => key))
    for (const key of this.#sizes.keys()) if (!there.has(key)) this.gone(key)
    await this.#load(listed, options)
  }

  /** All packs, or those that were named since a time. Foreign objects are passed over. */
  async list(since: number, options?: RequestOptions): Promise<ObjectInfo[]> {
    const after = since === 0 ? {} : { after: packsSince(since) }
    const { objects } = await this.#bucket.list(PACKS, { ...options, ...after })
    return objects.filter(({ key }) => parsePackKey(key) !== undefined)
  }

  async #load(listed: readonly ObjectInfo[], options?: RequestOptions): Promise<void> {
    const unknown = listed.filter(({ key }) => !this.#locations.has(key))
    for (let at = 0; at < unknown.length; at += AT_ONCE) {
      const some = unknown.slice(at, at + AT_ONCE)
      await Promise.all(
        some.map(async (info) => {
          const sections = await this.sections(info, options)
          if (sections !== undefined) this.added(info.key, sections, info.size)
        }),
      )
    }
    for (const { key } of listed) {
      const time = parsePackKey(key)?.time ?? 0
      this.#since = Math.max(this.#since, time - LATE_MS)
    }
  }

  /** What the index of a pack says; undefined if it is gone. */
  async sections(
    { key, size }: Pick<ObjectInfo, 'key' | 'size'>,
    options?: RequestOptions,
  ): Promise<Section[] | undefined> {
    const indexAt = parsePackKey(key)?.indexAt ?? 0
    const index = await this.#bucket.getRange(key, indexAt, Math.max(1, size - indexAt), options)
    return index && readIndex(index.bytes, indexAt, key)
  }
}
