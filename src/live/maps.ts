/**
 * LiveMaps: all live maps of one dataset in this process. They share one writer, so that what is written to
 * several of them keeps its order, and one follower of the log, by which they learn what other programs
 * wrote, or that the dataset was rolled back or restored.
 *
 * A map is loaded from one commit; from there on the log tells the rest. What is heard of the log is never
 * trusted to come before or after the answer to an own write: positions decide (map-state.ts).
 */
import type { Logger } from '../engine/logger.ts'
import type { Dataset } from '../engine/dataset.ts'
import { CairnError } from '../errors.ts'
import { MapsClock } from './clock.ts'
import { follow, type FollowFrom } from './follower.ts'
import { Heard } from './heard.ts'
import { DEFAULT_MAP, itemPrefix, mapRecord, parseMapName, type MapRecord } from './layout.ts'
import { hasRecord, readMap, readRecord } from './load.ts'
import { LiveMap, checkTtl, type MapFacts, type MapOptions, type MapOwner } from './map.ts'
import { MapState, type Pending } from './map-state.ts'
import { OwnRecord } from './own-record.ts'
import { requireLinked } from './require-linked.ts'
import type { Schema } from './schema.ts'
import { tell } from './tell.ts'
import type { LiveValue } from './value.ts'
import { LiveWriter, type Write } from './writer.ts'

export interface LiveMapsOptions {
  readonly dataset: Dataset
  readonly now: () => number
  readonly log: Logger
}

interface Open {
  readonly map: LiveMap<never>
  readonly state: MapState
  readonly options: MapOptions<never>
  /** Undefined: the map is in memory only. */
  readonly record: OwnRecord | undefined
  /** The number of the commit that was loaded last. */
  loaded: number
}

/** What keeps the maps and the store apart, if anything does. */
export interface MapsTrouble {
  readonly what: 'write' | 'follow'
  readonly error: CairnError
}

const DEFAULT_WINDOW = 1000
/** A timer cannot wait longer. */
const LONGEST_WAIT = 2 ** 31 - 1

export class LiveMaps {
  readonly #dataset: Dataset
  /** What a timer waits by; it may go back. */
  readonly #now: () => number
  readonly #clock: MapsClock
  readonly #log: Logger
  readonly #writer: LiveWriter
  readonly #opening = new Map<string, Promise<Open>>()
  readonly #open = new Map<string, Open>()
  readonly #ending = new AbortController()
  readonly #trouble = new Map<MapsTrouble['what'], CairnError>()
  readonly #listeners = new Set<(trouble: readonly MapsTrouble[]) => void>()
  #following: Promise<void> | undefined
  #heard: Heard | undefined
  #expiry: { readonly at: number; readonly timer: NodeJS.Timeout } | undefined

