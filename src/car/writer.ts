/**
 * Writing a CARv1 to any sink, in chunks of 1 MiB, hashed as they go. While one chunk is on its way to
 * the sink the next is filled; no more than two are ever in memory.
 */
import { createHash } from 'node:crypto'
import { CairnError } from '../errors.ts'
import type { CidBytes } from '../model/cid.ts'
import { carHeader, sectionHead, varintBytes, writeVarint } from './encode.ts'
import { MAX_BLOCK_BYTES, MAX_ROOTS } from './frame.ts'

export interface CarSink {
  /** The chunk is not changed until what this returns has settled. */
  write(chunk: Uint8Array): Promise<void> | void
}

export interface CarWritten {
  readonly bytes: number
  readonly blocks: number
  /** Of the whole file, in hexadecimal. */
  readonly sha256: string
}

/** What takes the blocks of a CAR, of either version. */
export interface BlockWriter {
  /** When a promise comes back, await it before the next call. The bytes are copied at once, or until then. */
  put(cid: CidBytes, bytes: Uint8Array): void | Promise<void>
  finish(): Promise<CarWritten>
}

const CHUNK_BYTES = 1 << 20

export class CarWriter implements BlockWriter {
  readonly #sink: CarSink
  readonly #hash = createHash('sha256')
  #chunk = new Uint8Array(CHUNK_BYTES)
  #spare = new Uint8Array(CHUNK_BYTES)
  #used = 0
  #written = 0
  #blocks = 0
  /** The write of `#spare`. It is awaited before that is filled again, and once it failed everything fails. */
  #pending: Promise<void> | undefined

  private constructor(sink: CarSink) {
    this.#sink = sink
  }

  static async begin(sink: CarSink, roots: readonly CidBytes[]): Promise<CarWriter> {
    if (roots.length > MAX_ROOTS) {
      throw new CairnError('too_large', `A CAR has at most ${MAX_ROOTS} roots.`, {
        hint: 'Link to them from one block, and make that the root.',
      })
    }
    const writer = new CarWriter(sink)
    await writer.#append(carHeader(roots))
    return writer
  }

  put(cid: CidBytes, bytes: Uint8Array): void | Promise<void> {
    if (bytes.length > MAX_BLOCK_BYTES) throw blockTooLarge(bytes.length)
    this.#blocks += 1
    const length = cid.length + bytes.length
    if (this.#used + varintBytes(length) + length > CHUNK_BYTES) return this.#putAcross(cid, bytes)
    const at = writeVarint(this.#chunk, this.#used, length)
    this.#chunk.set(cid, at)
    this.#chunk.set(bytes, at + cid.length)
    this.#used = at + length
  }

  /** Writes what is left, and waits for it. */
  async finish(): Promise<CarWritten> {
    await this.#flush()
    await this.#pending
    return { bytes: this.#written, blocks: this.#blocks, sha256: this.#hash.digest('hex') }
  }

  async #putAcross(cid: CidBytes, bytes: Uint8Array): Promise<void> {
    await this.#append(sectionHead(cid, bytes.length))
    await this.#append(bytes)
  }

  async #append(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + CHUNK_BYTES - this.#used)
      this.#chunk.set(part, this.#used)
      this.#used += part.length
      at += part.length
      if (this.#used === CHUNK_BYTES) await this.#flush()
    }
  }

  /** Sends the chunk off and waits for the one before it, whose buffer comes next. */
  async #flush(): Promise<void> {
    await this.#pending
    const chunk = this.#chunk.subarray(0, this.#used)
    const writing = this.#sink.write(chunk)
    // It is awaited at the next flush; a failure before that is not yet unhandled.
    if (writing !== undefined) writing.catch(() => {})
    this.#pending = writing ?? undefined
    this.#hash.update(chunk)
    this.#written += chunk.length
    this.#used = 0
    const filled = this.#chunk
    this.#chunk = this.#spare
    this.#spare = filled
  }
}

function blockTooLarge(length: number): CairnError {
  return new CairnError(
    'too_large',
    `A block of a CAR has at most 8 MiB, this one ${length} bytes.`,
    {
      hint: 'Split the content into smaller blocks.',
    },
  )
}
