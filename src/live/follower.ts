/**
 * Follower: hears in the log what other programs wrote to the open maps, or that the dataset was rolled back or
 * restored. When it fails it begins anew, with everything read again, until it is told to end.
 */
import type { Dataset } from '../engine/dataset.ts'
import type { LoggedEntry } from '../engine/history.ts'
import { isCairnError, toCairnError, type CairnError } from '../errors.ts'
import type { Generation } from '../model/generation.ts'
import { parseItemId, parseRecordId } from './layout.ts'
import { readItem } from './load.ts'
import type { MapState } from './map-state.ts'
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
      for (const logged of change.entries)
        if (isUnheard(logged, options)) await read(logged, options)
        else hearRecord(logged, options)
      onHeard({ next: (change.entries.at(-1)?.position ?? -1) + 1, generation })
    }
  }
}

function hearRecord({ entry }: LoggedEntry, { find }: FollowerOptions): void {
  const name = entry.tip === null ? parseRecordId(entry.pi) : undefined
  if (name !== undefined) find(name)?.onRecordGone()
}

/** Whether it must be read what an entry says; what the log says of own writes is known. */
function isUnheard({ position, entry }: LoggedEntry, { find }: FollowerOptions): boolean {
  const place = parseItemId(entry.pi)
  const state = place && find(place.name)?.state
  if (place === undefined || state === undefined) return false
  if (state.isNews(place.key, position)) return true
  state.heard(place.key, position)
  return false
}

async function read(logged: LoggedEntry, options: FollowerOptions): Promise<void> {
  const { dataset, find, isWriting, signal } = options
  if (isWriting()) {
    // An answer that comes first makes reading needless.
    await new Promise((resolve) => setImmediate(resolve))
    if (!isUnheard(logged, options)) return
  }
  const { position, entry } = logged
  const place = parseItemId(entry.pi)
  const map = place && find(place.name)
  if (place === undefined || map === undefined) return
  const item = await readItem(dataset, entry, map.schema, place.key, signal)
  map.state.remote(place.key, item, position)
  map.state.heard(place.key, position)
}
