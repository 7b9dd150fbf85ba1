/** Blocks in packs ahead of the commit that will name them, under a lease. */
import { CairnError, throwIfAborted } from '../../errors.ts'
import type { CallOptions, HeldBlock, Staging } from '../../store/backend.ts'
import type { BucketLease } from './lease-objects.ts'
import type { PackWriter } from './pack-writer.ts'

export class BucketStaging implements Staging {
  readonly lease: BucketLease
  readonly #writer: PackWriter
  readonly #enter: () => void
  readonly #onError: (error: unknown) => void
  #ended = false

  constructor(
    lease: BucketLease,
    writer: PackWriter,
    enter: () => void,
    onError: (error: unknown) => void,
  ) {
    this.lease = lease
    this.#writer = writer
    this.#enter = enter
    this.#onError = onError
  }

  async put(blocks: readonly HeldBlock[], options?: CallOptions): Promise<void> {
    this.#check(options)
    await this.#writer.put(blocks, options)
  }

  async flush(options?: CallOptions): Promise<void> {
    this.#check(options)
    await this.#writer.flush(options)
  }

  async end(): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    await this.#writer.settle()
    // That its end is not heard of makes a sweep wait, no more.
    await this.lease.release().catch(this.#onError)
  }

  #check(options: CallOptions | undefined): void {
    this.#enter()
    throwIfAborted(options?.signal)
    if (this.#ended) throw new CairnError('closed', 'This staging has ended.')
  }
}
