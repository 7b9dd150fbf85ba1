/** Printing and reading files of maps in memory. */
import { encodeJson, encodeRaw, fitsOneBlock } from '../../src/content/encode.ts'
import { headerOf, type FileHeader, type FileType } from '../../src/radish/format.ts'
import { ItemSort, type ReadItem } from '../../src/radish/items.ts'
import { printFile, type PrintedItem } from '../../src/radish/print-file.ts'
import { readFile } from '../../src/radish/read-file.ts'
import { printBytes, printValue } from '../../src/radish/value.ts'
import { itemId, type MapRecord } from '../../src/live/layout.ts'
import { keyOf } from '../../src/model/entity-id.ts'

interface Kept {
  readonly value: unknown
  readonly exp: number | null
}

export type Items = ReadonlyMap<string, Kept>

/** The file of a map, as an export writes it. */
export async function printed(
  name: string,
  record: Pick<MapRecord, 'kind' | 'ttl_ms'>,
  items: Items,
  ms = 1_763_223_078_027,
): Promise<string> {
  const sorted = [...items].toSorted(([a], [b]) =>
    keyOf(itemId(name, a)) < keyOf(itemId(name, b)) ? -1 : 1,
  )
  async function* entries(): AsyncGenerator<PrintedItem> {
    for (const [key, { value, exp }] of sorted) {
      const isBytes = value instanceof Uint8Array
      yield {
        key,
        exp,
        value: isBytes ? printBytes(value) : printValue(encodeJson(value).cid, value),
      }
    }
  }
  let text = ''
  for await (const part of printFile(
    headerOf(name, record, { ms, itemCount: items.size }),
    entries(),
  ))
    text += part
  return text
}

/** `bytes` in pieces of at most `size`. */
export async function* pieces(
  bytes: Uint8Array,
  size: number = 1 << 16,
): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

/** What a file says, as an import reads it. */
export async function readBack(
  file: string | Uint8Array,
  { size, map = 'm' }: { readonly size?: number; readonly map?: string } = {},
): Promise<{ readonly header: FileHeader; readonly items: ReadItem[] }> {
  const sort = new ItemSort()
  try {
    const bytes = typeof file === 'string' ? Buffer.from(file) : file
    const header = await readFile(pieces(bytes, size), (section, key, text) =>
      sort.add(map, section, key, text),
    )
    const items: ReadItem[] = []
    for await (const item of sort.items()) items.push(item)
    return { header, items }
  } finally {
    await sort.dispose()
  }
}

/** What reading must give for a map's items: ids, contents by CID or as bytes, expiry. */
export const expected = (name: string, items: Items): unknown =>
  [...items]
    .map(([key, { value, exp }]) => ({
      id: itemId(name, key),
      map: name,
      exp,
      content: contentOf(value),
    }))
    .toSorted((a, b) => (keyOf(a.id) < keyOf(b.id) ? -1 : 1))

function contentOf(value: unknown): ReadItem['content'] {
  if (!(value instanceof Uint8Array)) return { block: encodeJson(value) }
  return fitsOneBlock(value) ? { block: encodeRaw(value) } : { bytes: value }
}

/** A file as the old system wrote one. */
export function oldFile(data: string, more: Record<string, unknown> = {}): string {
  const count = Object.keys(JSON.parse(data) as object).length
  const fields: Record<string, unknown> = {
    type: 'named_cache' satisfies FileType,
    cache_name: 'm',
    timestamp: '20251115_161118',
    datetime: '2025-11-15T16:11:18.027451',
    item_count: count,
    ...more,
  }
  const lines = Object.entries(fields).map(([name, value]) => `"${name}": ${JSON.stringify(value)}`)
  return `{${lines.join(', ')}, "data": ${data}}`
}