  constructor({ dataset, now, log }: LiveMapsOptions) {
    this.#dataset = dataset
    this.#now = now
    this.#clock = new MapsClock(now)
    this.#log = log
    this.#writer = new LiveWriter({
      dataset,
      limit: async () => (await dataset.head()).chainLimit,
      onTrouble: (error) => this.#note('write', error),
    })
  }

  /** What is wrong now; empty while all is well. */
  get trouble(): readonly MapsTrouble[] {
    return [...this.#trouble].map(([what, error]) => ({ what, error }))
  }

  /** How many maps are open that are kept. */
  get kept(): number {
    return [...this.#open.values()].filter(({ options }) => options.persist !== false).length
  }

  /** Since when something waits that counts as written, in milliseconds; undefined: nothing does. */
  get behindMs(): number | undefined {
    const since = this.#writer.behindSince
    return since === undefined ? undefined : performance.now() - since
  }

  /** Calls whenever `trouble` has changed; until the answer is called. */
  onTrouble(listener: (trouble: readonly MapsTrouble[]) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Whether what is set in an open map is in the store; else it is in memory only. */
  isKept(name: string): boolean {
    return this.#open.get(name)?.record !== undefined
  }

  /** A map, loaded. All who ask for one name share it; options that differ are refused. */
  async map<V>(given: string = DEFAULT_MAP, options: MapOptions<V> = {}): Promise<LiveMap<V>> {
    if (this.#ending.signal.aborted) throw new CairnError('closed', 'These maps were closed.')
    const name = parseMapName(given)
    const known = this.#opening.get(name)
    const opening = known ?? this.#load(name, options as MapOptions<never>)
    if (known === undefined) {
      this.#opening.set(name, opening)
      opening.catch(() => {
        this.#opening.delete(name)
        this.#open.delete(name)
      })
    }
    const { map, options: first } = await opening
    if (known !== undefined) checkSame(name, first, options)
    return map as unknown as LiveMap<V>
  }

  async #load(name: string, options: MapOptions<never>): Promise<Open> {
    const { ttl } = options
    if (ttl !== undefined && ttl !== null) checkTtl(ttl)
    if (options.persist === false) {
      const { kind } = mapRecord(name, ttl ?? null)
      const open = this.#made({ name, kind, ttl: ttl ?? null }, options, this.#keeping(name))
      open.state.reset(new Map(), 0)
      return open
    }
    const commit = await requireLinked(this.#dataset)
    this.#following ??= this.#follow(commit)
    const there = await readRecord(this.#dataset, name)
    const record = ttl === undefined && there !== undefined ? there : mapRecord(name, ttl ?? null)
    const own = new OwnRecord(name, record, there === undefined || !sameRecord(there, record))
    const facts = { name, kind: record.kind, ttl: record.ttl_ms }
    const open = this.#made(facts, options, this.#writing(name, options, own), own)
    await this.#fill(open)
    return open
  }

  /** A map, empty. What is heard of the log from here on is kept over what is loaded then. */
  #made(
    facts: MapFacts,
    options: MapOptions<never>,
    write: MapOwner['write'],
    record?: OwnRecord,
  ): Open {
    const { name } = facts
    const state = new MapState(() => this.#clock.moment())
    const owner: MapOwner = {
      write,
      flush: () => this.#writer.flush(),
      onListenerError: (error) =>
        this.#log.error('live.listener_failed', { map: name, error: String(error) }),
      onExpiry: () => this.#planExpiry(),
    }
    const map = new LiveMap<never>(facts, state, owner, options.schema)
    const open: Open = { map, state, options, record, loaded: -1 }
    this.#open.set(name, open)
    return open
  }

  async #fill(open: Open): Promise<void> {
    const { map, state, options } = open
    const read = await readMap(this.#dataset, map.name, schemaOf(options), this.#ending.signal)
    // Two may load at once, as the log goes back while a map is opened: the older one may end last.
    if (read.commit < open.loaded) return
    this.#clock.atLeast(read.ts)
    open.loaded = read.commit
    state.reset(read.items, read.next)
  }

  /** Writes keys, and with them the map's own record, where that is due. */
  #writing(name: string, options: MapOptions<never>, record: OwnRecord): MapOwner['write'] {
    const windowMs = windowOf(options)
    const prefix = itemPrefix(name)
    return (keys) => {
      if (keys.length === 0) return Promise.resolve()
      const state = this.#open.get(name)?.state
      return this.#writer.write(
        keys.map((pending) => new KeyWrite(prefix, pending, state)),
        { windowMs, lead: record.take() },
      )
    }
  }

  /** Keys that are there already, or on their way, do not wait for others with what they cannot be without. */
  #onRecordGone({ record, state }: Open): void {
    record?.gone()
    const due = state.size > 0 ? record?.take() : undefined
    if (due !== undefined) this.#writer.write([due]).catch(() => {})
  }

  /** In memory only: what is written counts as kept at once. */
  #keeping(name: string): MapOwner['write'] {
    let position = 0
    return (keys) => {
      const state = this.#open.get(name)?.state
      for (const pending of keys) {
        state?.written(pending, position)
        // There is no log that would tell, and what is remembered until it does would be so for good.
        state?.heard(pending.key, position++)
      }
      return Promise.resolve()
    }
  }

  /** Until everything that was written before is durable. */
  flush(): Promise<void> {
    return this.#writer.flush()
  }

  /** Writes what waits, and lets go. What cannot be written rejects, and is lost with the process. */
  async close(): Promise<void> {
    try {
      await this.#writer.flush()
    } finally {
      await this.#writer.stop()
      this.#ending.abort()
      clearTimeout(this.#expiry?.timer)
      await this.#following
    }
  }

  /** Until the open maps show what lies before in the log, whoever wrote it. */
  async caughtUp(at: FollowFrom): Promise<void> {
    await this.#heard?.until(at)
  }

  #follow(from: FollowFrom): Promise<void> {
    const heard = new Heard(from)
    this.#heard = heard
    const following = follow(from, {
      dataset: this.#dataset,
      find: (name) => {
        const open = this.#open.get(name)
        return (
          open && {
            state: open.state,
            schema: schemaOf(open.options),
            onRecordGone: () => this.#onRecordGone(open),
          }
        )
      },
      fillAll: () => this.#fillAll(),
      isWriting: () => this.#writer.isBusy,
      onHeard: (at) => heard.reached(at),
      onTrouble: (error) => this.#note('follow', error),
      signal: this.#ending.signal,
    })
    return following.finally(() => heard.end())
  }

  async #fillAll(): Promise<void> {
    for (const open of this.#open.values()) {
      if (open.record === undefined) continue
      await this.#fill(open)
      if (!(await hasRecord(this.#dataset, open.map.name))) this.#onRecordGone(open)
    }
  }

  #note(what: MapsTrouble['what'], error: CairnError | undefined): void {
    const before = this.#trouble.get(what)
    if (error === undefined && before === undefined) return
    if (error === undefined) this.#trouble.delete(what)
    else this.#trouble.set(what, error)
    const { name: dataset } = this.#dataset
    if (error === undefined) this.#log.info('live.goes_on', { dataset, what })
    else this.#log.error('live.failed', { dataset, what, code: error.code, message: error.message })
    tell(this.#listeners, this.trouble, (reason) =>
      this.#log.error('live.listener_failed', { dataset, error: String(reason) }),
    )
  }

  /** One timer for the first expiry of all maps; it keeps no process alive. */
  #planExpiry(): void {
    const first = Math.min(
      ...[...this.#open.values()].map(({ state }) => state.nextExpiry ?? Infinity),
    )
    if (first === Infinity || this.#ending.signal.aborted) return
    if (this.#expiry !== undefined && this.#expiry.at <= first) return
    clearTimeout(this.#expiry?.timer)
    const wait = Math.min(Math.max(0, first - this.#now()), LONGEST_WAIT)
    const timer = setTimeout(() => {
      this.#expiry = undefined
      for (const { state } of this.#open.values()) state.expire()
      this.#planExpiry()
    }, wait).unref()
    this.#expiry = { at: first, timer }
  }
}

const schemaOf = (options: MapOptions<never>): Schema<unknown> | undefined => options.schema

/** Undefined: durability `commit`. */
function windowOf({ durability, window = DEFAULT_WINDOW }: MapOptions<never>): number | undefined {
  if (!(window > 0 && window <= LONGEST_WAIT)) {
    throw new CairnError('usage', `A window of ${window} is not possible.`, {
      hint: 'Give milliseconds, such as 1000.',
    })
  }
  return durability === 'interval' ? window : undefined
}

/** There are many of these at a time. */
class KeyWrite implements Write {
  readonly id: string
  readonly #pending: Pending
  readonly #state: MapState | undefined

  /** The key is one that `itemId` takes. */
  constructor(prefix: string, pending: Pending, state: MapState | undefined) {
    this.id = `${prefix}${pending.key}`
    this.#pending = pending
    this.#state = state
  }

  get value(): LiveValue {
    return this.#pending.item?.value
  }

  get encoded(): Uint8Array | undefined {
    return this.#pending.item?.encoded
  }

  get exp(): number | null {
    return this.#pending.item?.exp ?? null
  }

  written(position: number): void {
    this.#state?.written(this.#pending, position)
  }

  failed(): void {
    this.#state?.undo(this.#pending)
  }
}

const sameRecord = (a: MapRecord, b: MapRecord): boolean =>
  a.kind === b.kind && a.ttl_ms === b.ttl_ms

function checkSame<V>(name: string, first: MapOptions<never>, given: MapOptions<V>): void {
  for (const option of ['ttl', 'durability', 'window', 'persist', 'schema'] as const) {
    if (given[option] === undefined || (given[option] as unknown) === first[option]) continue
    throw new CairnError('usage', `The map "${name}" is open with another ${option}.`, {
      hint: 'All of a program share one map of a name: give the options where it is opened first.',
    })
  }
}
