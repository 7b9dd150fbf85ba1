/**
 * Plain JSON values as DAG-CBOR, straight into one buffer: the bytes that `@ipld/dag-cbor` would write, in
 * about a fifth of the time. What is not certainly plain (links, instances of classes, `undefined`, text that is
 * not Unicode, numbers that JSON lacks, great depth and cycles) is that library's, to write or to refuse.
 */
import { NULL_BYTE, writeArrayHead, writeUint } from '../model/cbor.ts'
import { MAX_BLOCK_BYTES } from '../model/node.ts'
import { keyOrder } from './key-order.ts'

const NEGATIVE = 0x20
const BYTES = 0x40
const TEXT = 0x60
const MAP = 0xa0
const FALSE_BYTE = 0xf4
const TRUE_BYTE = 0xf5
const FLOAT_64 = 0xfb

/** The most bytes that a head takes, or a number. */
const HEAD_BYTES = 9

/** Small values share memory: an allocation of its own for each costs more than writing it. */
const SHARED_BYTES = 1 << 15
/** What is larger has memory of its own, so that none is kept for something else. */
const MAX_SHARING = 1 << 12
/** Whatever fits a block fits. */
const MAX_BYTES = MAX_BLOCK_BYTES + HEAD_BYTES

const MAX_DEPTH = 64

/** Up to here a loop over the characters beats a call of Node. */
const SHORT_TEXT = 40

const ITERATOR = Array.prototype[Symbol.iterator]
/** By this the library knows CIDs of its older versions. */
const OLD_CID = Symbol.for('@ipld/js-cid/CID')

function writeHead(to: Uint8Array, at: number, major: number, value: number): number {
  const next = writeUint(to, at, value)
  to[at] = major | (to[at] ?? 0)
  return next
}

/** Each method says whether it wrote its part; if not, the whole value is the library's. */
class Writer {
  #bytes = new Uint8Array(SHARED_BYTES)
  #buffer = Buffer.from(this.#bytes.buffer)
  #view = new DataView(this.#bytes.buffer)
  /** Where the value under way begins; what lies before it was given away. */
  #start = 0
  #at = 0
  /** Nothing but JSON is plain: no byte strings, and no member `__proto__`. */
  isStrict = false

