/**
 * What a live map holds in memory, and which of it is durable. Pure but for the clock that is given.
 *
 * Three things are told apart for a key: what was committed last (by its position in the log, whoever committed
 * it), what was set here and is on its way, and what readers see: the latter of the two. A write that fails
 * uncovers what was committed. Entries of the log may be heard of twice, late, and in another order than the
 * answers to own writes: the higher position counts.
 */
import type { CairnError } from '../errors.ts'
import { isExpired } from '../model/entry.ts'
import { Deadlines } from './deadlines.ts'
import type { LiveValue } from './value.ts'

export interface Item {
  readonly value: LiveValue
  /** The value's bytes, where they are at hand and a copy of it is not: `value` would make one. */
  readonly encoded?: Uint8Array | undefined
  /** Milliseconds since 1970; null: never. */
  readonly exp: number | null
  /** Parts of the value are bytes, which cannot be frozen. */
  readonly holdsBytes?: boolean | undefined
  /** Why the value cannot be given to readers. */
  readonly refused?: CairnError | undefined
}

/** Where a change came from: this program, another one, the clock, or a write that failed. */
export type ChangeOrigin = 'local' | 'remote' | 'expired' | 'undone'

export interface StateChange {
  readonly key: string
  readonly before: Item | undefined
  readonly after: Item | undefined
  readonly origin: ChangeOrigin
}

interface Committed {
  /** Undefined: there is nothing. */
  readonly item: Item | undefined
  readonly position: number
}

/** A write that is on its way. */
export interface Pending {
  readonly key: string
  readonly item: Item | undefined
}

const SPARE = 1000

export class MapState {
  readonly #now: () => number
  #onChange: (change: StateChange) => void = () => {}
  /** What readers see; what has expired is taken out before anyone looks. */
  readonly #seen = new Map<string, Item>()
  /** Of keys that were committed since the load. */
  readonly #committed = new Map<string, Committed>()
  readonly #pending = new Map<string, Pending>()
  readonly #deadlines = new Deadlines<string>()
  /** What lies before this position in the log was loaded. */
  #loadedTo = 0
  /** Before the first load nothing that was heard may be forgotten. */
  #loaded = false
  #latest = 0
  #sweepAt = SPARE

  constructor(now: () => number) {
    this.#now = now
  }

  /** One listener is told of everything that readers see otherwise than before. */
  listen(onChange: (change: StateChange) => void): void {
    this.#onChange = onChange
  }

  /** The clock, which never goes back here: what has expired stays so. */
  moment(): number {
    this.#latest = Math.max(this.#latest, this.#now())
    return this.#latest
  }

  get(key: string): Item | undefined {
    return this.#unlessExpired(this.#seen.get(key))
  }

  get size(): number {
    this.expire()
    return this.#seen.size
  }

  /** All keys with their items, as they are now. */
  all(): [string, Item][] {
    this.expire()
    return [...this.#seen]
  }

  /** When the first key expires. */
  get nextExpiry(): number | undefined {
    return this.#deadlines.first
  }

  /** The clock is asked only where it matters: most items never expire, and a save looks at all of them. */
  #unlessExpired(item: Item | undefined): Item | undefined {
    if (item === undefined || item.exp === null) return item
    return isExpired(item.exp, this.moment()) ? undefined : item
  }

