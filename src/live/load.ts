/** Reading maps from a dataset: a record, a key, all keys at one commit. */
import type { Dataset } from '../engine/dataset.ts'
import { isCairnError, toCairnError } from '../errors.ts'
import type { CidBytes } from '../model/cid.ts'
import type { Entry } from '../model/entry.ts'
import { itemPrefix, parseMapRecord, recordId, type MapRecord } from './layout.ts'
import type { Item } from './map-state.ts'
import { conform, type Schema } from './schema.ts'
import { frozen, hasBytesWithin, type LiveValue } from './value.ts'

/** So many values are read at a time. */
export const AT_ONCE = 64
const TRIES = 3

export async function readRecord(dataset: Dataset, name: string): Promise<MapRecord | undefined> {
  const entry = await dataset.get(recordId(name))
  if (entry === undefined || entry.tip === null) return undefined
  return parseMapRecord(await readValue(dataset, entry.tip), name)
}

export async function hasRecord(dataset: Dataset, name: string): Promise<boolean> {
  const entry = await dataset.get(recordId(name))
  return entry !== undefined && entry.tip !== null
}

export interface ReadMap {
  readonly items: ReadonlyMap<string, Item>
  /** The number of the commit that they are of. */
  readonly commit: number
  /** The moment of that commit, in milliseconds since 1970. */
  readonly ts: number
  /** The position behind the log that they come from. */
  readonly next: number
}

/** All keys of a map at the newest commit, those that have expired since among them. */
export async function readMap(
  dataset: Dataset,
  name: string,
  schema: Schema<unknown> | undefined,
  signal: AbortSignal,
): Promise<ReadMap> {
  for (let attempt = 1; ; attempt++) {
    const { commit } = await dataset.pointer({ signal })
    try {
      const at = { commit: commit.number }
      const items = await readItems(dataset, { name, at, schema, signal })
      return { items, commit: commit.number, ts: commit.ts, next: commit.next }
    } catch (error) {
      // A prune may have let the commit go meanwhile.
      const gone = isCairnError(error, 'not_found') || isCairnError(error, 'block_missing')
      if (!gone || attempt === TRIES) throw error
    }
  }
}

interface ReadOptions {
  readonly name: string
  readonly at: { readonly commit: number }
  readonly schema: Schema<unknown> | undefined
  readonly signal: AbortSignal
}

async function readItems(
  dataset: Dataset,
  { name, at, schema, signal }: ReadOptions,
): Promise<Map<string, Item>> {
  const prefix = itemPrefix(name)
  const items = new Map<string, Item>()
  let batch: Entry[] = []
  const readBatch = async (): Promise<void> => {
    const keys = batch.map(({ pi }) => pi.slice(prefix.length))
    const read = batch.map((entry, i) => readItem(dataset, entry, schema, keys[i] ?? '', signal))
    for (const [i, item] of (await Promise.all(read)).entries())
      if (item !== undefined) items.set(keys[i] ?? '', item)
    batch = []
  }
  for await (const entry of dataset.entries({ prefix, order: 'asc', at, signal })) {
    batch.push(entry)
    if (batch.length === AT_ONCE) await readBatch()
  }
  await readBatch()
  return items
}

/** What an entry says of its key; undefined: it was deleted. A value that does not fit the schema is refused to readers. */
export async function readItem(
  dataset: Dataset,
  { tip, exp }: Entry,
  schema: Schema<unknown> | undefined,
  key: string,
  signal: AbortSignal,
): Promise<Item | undefined> {
  if (tip === null) return undefined
  const value = await readValue(dataset, tip, signal)
  try {
    const conformed = frozen(conform(schema, value, key))
    return { value: conformed, exp, holdsBytes: hasBytesWithin(conformed) }
  } catch (error) {
    return { value: null, exp, refused: toCairnError(error) }
  }
}

export async function readValue(
  dataset: Dataset,
  tip: CidBytes,
  signal?: AbortSignal,
): Promise<LiveValue> {
  const content = await dataset.content(tip, { signal })
  if (content.kind === 'value') return content.value
  const parts: Uint8Array[] = []
  for await (const part of content.bytes) parts.push(part)
  return new Uint8Array(Buffer.concat(parts))
}
