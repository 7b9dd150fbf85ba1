/**
 * Contents on their way into the store: encoded, and staged so that they are held until the entries
 * that link to them are committed.
 */
import { encodeFile, encodeJson, encodeRaw, fitsOneBlock } from '../content/encode.ts'
import type { Block, CidBytes } from '../model/cid.ts'
import type { Staging } from '../store/backend.ts'

export type FileBytes = Uint8Array | AsyncIterable<Uint8Array>

function isByteStream(value: unknown): value is AsyncIterable<Uint8Array> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}

/** Where a content is found, once it is stored. */
export interface StoredContent {
  readonly cid: CidBytes
  /** It is there with all that it links to, for as long as the write takes: nothing is left to be shown. */
  readonly isWhole: boolean
}

/** The block of a value that fits one; undefined for bytes that need a file. */
export function encodeSmall(value: unknown): Block | undefined {
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

  /** Bytes, or a stream of them, that no block can hold. */
  async putFile(bytes: FileBytes): Promise<StoredContent> {
    return { cid: await encodeFile(bytes, (part) => this.stage(part)), isWhole: false }
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
