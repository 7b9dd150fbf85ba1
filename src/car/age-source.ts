/** The bytes of an age file as they come in: a look ahead, the header, then the rest as a stream. */
import { CairnError } from '../errors.ts'
import { damagedFile } from './age-payload.ts'

const VERSION_LINE: Uint8Array = Buffer.from('age-encryption.org/v1\n')
const LAST_LINE_START = Buffer.from('\n---')
const NEWLINE = 0x0a
/** Some 600 recipients, or 40 post-quantum ones. */
export const MAX_HEADER_BYTES: number = 64 * 1024

export class AgeSource {
  readonly #parts: AsyncIterator<Uint8Array>
  #ahead: Buffer = Buffer.alloc(0)

  constructor(parts: AsyncIterable<Uint8Array>) {
    this.#parts = parts[Symbol.asyncIterator]()
  }

  async startsWith(start: Uint8Array): Promise<boolean> {
    while (this.#ahead.length < start.length) if (!(await this.#readOn())) return false
    return startsWith(this.#ahead, start)
  }

  async take(count: number): Promise<Uint8Array> {
    while (this.#ahead.length < count) if (!(await this.#readOn())) throw damagedFile()
    const taken = this.#ahead.subarray(0, count)
    this.#ahead = this.#ahead.subarray(count)
    return taken
  }

  /** From the version to the line that begins with `---`, which no other line does. */
  async takeHeader(): Promise<Uint8Array> {
    if (!(await this.startsWith(VERSION_LINE))) {
      throw new CairnError('invalid_car', 'The file is not encrypted with age.', {
        hint: 'Use it without decryption, or check that it is the right file.',
      })
    }
    for (;;) {
      const head = this.#ahead.subarray(0, MAX_HEADER_BYTES)
      const lastLine = head.indexOf(LAST_LINE_START)
      const end = lastLine < 0 ? -1 : head.indexOf(NEWLINE, lastLine + 1)
      if (end >= 0) return this.take(end + 1)
      if (head.length === MAX_HEADER_BYTES) {
        throw new CairnError('invalid_car', 'The header of the encrypted file is too large.', {
          hint: 'Encrypt to fewer recipients, or decrypt it with the age tool.',
          limit: MAX_HEADER_BYTES,
        })
      }
      if (!(await this.#readOn())) throw damagedFile()
    }
  }

  async *rest(): AsyncGenerator<Uint8Array> {
    try {
      yield this.#ahead
      for (;;) {
        const next = await this.#parts.next()
        if (next.done === true) return
        yield next.value
      }
    } finally {
      await this.close()
    }
  }

  /** Whoever brings the bytes may stop. */
  async close(): Promise<void> {
    await this.#parts.return?.()
  }

  async #readOn(): Promise<boolean> {
    const next = await this.#parts.next()
    if (next.done === true) return false
    this.#ahead = Buffer.concat([this.#ahead, next.value])
    return true
  }
}

/** Whether a file that begins so is an age file in its binary form. */
export const isBinaryAge = (firstBytes: Uint8Array): boolean => startsWith(firstBytes, VERSION_LINE)

export function startsWith(bytes: Uint8Array, start: Uint8Array): boolean {
  return Buffer.compare(bytes.subarray(0, start.length), start) === 0
}
