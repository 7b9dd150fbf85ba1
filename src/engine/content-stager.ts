/**
 * Contents on their way into the store: encoded, and staged so that they are held until the entries
 * that link to them are committed.
 */
import { encodeFile, encodeJson, encodeRaw, fitsOneBlock } from '../content/encode.ts'
import type { Block, CidBytes } from '../model/cid.ts'
import type { Staging } from '../store/backend.ts'

function isByteStream(value: unknown): value is AsyncIterable<Uint8Array> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}

/** A content that is a block already. A class, so that no value can be taken for one. */
export class EncodedContent {
  readonly block: Block

  constructor(block: Block) {
    this.block = block
  }
}

/** The block of a value that fits one; undefined for bytes that need a file. */
export function encodeSmall(value: unknown): Block | undefined {
  if (value instanceof EncodedContent) return value.block
  if (isByteStream(value)) return undefined
  if (!(value instanceof Uint8Array)) return encodeJson(value)
  return fitsOneBlock(value) ? encodeRaw(value) : undefined
}

export class ContentStager {
  readonly #open: () => Promise<Staging>
  readonly #signal: AbortSignal | undefined
  #staging: Promise<Staging> | undefined

  /** `open` is called when there is something to stage. */
  constructor(open: () => Promise<Staging>, signal?: AbortSignal) {
    this.#open = open
    this.#signal = signal
  }

  async put(value: unknown): Promise<CidBytes> {
    const block = encodeSmall(value)
    if (block === undefined) {
      const bytes = value as Uint8Array | AsyncIterable<Uint8Array>
      return encodeFile(bytes, (part) => this.stage(part))
    }
    await this.stage(block)
    return block.cid
  }

  async stage(block: Block): Promise<void> {
    this.#staging ??= this.#open()
    await (await this.#staging).put([{ ...block, hold: 'staged' }], { signal: this.#signal })
  }

  async flush(): Promise<void> {
    await (await this.#staging)?.flush({ signal: this.#signal })
  }

  async end(): Promise<void> {
    await (await this.#staging)?.end('dropped')
  }
}