  /** Takes out what has expired. */
  expire(): void {
    if (this.#deadlines.first === undefined) return
    const now = this.moment()
    for (const key of this.#deadlines.due(now)) {
      const item = this.#seen.get(key)
      if (item === undefined || !isExpired(item.exp, now)) continue
      this.#seen.delete(key)
      this.#onChange({ key, before: item, after: undefined, origin: 'expired' })
    }
  }

  /** Readers see it from now on; undefined deletes. What is given back is told to `written` or `undo`. */
  set(key: string, item: Item | undefined): Pending {
    this.expire()
    const pending = { key, item }
    if (!this.#pending.has(key) && !this.#committed.has(key))
      this.#committed.set(key, { item: this.#seen.get(key), position: this.#loadedTo - 1 })
    this.#pending.set(key, pending)
    this.#show(key, item, 'local')
    return pending
  }

  /** A write of this key is on its way. */
  isPending(key: string): boolean {
    return this.#pending.has(key)
  }

  /** The write is durable. */
  written(pending: Pending, position: number): void {
    const { key, item } = pending
    // The log may have told of this very write already, with a value that is equal and another object.
    if (this.#committed.get(key)?.position === position)
      this.#committed.set(key, { item, position })
    else this.#commit(key, item, position)
    if (this.#pending.get(key) === pending) this.#settle(key, 'remote')
  }

  /** The write has failed. */
  undo(pending: Pending): void {
    if (this.#pending.get(pending.key) === pending) this.#settle(pending.key, 'undone')
  }

  /** Whether an entry of the log at this position says something new of the key. */
  isNews(key: string, position: number): boolean {
    return position > (this.#committed.get(key)?.position ?? this.#loadedTo - 1)
  }

  /** An entry of the log. */
  remote(key: string, item: Item | undefined, position: number): void {
    if (!this.isNews(key, position)) return
    this.#commit(key, item, position)
    if (!this.#pending.has(key)) this.#settle(key, 'remote')
  }

  /** The log was heard up to this entry: what is known of a key at rest need not be remembered. */
  heard(key: string, position: number): void {
    if (!this.#loaded) return
    const known = this.#committed.get(key)
    if (known !== undefined && known.position <= position && !this.#pending.has(key))
      this.#committed.delete(key)
    this.#loadedTo = Math.max(this.#loadedTo, position + 1)
    if (this.#committed.size > this.#sweepAt) this.#sweep()
  }

  /** Many writes of one load have the position of the last. */
  #sweep(): void {
    for (const [key, { position }] of this.#committed)
      if (position < this.#loadedTo && !this.#pending.has(key)) this.#committed.delete(key)
    this.#sweepAt = 2 * this.#committed.size + SPARE
  }

  /** All that was committed, up to a position; what was heard from behind it, or is on its way, stays over it. */
  reset(items: ReadonlyMap<string, Item>, loadedTo: number): void {
    this.#loadedTo = loadedTo
    this.#loaded = true
    const known = new Map(items)
    for (const [key, { item, position }] of this.#committed) {
      if (position < loadedTo) this.#committed.delete(key)
      else if (item === undefined) known.delete(key)
      else known.set(key, item)
    }
    for (const key of this.#pending.keys())
      if (!this.#committed.has(key))
        this.#committed.set(key, { item: known.get(key), position: loadedTo - 1 })
    for (const key of new Set([...this.#seen.keys(), ...known.keys()]))
      if (!this.#pending.has(key)) this.#show(key, known.get(key), 'remote')
  }

  #commit(key: string, item: Item | undefined, position: number): void {
    if (this.isNews(key, position)) this.#committed.set(key, { item, position })
  }

  /** Nothing is on its way any more: what was committed last is what readers see. */
  #settle(key: string, origin: ChangeOrigin): void {
    this.#pending.delete(key)
    this.#show(key, this.#committed.get(key)?.item, origin)
  }

  #show(key: string, item: Item | undefined, origin: ChangeOrigin): void {
    // What has expired by now is told as that, and not passed over because something else comes in its place.
    this.expire()
    const before = this.#seen.get(key)
    const after = this.#unlessExpired(item)
    if (after === undefined) this.#seen.delete(key)
    else this.#seen.set(key, after)
    if (after !== undefined && after.exp !== null) this.#await(after.exp, key)
    if (before !== after) this.#onChange({ key, before, after, origin })
  }

  /** Keys that are set again and again leave deadlines behind that mean nothing any more. */
  #await(exp: number, key: string): void {
    this.#deadlines.add(exp, key)
    if (this.#deadlines.size <= 2 * this.#seen.size + SPARE) return
    this.#deadlines.clear()
    for (const [one, item] of this.#seen) if (item.exp !== null) this.#deadlines.add(item.exp, one)
  }
}
