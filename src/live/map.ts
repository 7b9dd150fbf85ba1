/**
 * LiveMap: one named map of a program, in memory and in the store. Reading is immediate; a write is seen by
 * readers at once, and its promise says when it counts as kept.
 */
import { CairnError } from '../errors.ts'
import { encodeSmall } from '../engine/content-stager.ts'
import { captured, Copies } from './captured.ts'
import { itemId, type MapKind } from './layout.ts'
import type { ChangeOrigin, Item, MapState, Pending, StateChange } from './map-state.ts'
import { conform, type Schema } from './schema.ts'
import { tell } from './tell.ts'
import { isSame, toReader, withOwnBytes } from './value.ts'

export interface MapOptions<V> {
  /** Milliseconds that a key lives which is set without a time of its own; null: for good. */
  readonly ttl?: number | null | undefined
  /**
   * When the promise of a write resolves: `commit` (unless given), when it is durable; `interval`, at once,
   * and a crash loses at most the last `window` of writes.
   */
  readonly durability?: 'commit' | 'interval' | undefined
  /** Milliseconds, 1000 unless given; for `interval`. */
  readonly window?: number | undefined
  /** False: in memory only. Nothing of it is kept, saved or backed up. */
  readonly persist?: boolean | undefined
  /** What values must be; of any library that speaks Standard Schema. */
  readonly schema?: Schema<V> | undefined
}

export interface SetOptions {
  /** Milliseconds from now. */
  readonly ttl?: number | null | undefined
  /** Milliseconds since 1970. */
  readonly expiresAt?: number | null | undefined
}

export interface MapChange<V> {
  readonly key: string
  /** Undefined: the key is gone. */
  readonly value: V | undefined
  readonly previous: V | undefined
  readonly origin: ChangeOrigin
}

/** What a map's owner does for it. */
export interface MapOwner {
  /** Commits these writes together; the promise is that of the map's durability. */
  readonly write: (writes: readonly Pending[]) => Promise<void>
  readonly flush: () => Promise<void>
  /** A listener threw, or rejected. */
  readonly onListenerError: (error: unknown) => void
  /** The first expiry may have changed. */
  readonly onExpiry: () => void
}

export interface MapFacts {
  readonly name: string
  readonly kind: MapKind
  readonly ttl: number | null
}

interface Untold<V> {
  readonly change: MapChange<V>
  readonly depth: number
}

/** Listeners that answer each change with another one would never end. */
const MAX_DEPTH = 100
const MAX_TTL = 100 * 366 * 86_400_000

export class LiveMap<V = unknown> implements Iterable<[string, V]> {
  readonly #facts: MapFacts
  readonly #state: MapState
  readonly #owner: MapOwner
  readonly #schema: Schema<V> | undefined
  readonly #listeners = new Set<(change: MapChange<V>) => void>()
  readonly #untold: Untold<V>[] = []
  readonly #copies = new Copies()
  /** Of the change that listeners are told of; one that they make lies one deeper. */
  #depth = 0
  #telling = false

  constructor(facts: MapFacts, state: MapState, owner: MapOwner, schema: Schema<V> | undefined) {
    this.#facts = facts
    this.#state = state
    this.#owner = owner
    this.#schema = schema
    state.listen((change) => this.#changed(change))
  }

  get name(): string {
    return this.#facts.name
  }

  get kind(): MapKind {
    return this.#facts.kind
  }

  /** Milliseconds that a key lives which is set without a time of its own; null: for good. */
  get ttl(): number | null {
    return this.#facts.ttl
  }

  get size(): number {
    return this.#state.size
  }

  /** The value, which is frozen; bytes are a copy. Undefined where there is none, or it has expired. */
  get(key: string): V | undefined {
    const item = this.#state.get(key)
    if (item?.refused !== undefined) throw item.refused
    return this.#valueOf(item)
  }

  has(key: string): boolean {
    return this.#state.get(key) !== undefined
  }

  /** When a key expires, in milliseconds since 1970; null: never; undefined: there is no such key. */
  expiresAt(key: string): number | null | undefined {
    return this.#state.get(key)?.exp
  }

  /** All keys with their values as they are at this moment, whatever changes while they are looked at. */
  entries(): IterableIterator<[string, V]> {
    return this.#entries(this.#state.all())
  }

  *#entries(all: readonly [string, Item][]): Generator<[string, V], undefined> {
    for (const [key, item] of all) {
      if (item.refused !== undefined) throw item.refused
      yield [key, shown(item) as V]
    }
  }

