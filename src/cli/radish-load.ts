/** Comparing what files say of live maps with what is there: what has to be written to make it so. */
import { encodeFile } from '../content/encode.ts'
import type { Dataset } from '../engine/dataset.ts'
import type { ImportEntry } from '../engine/import-entry.ts'
import { throwIfAborted } from '../errors.ts'
import { itemPrefix, parseMapRecord, recordId } from '../live/layout.ts'
import { bytesEqual, type CidBytes } from '../model/cid.ts'
import { keyOf } from '../model/entity-id.ts'
import type { Entry } from '../model/entry.ts'
import { recordOf, type FileHeader } from '../radish/format.ts'
import type { ReadItem } from '../radish/items.ts'

/** What became of the keys of a map. */
export interface MapCounts {
  written: number
  unchanged: number
  removed: number
  expired: number
  /** Keys of an expiring map for which its file has no expiry: they stay until they are deleted. */
  lasting: number
}

interface LoadedMap {
  readonly map: string
  readonly header: FileHeader
}

export class MapLoad {
  readonly counts: ReadonlyMap<string, MapCounts>
  readonly #maps: readonly LoadedMap[]
  readonly #replace: boolean
  readonly #signal: AbortSignal

  /** With `replace` a map becomes what its file says: keys that it lacks are removed. */
  constructor(maps: readonly LoadedMap[], replace: boolean, signal: AbortSignal) {
    // In the order of the ids of their keys.
    this.#maps = maps.toSorted((a, b) => (idsOf(a.map) < idsOf(b.map) ? -1 : 1))
    this.counts = new Map(maps.map(({ map }): [string, MapCounts] => [map, noCounts()]))
    this.#replace = replace
    this.#signal = signal
  }

  /** Without the keys that have expired by now. */
  async *unexpired(items: AsyncIterable<ReadItem>): AsyncGenerator<ReadItem> {
    const now = Date.now()
    const expiring = new Set(
      this.#maps.filter(({ header }) => header.type === 'expiring_store').map(({ map }) => map),
    )
    for await (const item of items) {
      throwIfAborted(this.#signal)
      const counts = this.#countsOf(item.map)
      if (item.exp !== null && item.exp <= now) counts.expired += 1
      else {
        if (item.exp === null && expiring.has(item.map)) counts.lasting += 1
        yield item
      }
    }
  }

  /** What has to be written, from items in the order of their ids. */
  async *changes(dataset: Dataset, items: AsyncGenerator<ReadItem>): AsyncGenerator<ImportEntry> {
    let item = await items.next()
    for (const one of this.#maps) {
      yield* this.#recordChange(dataset, one)
      const counts = this.#countsOf(one.map)
      const there = dataset.entries({
        prefix: itemPrefix(one.map),
        order: 'asc',
        signal: this.#signal,
      })
      for await (const entry of there) {
        const key = keyOf(entry.pi)
        for (; isOf(item, one.map) && keyOf(item.value.id) < key; item = await items.next())
          yield* this.#write(item.value, undefined)
        if (isOf(item, one.map) && item.value.id === entry.pi) {
          yield* this.#write(item.value, entry)
          item = await items.next()
        } else if (this.#replace) {
          counts.removed += 1
          yield { pi: entry.pi, tip: null }
        }
      }
      for (; isOf(item, one.map); item = await items.next())
        yield* this.#write(item.value, undefined)
    }
  }

  /** A map that is there stays of its kind unless it is replaced. */
  async *#recordChange(dataset: Dataset, { map, header }: LoadedMap): AsyncGenerator<ImportEntry> {
    const pi = recordId(map)
    const wanted = recordOf(map, header)
    const entry = await dataset.get(pi, { signal: this.#signal })
    if (entry !== undefined && entry.tip !== null) {
      const content = await dataset.content(entry.tip, { signal: this.#signal })
      const there = parseMapRecord(content.kind === 'value' ? content.value : undefined, map)
      const same = there.kind === wanted.kind && there.ttl_ms === wanted.ttl_ms
      if (same || !this.#replace) return
    }
    yield { pi, value: wanted }
  }

  async *#write(
    { id, map, content, exp }: ReadItem,
    there: Entry | undefined,
  ): AsyncGenerator<ImportEntry> {
    const counts = this.#countsOf(map)
    if (there !== undefined && there.exp === exp && (await isContent(there.tip, content))) {
      counts.unchanged += 1
      return
    }
    counts.written += 1
    yield 'block' in content
      ? { pi: id, block: content.block, exp }
      : { pi: id, value: content.bytes, exp }
  }

  #countsOf(map: string): MapCounts {
    return this.counts.get(map) ?? noCounts()
  }
}

const noCounts = (): MapCounts => ({ written: 0, unchanged: 0, removed: 0, expired: 0, lasting: 0 })

const idsOf = (map: string): string => keyOf(itemPrefix(map))

function isOf(
  item: IteratorResult<ReadItem, unknown>,
  map: string,
): item is IteratorYieldResult<ReadItem> {
  return item.done !== true && item.value.map === map
}

async function isContent(tip: CidBytes | null, content: ReadItem['content']): Promise<boolean> {
  if (tip === null) return false
  const cid =
    'block' in content
      ? content.block.cid
      : await encodeFile(content.bytes, () => Promise.resolve())
  return bytesEqual(tip, cid)
}
