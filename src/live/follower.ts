/**
 * Follower: hears in the log what other programs wrote to the open maps, or that the dataset was rolled back or
 * restored. When it fails it begins anew, with everything read again, until it is told to end.
 */
import type { Dataset } from '../engine/dataset.ts'
import type { LoggedEntry } from '../engine/history.ts'
import { isCairnError, toCairnError, type CairnError } from '../errors.ts'
import type { Generation } from '../model/generation.ts'
import { parseItemId, parseRecordId } from './layout.ts'
import { AT_ONCE, readItem } from './load.ts'
import type { Item, MapState } from './map-state.ts'
import type { Schema } from './schema.ts'

export interface FollowerOptions {
  readonly dataset: Dataset
  /** The open map of this name. */
  readonly find: (name: string) => FollowedMap | undefined
  /** Reads all open maps anew. */
  readonly fillAll: () => Promise<void>
  /** Whether an answer to an own write may be on its way. */
  readonly isWriting: () => boolean
  /** The maps show all that lies before. */
  readonly onHeard: (at: FollowFrom) => void
  /** Why it cannot follow now; undefined: it can. */
  readonly onTrouble: (error: CairnError | undefined) => void
  readonly signal: AbortSignal
}

export interface FollowedMap {
  readonly state: MapState
  readonly schema: Schema<unknown> | undefined
  /** Somebody deleted the map's own record. */
  readonly onRecordGone: () => void
}

/** From where on the log is to be heard; a commit says it of what comes after it. */
export interface FollowFrom {
  readonly next: number
  readonly generation: Generation
}

const RETRY_MS = 1000

/** Resolves when the signal, or the end of the store, ends it. */
export async function follow(from: FollowFrom, options: FollowerOptions): Promise<void> {
  const { dataset, fillAll, onHeard, onTrouble, signal } = options
  let since: FollowFrom | undefined = from
  while (!signal.aborted) {
    try {
      if (since === undefined) {
        // What is committed while maps are read follows in the log.
        since = (await dataset.pointer({ signal })).commit
        await fillAll()
        onHeard(since)
      }
      onTrouble(undefined)
      await hear(since, options)
    } catch (error) {
      if (signal.aborted || isCairnError(error, 'closed')) return
      onTrouble(toCairnError(error))
      since = undefined
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS).unref())
    }
  }
}

async function hear(from: FollowFrom, options: FollowerOptions): Promise<void> {
  const { dataset, fillAll, onHeard, signal } = options
  let { generation } = from
  const since = { since: from.next, generation, signal }
  for await (const change of dataset.changesInBatches(since)) {
    if (change.kind === 'generation') {
      await fillAll()
      generation = change.generation
      onHeard(change)
    } else {
      await hearEntries(change.entries, options)
      onHeard({ next: (change.entries.at(-1)?.position ?? -1) + 1, generation })
    }
  }
}

/** What an entry says of a key of an open map. */
interface Told {
  readonly key: string
  readonly map: FollowedMap
  readonly logged: LoggedEntry
}

/** All are read before the first is shown, and then shown in one turn: nobody sees half of what is one commit. */
async function hearEntries(
  entries: readonly LoggedEntry[],
  options: FollowerOptions,
): Promise<void> {
  const told = entries.flatMap((logged) => toldBy(logged, options) ?? [])
  // An answer to an own write that comes first makes reading needless.
  if (options.isWriting() && told.some(isNews))
    await new Promise((resolve) => setImmediate(resolve))
  const items = await readAll(told.filter(isNews), options)
  for (const one of told) {
    const { key, map, logged } = one
    if (items.has(one)) map.state.remote(key, items.get(one), logged.position)
    map.state.heard(key, logged.position)
  }
  for (const logged of entries) hearRecord(logged, options)
}

function toldBy(logged: LoggedEntry, { find }: FollowerOptions): Told | undefined {
  const place = parseItemId(logged.entry.pi)
  const map = place && find(place.name)
  return place && map && { key: place.key, map, logged }
}

/** What the log says of own writes is known. */
const isNews = ({ key, map, logged }: Told): boolean => map.state.isNews(key, logged.position)

async function readAll(
  told: readonly Told[],
  { dataset, signal }: FollowerOptions,
): Promise<ReadonlyMap<Told, Item | undefined>> {
  const items = new Map<Told, Item | undefined>()
  for (let i = 0; i < told.length; i += AT_ONCE) {
    const some = told.slice(i, i + AT_ONCE).map(async (one) => {
      const { key, map, logged } = one
      items.set(one, await readItem(dataset, logged.entry, map.schema, key, signal))
    })
    await Promise.all(some)
  }
  return items
}

function hearRecord({ entry }: LoggedEntry, { find }: FollowerOptions): void {
  const name = entry.tip === null ? parseRecordId(entry.pi) : undefined
  if (name !== undefined) find(name)?.onRecordGone()
}
