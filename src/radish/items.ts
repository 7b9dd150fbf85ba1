/**
 * What files say of keys, put together: a key's value, its encoding and its expiry may stand anywhere in a file. All
 * goes through one sort outside memory, which also finds a key that is there twice. Pure but for that.
 */
import { encodeJson, encodeRaw, fitsOneBlock } from '../content/encode.ts'
import { CairnError } from '../errors.ts'
import { itemId, parseItemId } from '../live/layout.ts'
import type { Block } from '../model/cid.ts'
import { idOfKey, keyOf } from '../model/entity-id.ts'
import { ExternalSort, type SortRecord } from '../util/external-sort.ts'
import { SECTIONS, type Section } from './format.ts'
import { parseEncoding, parseExpiry } from './read-file.ts'
import { atKey, parseValue } from './value.ts'

export interface ReadItem {
  readonly id: string
  readonly map: string
  /** Bytes that fit no block are as they are. */
  readonly content: { readonly block: Block } | { readonly bytes: Uint8Array }
  /** Milliseconds since 1970. */
  readonly exp: number | null
}

export class ItemSort {
  readonly #sort = new ExternalSort()

  /** A member of a section of the map's file. */
  add(map: string, section: Section, key: string, text: string): Promise<void> {
    // Made of one text, small ones share their memory.
    const payload = Buffer.from(`${SECTIONS.indexOf(section)}${text}`)
    return this.#sort.add({ key: keyOf(idOf(map, key)), payload })
  }

  /** All keys in the order of their ids. Call it once. */
  async *items(): AsyncGenerator<ReadItem> {
    let open: SortRecord[] = []
    for await (const batch of this.#sort.sorted()) {
      for (const record of batch) {
        if (open[0] !== undefined && open[0].key !== record.key) yield itemOf(open.splice(0))
        // A key has at most one of each; the first of a second one is enough to refuse it.
        if (open.length <= SECTIONS.length) open.push(record)
      }
      // The sort's buffer goes on to other records.
      open = open.map(({ key, payload }) => ({ key, payload: Buffer.from(payload) }))
    }
    if (open.length > 0) yield itemOf(open)
  }

  dispose(): Promise<void> {
    return this.#sort.dispose()
  }
}

function idOf(map: string, key: string): string {
  try {
    return itemId(map, key)
  } catch (error) {
    throw atKey(error, map, key)
  }
}

function itemOf(records: readonly SortRecord[]): ReadItem {
  const id = idOfKey(records[0]?.key ?? '')
  const { name: map, key } = parseItemId(id) ?? { name: '', key: id }
  try {
    const texts = new Map<Section, string>()
    for (const { payload } of records) {
      const section = SECTIONS[Number(payload.toString('latin1', 0, 1))] ?? 'data'
      if (texts.has(section)) throw refused(`It is twice in "${section}"`)
      texts.set(section, payload.toString('utf8', 1))
    }
    return { id, map, ...valueOf(texts) }
  } catch (error) {
    throw atKey(error, map, key)
  }
}

function valueOf(texts: ReadonlyMap<Section, string>): Pick<ReadItem, 'content' | 'exp'> {
  const data = texts.get('data')
  if (data === undefined) throw refused('It has no value in "data"')
  const expires = texts.get('expires')
  const encoding = texts.get('encodings')
  const named = encoding === undefined ? undefined : parseEncoding(encoding)
  const value = parseValue(data, named)
  const exp = expires === undefined ? null : parseExpiry(expires)
  if (named !== 'base64') return { content: { block: encodeJson(value) }, exp }
  const bytes = value as Uint8Array
  return { content: fitsOneBlock(bytes) ? { block: encodeRaw(bytes) } : { bytes }, exp }
}

function refused(what: string): CairnError {
  return new CairnError('invalid_content', `${what}.`, {
    hint: 'What is meant cannot be known: correct the file, or take another one.',
  })
}
