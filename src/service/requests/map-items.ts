/**
 * Keys as they are told, with what they hold as DAG-JSON: printed here piece by piece, since a value may be
 * what no schema prints. An answer ends early rather than that it grows without bounds.
 */
import { printContent } from '../../content/encode.ts'
import type { Content } from '../../content/read.ts'
import type { Dataset } from '../../engine/dataset.ts'
import { isCairnError } from '../../errors.ts'
import { parseItemId } from '../../live/layout.ts'
import { cidParts, CODEC_RAW, type CidBytes } from '../../model/cid.ts'
import { entryRecord } from '../../model/entry-record.ts'
import type { Entry } from '../../model/entry.ts'

/** Values of one answer; it has at least one, however large. */
const MAX_BYTES = 4 << 20

export interface Printed {
  /** Each a JSON object. */
  readonly items: readonly string[]
  /** How many of the entries that is. */
  readonly count: number
}

export async function printItems(
  dataset: Dataset,
  entries: readonly Entry[],
  { values, signal }: { readonly values: boolean; readonly signal: AbortSignal },
): Promise<Printed> {
  const items: string[] = []
  let size = 0
  for (const entry of entries) {
    const text = await printItem(dataset, entry, values, signal)
    size += text.length
    if (values && size > MAX_BYTES && items.length > 0) break
    items.push(text)
  }
  return { items, count: items.length }
}

async function printItem(
  dataset: Dataset,
  entry: Entry,
  values: boolean,
  signal: AbortSignal,
): Promise<string> {
  const { pi, ...fields } = entryRecord(entry)
  const text = JSON.stringify({ key: parseItemId(pi)?.key ?? pi, ...fields })
  if (!values || entry.tip === null) return text
  const held = await printHeld(dataset, entry.tip, signal)
  return held === undefined ? text : `${text.slice(0, -1)},${held}}`
}

/** A field; undefined of what does not fit such an answer and is read by its key. */
async function printHeld(
  dataset: Dataset,
  tip: CidBytes,
  signal: AbortSignal,
): Promise<string | undefined> {
  const content = await dataset.content(tip, { signal })
  if (content.kind === 'value') {
    const printed = printOr(content.value)
    return printed === undefined ? undefined : `"value":${printed}`
  }
  if (cidParts(tip).codec !== CODEC_RAW) return undefined
  return `"bytes":"${(await wholeOf(content)).toString('base64')}"`
}

/** Some values of DAG-CBOR have no words in DAG-JSON. */
function printOr(value: unknown): string | undefined {
  try {
    return printContent(value)
  } catch (error) {
    if (isCairnError(error, 'invalid_content')) return undefined
    throw error
  }
}

async function wholeOf({ bytes }: Extract<Content, { kind: 'bytes' }>): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of bytes) parts.push(part)
  return Buffer.concat(parts)
}