  [Symbol.iterator](): IterableIterator<[string, V]> {
    return this.entries()
  }

  keys(): IterableIterator<string> {
    return this.#state
      .all()
      .map(([key]) => key)
      .values()
  }

  *values(): Generator<V, undefined> {
    for (const [, value] of this.entries()) yield value
  }

  /** Sets a key; an expiry that it had before is replaced by the one that is given, or by the map's. */
  async set(key: string, value: V, options: SetOptions = {}): Promise<void> {
    const exp = this.#expiry(options)
    await this.#hand([[key, this.#copiedOf(this.#checked(key, value), exp)]])
  }

  /** Sets keys, all of them or none. */
  async setAll(
    values: Iterable<readonly [string, V]> | Readonly<Record<string, V>>,
    options: SetOptions = {},
  ): Promise<void> {
    const exp = this.#expiry(options)
    // All are looked at before any of them is seen.
    const items: [string, Item][] = []
    for (const [key, value] of asMap(values)) {
      const checked = this.#checked(key, value)
      const item = this.#isRead ? undefined : captured(checked, exp, undefined, this.#copies)
      items.push([key, item ?? this.#copiedOf(checked, exp)])
    }
    await this.#hand(items)
  }

  /** Resolves to false where there was nothing to delete. */
  async delete(key: string): Promise<boolean> {
    const there = this.has(key)
    // One that is not there may be on its way to be deleted.
    if (there || this.#state.isPending(key)) await this.#hand([[key, undefined]])
    return there
  }

  /** Deletes keys, all of them or none: all there are, unless some are named. */
  async clear(keys: Iterable<string> = this.keys()): Promise<number> {
    const there = [...new Set(keys)].filter((key) => this.has(key))
    await this.#hand(there.map((key) => [key, undefined]))
    return there.length
  }

  /**
   * Makes the map what is given, all or none of it. Only what differs is written; how many keys that were is
   * the answer. Everything is looked at before anything else runs, so it is one moment of the program.
   */
  async replaceAll(
    values: Iterable<readonly [string, V]> | Readonly<Record<string, V>>,
    options: SetOptions = {},
  ): Promise<number> {
    const exp = this.#expiry(options)
    const given = asMap(values)
    const changed: [string, Item | undefined][] = []
    // Counted before any of them may expire.
    const { size } = this
    let there = 0
    for (const [key, value] of given) {
      const before = this.#state.get(key)
      if (before !== undefined) there += 1
      const next = this.#replaced(key, value, exp, before)
      if (next !== before) changed.push([key, next])
    }
    const gone = there === size ? [] : [...this.keys()].filter((key) => !given.has(key))
    for (const key of gone) changed.push([key, undefined])
    await this.#hand(changed)
    return changed.length
  }

  /** Until everything that was written before is durable. */
  flush(): Promise<void> {
    return this.#owner.flush()
  }

  /** Calls for everything that `get` answers otherwise than before; until the answer is called. */
  onChange(listener: (change: MapChange<V>) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #changed({ key, before, after, origin }: StateChange): void {
    if (after !== undefined && after.exp !== null) this.#owner.onExpiry()
    if (this.#listeners.size === 0) return
    const change = { key, value: this.#valueOf(after), previous: this.#valueOf(before), origin }
    this.#untold.push({ change, depth: this.#depth + 1 })
    if (this.#untold.length === 1) queueMicrotask(() => this.#tellAll())
  }

  /** Readers see it, then it is handed over, and only then listeners hear of it: what they write comes after it. */
  #hand(items: readonly (readonly [string, Item | undefined])[]): Promise<void> {
    const written = this.#owner.write(items.map(([key, item]) => this.#state.set(key, item)))
    this.#tellAll()
    return written
  }

  /** In the order in which it happened, whatever listeners do. */
  #tellAll(): void {
    if (this.#telling) return
    this.#telling = true
    while (this.#untold.length > 0) {
      for (const { change, depth } of this.#untold.splice(0)) {
        this.#depth = depth
        if (depth <= MAX_DEPTH) tell(this.#listeners, change, this.#owner.onListenerError)
        else this.#owner.onListenerError(endless(this.name))
      }
    }
    this.#depth = 0
    this.#telling = false
  }

  /** Who listens reads all that changes, and what it was. */
  get #isRead(): boolean {
    return this.#listeners.size > 0
  }

  /** What the key holds once it is given the value: `before` itself, where that is the same. */
  #replaced(key: string, value: unknown, exp: number | null, before: Item | undefined): Item {
    const isCopy = this.#isRead || before?.encoded === undefined
    if (isCopy && holds(before, value)) return before
    if (before === undefined) this.#checkKey(key)
    const conformed = conform(this.#schema, value, key)
    if (isCopy && conformed !== value && holds(before, conformed)) return before
    const item = this.#isRead ? undefined : captured(conformed, exp, before, this.#copies)
    if (item !== undefined) return item
    return !isCopy && holds(before, conformed) ? before : this.#copiedOf(conformed, exp)
  }

  /** What is to be kept under the key. */
  #checked(key: string, value: unknown): unknown {
    // One that is there was looked at when it came.
    if (!this.has(key)) this.#checkKey(key)
    return conform(this.#schema, value, key)
  }

  #copiedOf(value: unknown, exp: number | null): Item {
    const { value: copy, isSure } = this.#copies.of(value)
    // Refuses what is too large, or would be taken for a link, before anybody sees it.
    if (!isSure) encodeSmall(copy)
    return { value: copy, exp }
  }

  #checkKey(key: unknown): void {
    if (typeof key !== 'string') throw notText(key)
    itemId(this.name, key)
  }

  #expiry({ ttl, expiresAt }: SetOptions): number | null {
    if (ttl !== undefined && expiresAt !== undefined)
      throw refusedExpiry('two of them were given', 'Give ttl or expiresAt.')
    const now = this.#state.moment()
    const lives = ttl === undefined ? this.ttl : ttl
    const exp =
      expiresAt === undefined ? (lives === null ? null : now + checkTtl(lives)) : expiresAt
    if (exp === null) return null
    const at = Math.ceil(exp)
    if (Number.isSafeInteger(at) && at > now) return at
    throw refusedExpiry(
      `${exp} is no time to come`,
      'Give milliseconds; delete a key that is to go now.',
    )
  }

  #valueOf(item: Item | undefined): V | undefined {
    return item === undefined || item.refused !== undefined ? undefined : (shown(item) as V)
  }
}

function asMap<V>(
  values: Iterable<readonly [string, V]> | Readonly<Record<string, V>>,
): ReadonlyMap<string, V> {
  if (values instanceof Map) return values
  return new Map(Symbol.iterator in values ? values : Object.entries(values))
}

const shown = ({ value, holdsBytes }: Item): unknown =>
  holdsBytes === true ? withOwnBytes(value) : toReader(value)

const holds = (item: Item | undefined, value: unknown): item is Item =>
  item !== undefined && item.refused === undefined && isSame(item.value, value)

export function checkTtl(ttl: number): number {
  if (ttl > 0 && ttl <= MAX_TTL) return ttl
  throw refusedExpiry(
    `a time to live of ${ttl} is not possible`,
    'Give milliseconds, up to 100 years.',
  )
}

const notText = (key: unknown): CairnError =>
  new CairnError('usage', `A key that is a ${typeof key} was refused.`, {
    hint: 'Keys are texts. A number would come back as a text, and so as another key.',
  })

const endless = (map: string): CairnError =>
  new CairnError('usage', `Listeners of the map "${map}" answer each change with another one.`)

function refusedExpiry(why: string, hint: string): CairnError {
  return new CairnError('usage', `An expiry was refused: ${why}.`, { hint })
}
