/** Writes blocks into packs, some of which are on their way while the next one fills. */
import { carHeader } from '../../car/encode.ts'
import { CairnError } from '../../errors.ts'
import type { Block } from '../../model/cid.ts'
import type { Bucket, RequestOptions } from '../../s3/bucket.ts'
import { packKey } from './layout.ts'
import { PACK_BYTES } from './pack.ts'
import { PackBuilder } from './pack-builder.ts'

/** Who looks for new packs looks for those that were named an hour ago and later. */
const OLDEST_NAME_MS = 30 * 60 * 1000
/** Packs in memory: so many on their way, or one fewer and one that fills. */
const AT_ONCE = 3

export interface PackWriterOptions {
  /** Told of each pack when it is durable. */
  readonly onPack: (key: string, pack: PackBuilder, size: number) => void
  /** By the server's clock. */
  readonly now: () => number
  readonly healed?: boolean
}

export class PackWriter {
  readonly #bucket: Bucket
  readonly #options: PackWriterOptions
  readonly #uploads = new Set<Promise<void>>()
  #filling: PackBuilder | undefined
  /** Used again: the collector comes too late for buffers of this size. */
  readonly #rooms: Buffer[] = []
  #failure: { readonly error: unknown } | undefined

  constructor(bucket: Bucket, options: PackWriterOptions) {
    this.#bucket = bucket
    this.#options = options
  }

  /** Copies what it is given. Waits while too much is on its way. */
  async put(blocks: readonly Block[], options?: RequestOptions): Promise<void> {
    for (const block of blocks) {
      this.#check()
      this.#filling ??= new PackBuilder(carHeader([]), this.#rooms.pop())
      this.#filling.add(block)
      if (this.#filling.size >= PACK_BYTES) this.#upload(options)
      while (this.#uploads.size >= AT_ONCE) await Promise.race(this.#uploads)
    }
  }

  /** What was put is durable when it returns. After a failure every call fails. */
  async flush(options?: RequestOptions): Promise<void> {
    this.#check()
    this.#upload(options)
    while (this.#uploads.size > 0) await Promise.race(this.#uploads)
    this.#check()
  }

  /** Nothing is under way any more. */
  async settle(): Promise<void> {
    this.#filling = undefined
    await Promise.all(this.#uploads)
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  #upload(options: RequestOptions | undefined): void {
    const pack = this.#filling
    this.#filling = undefined
    if (pack === undefined || pack.count === 0) return
    const { bytes, indexAt } = pack.finish()
    const { now, healed = false, onPack } = this.#options
    const named = now()
    const key = packKey(named, indexAt, healed, bytes.subarray(indexAt))
    const guard = (): void => {
      if (now() - named > OLDEST_NAME_MS) throw tooLate()
    }
    const contentType = 'application/vnd.ipld.car'
    const upload = this.#bucket
      .put(key, bytes, { signal: options?.signal, contentType, guard })
      .then(() => {
        onPack(key, pack, bytes.length)
        this.#rooms.push(pack.room)
      })
      .catch((error: unknown) => void (this.#failure ??= { error }))
      .finally(() => this.#uploads.delete(upload))
    this.#uploads.add(upload)
  }
}

function tooLate(): CairnError {
  return new CairnError('conflict', 'This process slept while it wrote blocks.', {
    hint: 'Begin again: nothing names them yet.',
  })
}
