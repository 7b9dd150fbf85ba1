/** Writes blocks into packs, some of which are on their way while the next one fills. */
import type { Block } from '../../model/cid.ts'
import type { Bucket, RequestOptions } from '../../s3/bucket.ts'
import { packKey } from './layout.ts'
import { encodePack, PACK_BYTES, type Section } from './pack.ts'

const AT_ONCE = 3

export interface PackWriterOptions {
  /** Told of each pack when it is durable. */
  readonly onPack: (key: string, sections: readonly Section[], size: number) => void
  readonly now: () => number
  readonly healed?: boolean
}

export class PackWriter {
  readonly #bucket: Bucket
  readonly #options: PackWriterOptions
  readonly #uploads = new Set<Promise<void>>()
  #blocks: Block[] = []
  #bytes = 0
  #failure: { readonly error: unknown } | undefined

  constructor(bucket: Bucket, options: PackWriterOptions) {
    this.#bucket = bucket
    this.#options = options
  }

  /** Keeps what it is given until `flush` has settled. Waits while too much is on its way. */
  async put(blocks: readonly Block[], options?: RequestOptions): Promise<void> {
    for (const block of blocks) {
      this.#check()
      this.#blocks.push(block)
      this.#bytes += block.bytes.length + block.cid.length
      if (this.#bytes >= PACK_BYTES) this.#upload(options)
      while (this.#uploads.size >= AT_ONCE) await Promise.race(this.#uploads)
    }
  }

  /** What was put is durable when it returns. After a failure every call fails. */
  async flush(options?: RequestOptions): Promise<void> {
    this.#check()
    if (this.#blocks.length > 0) this.#upload(options)
    while (this.#uploads.size > 0) await Promise.race(this.#uploads)
    this.#check()
  }

  /** Nothing is under way any more. */
  async settle(): Promise<void> {
    this.#blocks = []
    await Promise.all(this.#uploads)
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  #upload(options: RequestOptions | undefined): void {
    const pack = encodePack(this.#blocks)
    this.#blocks = []
    this.#bytes = 0
    if (pack.sections.length === 0) return
    const { now, healed = false, onPack } = this.#options
    const key = packKey(now(), pack.indexAt, healed)
    const upload = this.#bucket
      .put(key, pack.bytes, { signal: options?.signal, contentType: 'application/vnd.ipld.car' })
      .then(() => onPack(key, pack.sections, pack.bytes.length))
      .catch((error: unknown) => void (this.#failure ??= { error }))
      .finally(() => this.#uploads.delete(upload))
    this.#uploads.add(upload)
  }
}
