/**
 * Pulling a large JSON object apart without holding it: names, the texts of values, and where they end. What a value's
 * text is worth is for the reader of that text to say. Pure.
 */
import { isUtf8 } from 'node:buffer'
import { CairnError } from '../errors.ts'

const [QUOTE, BACKSLASH, COLON, COMMA] = [0x22, 0x5c, 0x3a, 0x2c]
const [LIST, LIST_END, MAP, MAP_END] = [0x5b, 0x5d, 0x7b, 0x7d]
const isSpace = (byte: number): boolean =>
  byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
const endsLiteral = (byte: number): boolean =>
  byte === COMMA || byte === MAP_END || byte === LIST_END || isSpace(byte)

export class Scanner {
  readonly #source: AsyncIterator<Uint8Array>
  #bytes: Buffer = Buffer.alloc(0)
  #at = 0
  /** Where `#bytes` begins in the source. */
  #offset = 0

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  /** Lets go of the source before its end. */
  async close(): Promise<void> {
    await this.#source.return?.()
  }

  /** The first bytes, which stay. */
  async start(count: number): Promise<Uint8Array> {
    while (this.#bytes.length < count && (await this.#more()));
    return this.#bytes.subarray(0, count)
  }

  /** Goes into the object that begins here, and gives the names of its members: read each one's value in between. */
  async *members(): AsyncGenerator<string> {
    await this.#expect(MAP, 'an object')
    if ((await this.#next()) === MAP_END) {
      this.#at += 1
      return
    }
    for (;;) {
      if ((await this.#next()) !== QUOTE) throw this.#broken('a name in quotes')
      const name = await this.value(MAX_NAME_TEXT)
      await this.#expect(COLON, 'a colon')
      yield nameOf(name)
      const end = await this.#next()
      this.#at += 1
      if (end === MAP_END) return
      if (end !== COMMA) throw this.#broken('a comma or the end of an object')
    }
  }

  async isObject(): Promise<boolean> {
    return (await this.#next()) === MAP
  }

  /** The text of the value that begins here; more than `most` bytes are `too_large`. */
  async value(most: number): Promise<string> {
    const first = await this.#next()
    this.#drop()
    const state = { depth: 0, quoted: false, escaped: false }
    let end = 0
    for (let length = -1; length < 0;) {
      length = endOf(this.#bytes, end, first, state)
      end = length < 0 ? this.#bytes.length : length
      if (end > most) throw this.#tooLong(most)
      if (length < 0 && !(await this.#more())) {
        if (state.depth > 0 || state.quoted || end === 0) throw this.#broken('the end of a value')
        length = end
      }
    }
    const text = this.#bytes.subarray(0, end)
    if (!isUtf8(text)) throw this.#broken('text in UTF-8')
    this.#at = end
    return text.toString('utf8')
  }

  /** Refuses anything but white space up to the end. */
  async end(): Promise<void> {
    if (await this.#any()) throw this.#broken('the end of the file')
  }

  /** Whether there is anything but white space. */
  async #any(): Promise<boolean> {
    for (;;) {
      while (this.#at < this.#bytes.length && isSpace(this.#bytes[this.#at] ?? 0)) this.#at += 1
      if (this.#at < this.#bytes.length) return true
      this.#drop()
      if (!(await this.#more())) return false
    }
  }

  async #next(): Promise<number> {
    if (await this.#any()) return this.#bytes[this.#at] ?? 0
    throw this.#broken('more: it ends here')
  }

  async #expect(byte: number, what: string): Promise<void> {
    if ((await this.#next()) !== byte) throw this.#broken(what)
    this.#at += 1
  }

  #drop(): void {
    this.#offset += this.#at
    this.#bytes = this.#bytes.subarray(this.#at)
    this.#at = 0
  }

  async #more(): Promise<boolean> {
    const { done, value } = await this.#source.next()
    if (done === true) return false
    this.#bytes =
      this.#bytes.length === 0 ? Buffer.from(value) : Buffer.concat([this.#bytes, value])
    return true
  }

  #broken(expected: string): CairnError {
    const offset = this.#offset + this.#at
    return new CairnError(
      'invalid_content',
      `It is not JSON: at byte ${offset} it needs ${expected}.`,
      {
        hint: 'A file that was cut off or edited by hand is like that: take another one.',
        offset,
      },
    )
  }

  #tooLong(most: number): CairnError {
    return new CairnError(
      'too_large',
      `At byte ${this.#offset} something has more than ${most} bytes.`,
      {
        hint: 'Larger values are carried by CARs (`cairn export-car`).',
        offset: this.#offset,
      },
    )
  }
}

/** More than an id can have, however it is escaped. */
const MAX_NAME_TEXT = 8192

function nameOf(text: string): string {
  try {
    return String(JSON.parse(text))
  } catch (cause) {
    throw new CairnError('invalid_content', 'It is not JSON: a name has a character it may not.', {
      hint: 'A file that was edited by hand is like that: take another one.',
      cause,
    })
  }
}

interface ValueState {
  depth: number
  quoted: boolean
  escaped: boolean
}

/** Where the value ends that begins at 0 with the byte `first`, looked for from `from` on; -1: not in these bytes. */
function endOf(bytes: Buffer, from: number, first: number, state: ValueState): number {
  const literal = first !== QUOTE && first !== LIST && first !== MAP
  for (let at = from; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0
    if (literal) {
      if (endsLiteral(byte)) return at
    } else if (state.quoted) {
      if (state.escaped) state.escaped = false
      else if (byte === BACKSLASH) state.escaped = true
      else if (byte === QUOTE) {
        state.quoted = false
        if (state.depth === 0) return at + 1
      }
    } else if (byte === QUOTE) state.quoted = true
    else if (byte === LIST || byte === MAP) state.depth += 1
    else if ((byte === LIST_END || byte === MAP_END) && --state.depth === 0) return at + 1
  }
  return -1
}
