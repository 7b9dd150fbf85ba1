/**
 * Entities as lines that `cairn import` reads. A content goes into its line when importing the line
 * gives the same CID; otherwise the line has the CID, and the content is counted as not carried.
 */
import { parseContent, printContent } from '../content/encode.ts'
import { linksOf } from '../content/links.ts'
import type { Content } from '../content/read.ts'
import { encodeSmall } from '../engine/content-stager.ts'
import type { Dataset } from '../engine/dataset.ts'
import { isCairnError } from '../errors.ts'
import { bytesEqual, CODEC_DAG_PB, cidParts, type CidBytes } from '../model/cid.ts'
import type { Entry } from '../model/entry.ts'
import { entryRecord } from '../model/entry-record.ts'
import { MAX_LINE_BYTES } from './lines.ts'

export interface ExportCounts {
  entries: number
  deleted: number
  /** Lines with their content. */
  values: number
  /** Lines whose content they do not carry, or not with all that it links to. */
  incomplete: number
}

export interface ExporterOptions {
  readonly values: boolean
  /** The dataset's contents live elsewhere, so that a missing one is no damage. */
  readonly external: boolean
  readonly signal: AbortSignal
}

/** Contents that are read ahead. */
const WIDTH = 32
/** Room for the other fields of a line. */
const MAX_VALUE_CHARS = MAX_LINE_BYTES / 4

interface Carried {
  readonly json: string
  readonly links: boolean
}

export class Exporter {
  readonly counts: ExportCounts = { entries: 0, deleted: 0, values: 0, incomplete: 0 }
  readonly #dataset: Dataset
  readonly #options: ExporterOptions

  constructor(dataset: Dataset, options: ExporterOptions) {
    this.#dataset = dataset
    this.#options = options
  }

  async *lines(entries: AsyncIterable<Entry>): AsyncGenerator<string> {
    if (!this.#options.values) {
      for await (const entry of entries) yield this.#line(entry, undefined)
      return
    }
    const ahead: { readonly entry: Entry; readonly carried: Promise<Carried | undefined> }[] = []
    for await (const entry of entries) {
      const carried = this.#carry(entry)
      carried.catch(() => undefined)
      ahead.push({ entry, carried })
      const first = ahead.length < WIDTH ? undefined : ahead.shift()
      if (first !== undefined) yield this.#line(first.entry, await first.carried)
    }
    for (const { entry, carried } of ahead) yield this.#line(entry, await carried)
  }

  #line(entry: Entry, carried: Carried | undefined): string {
    const { counts } = this
    counts.entries += 1
    if (entry.tip === null) counts.deleted += 1
    const { tip, ...fields } = entryRecord(entry)
    if (carried === undefined) {
      if (entry.tip !== null && cidParts(entry.tip).hash !== 'identity') counts.incomplete += 1
      const { pi, ver, ts, exp } = fields
      return JSON.stringify({ pi, ver, tip, ts, exp })
    }
    counts.values += 1
    if (carried.links) counts.incomplete += 1
    // The value is DAG-JSON, which a second pass through JSON would not leave as it is.
    return `${JSON.stringify(fields).slice(0, -1)},"value":${carried.json}}`
  }

  async #carry({ tip }: Entry): Promise<Carried | undefined> {
    if (tip === null) return undefined
    const { codec, hash } = cidParts(tip)
    if (codec === CODEC_DAG_PB || hash === 'identity') return undefined
    const content = await this.#read(tip)
    if (content === undefined) return undefined
    const value = content.kind === 'value' ? content.value : await oneBlock(content.bytes)
    return carriedValue(tip, value)
  }

  async #read(tip: CidBytes): Promise<Content | undefined> {
    try {
      return await this.#dataset.content(tip, { signal: this.#options.signal })
    } catch (error) {
      const elsewhere =
        isCairnError(error, 'block_missing') || isCairnError(error, 'content_missing')
      const foreign = isCairnError(error, 'invalid_content')
      if (foreign || (elsewhere && this.#options.external)) return undefined
      throw error
    }
  }
}

async function oneBlock(parts: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = []
  for await (const part of parts) all.push(part)
  return new Uint8Array(Buffer.concat(all))
}

/** Undefined unless the printed value, read again, becomes the very block that `tip` names. */
function carriedValue(tip: CidBytes, value: unknown): Carried | undefined {
  try {
    const json = printContent(value)
    if (json.length > MAX_VALUE_CHARS) return undefined
    const block = encodeSmall(parseContent(json))
    if (block === undefined || !bytesEqual(block.cid, tip)) return undefined
    return { json, links: linksOf(block.cid, block.bytes).length > 0 }
  } catch {
    // What DAG-JSON cannot say stays a CID, and is counted.
    return undefined
  }
}