  /** `known` itself, if those are the bytes. */
  write(value: unknown, known?: Uint8Array): Uint8Array | undefined {
    // What was made for a large value is not kept by small ones.
    if (this.#bytes.length > SHARED_BYTES) this.#use(new Uint8Array(SHARED_BYTES))
    this.#at = this.#start
    if (!this.#value(value, MAX_DEPTH)) return undefined
    const [start, end] = [this.#start, this.#at]
    if (end - start > MAX_BLOCK_BYTES) return undefined
    if (
      known?.length === end - start &&
      this.#buffer.compare(known, 0, known.length, start, end) === 0
    )
      return known
    if (end - start > MAX_SHARING) return this.#bytes.slice(start, end)
    this.#start = end
    return new Uint8Array(this.#bytes.buffer, start, end - start)
  }

  #reserve(size: number): boolean {
    return this.#at + size <= this.#bytes.length || this.#grow(this.#at - this.#start + size)
  }

  /** The value under way goes on in other memory, with room for `size` bytes of it. */
  #grow(size: number): boolean {
    if (size > MAX_BYTES) return false
    const larger = new Uint8Array(Math.min(Math.max(SHARED_BYTES, 2 * size), MAX_BYTES))
    larger.set(this.#bytes.subarray(this.#start, this.#at))
    this.#at -= this.#start
    this.#use(larger)
    return true
  }

  #use(bytes: Uint8Array<ArrayBuffer>): void {
    this.#start = 0
    this.#bytes = bytes
    this.#buffer = Buffer.from(bytes.buffer)
    this.#view = new DataView(bytes.buffer)
  }

  #value(value: unknown, depth: number): boolean {
    if (typeof value === 'string') return this.#text(value)
    if (typeof value === 'number') return this.#number(value)
    if (typeof value === 'boolean') return this.#simple(value ? TRUE_BYTE : FALSE_BYTE)
    if (value === null) return this.#simple(NULL_BYTE)
    return typeof value === 'object' && depth > 0 && this.#object(value, depth - 1)
  }

  #simple(byte: number): boolean {
    if (!this.#reserve(1)) return false
    this.#bytes[this.#at++] = byte
    return true
  }

  /** Whole numbers up to 2^53 are integers, -0 among them, and all others floats. */
  #number(value: number): boolean {
    if (!this.#reserve(HEAD_BYTES)) return false
    const at = this.#at
    if (Number.isSafeInteger(value)) {
      this.#at =
        value >= 0
          ? writeUint(this.#bytes, at, value)
          : writeHead(this.#bytes, at, NEGATIVE, -1 - value)
      return true
    }
    if (!Number.isFinite(value)) return false
    this.#bytes[at] = FLOAT_64
    this.#view.setFloat64(at + 1, value)
    this.#at = at + 9
    return true
  }

  #text(text: string): boolean {
    const { length } = text
    if (length > SHORT_TEXT) return this.#longText(text)
    if (!this.#reserve(HEAD_BYTES + length)) return false
    const bytes = this.#bytes
    let at = writeHead(bytes, this.#at, TEXT, length)
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i)
      if (code >= 0x80) return this.#longText(text)
      bytes[at++] = code
    }
    this.#at = at
    return true
  }

  #longText(text: string): boolean {
    const size = Buffer.byteLength(text)
    const isAscii = size === text.length
    if (!this.#reserve(HEAD_BYTES + size) || !(isAscii || text.isWellFormed())) return false
    const at = writeHead(this.#bytes, this.#at, TEXT, size)
    this.#at = at + this.#buffer.write(text, at, isAscii ? 'latin1' : 'utf8')
    return true
  }

  #object(value: object, depth: number): boolean {
    if (Array.isArray(value)) return this.#list(value, depth)
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype === Object.prototype)
      return this.#map(value as Readonly<Record<string, unknown>>, depth)
    if (prototype !== Uint8Array.prototype && prototype !== Buffer.prototype) return false
    if (this.isStrict) return false
    return this.#byteString(value as Uint8Array)
  }

  #byteString(value: Uint8Array): boolean {
    if (!this.#reserve(HEAD_BYTES + value.length)) return false
    const at = writeHead(this.#bytes, this.#at, BYTES, value.length)
    this.#bytes.set(value, at)
    this.#at = at + value.length
    return true
  }

  #list(list: readonly unknown[], depth: number): boolean {
    const { length } = list
    const isPlain =
      Object.getPrototypeOf(list) === Array.prototype && list[Symbol.iterator] === ITERATOR
    if (!isPlain || !this.#reserve(HEAD_BYTES)) return false
    this.#at = writeArrayHead(this.#bytes, this.#at, length)
    for (let i = 0; i < length; i++) if (!this.#value(list[i], depth)) return false
    return true
  }

  #map(map: Readonly<Record<string, unknown>>, depth: number): boolean {
    if (mayBeOther(map)) return false
    const keys = Object.keys(map)
    const values = Object.values(map)
    const order = keyOrder(keys)
    if (order === undefined || (order.hasProto && this.isStrict)) return false
    if (!this.#reserve(HEAD_BYTES)) return false
    this.#at = writeHead(this.#bytes, this.#at, MAP, keys.length)
    for (const { index, start, end } of order.fields) {
      if (!this.#key(order.bytes, start, end)) return false
      if (!this.#value(values[index], depth)) return false
    }
    return true
  }

  #key(from: Uint8Array, start: number, end: number): boolean {
    if (!this.#reserve(end - start)) return false
    const bytes = this.#bytes
    let at = this.#at
    for (let i = start; i < end; i++) bytes[at++] = from[i] ?? 0
    this.#at = at
    return true
  }
}

/** Whether the library may take it for another thing, although its prototype is that of a plain object. */
function mayBeOther(map: Readonly<Record<string | symbol, unknown>>): boolean {
  return (
    map['constructor'] !== Object ||
    map['/'] !== undefined ||
    map['asCID'] !== undefined ||
    map[OLD_CID] !== undefined
  )
}

const writer = new Writer()
let isWriting = false

/**
 * The bytes of a plain value, which fit one block; undefined for what the library must judge. Throws only
 * what reading the value throws. A getter that has another value encoded meanwhile gets the library's too.
 */
export function encodePlain(value: unknown): Uint8Array | undefined {
  return write(value, false)
}

/** The same, of nothing but JSON: bytes are not plain. Gives `known` itself, if those are the bytes. */
export function encodePlainJson(value: unknown, known?: Uint8Array): Uint8Array | undefined {
  return write(value, true, known)
}

function write(value: unknown, isStrict: boolean, known?: Uint8Array): Uint8Array | undefined {
  if (isWriting) return undefined
  isWriting = true
  writer.isStrict = isStrict
  try {
    return writer.write(value, known)
  } finally {
    isWriting = false
  }
}
