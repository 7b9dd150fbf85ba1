/**
 * What the shared code uses of Node's `Buffer`, over `Uint8Array`, and `isUtf8`. Only that: what is missing
 * here fails at once, and test/web/car holds what is here to Node's own.
 */

type Encoding = 'utf8' | 'latin1' | 'hex' | 'base64' | 'base64url'

const encoder = new TextEncoder()
// A byte order mark is a character like any other to Node.
const lenient = new TextDecoder('utf-8', { ignoreBOM: true })
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
/** `apply` takes so many arguments everywhere. */
const CHARS_AT_ONCE = 4096

export class BrowserBuffer extends Uint8Array {
  /** A copy of texts and bytes; a view of an ArrayBuffer. */
  static override from(
    source: string | ArrayLike<number> | Iterable<number> | ArrayBufferLike,
    at?: unknown,
    length?: number,
  ): BrowserBuffer {
    if (typeof source === 'string') return fromText(source, (at as Encoding | undefined) ?? 'utf8')
    if (source instanceof ArrayBuffer)
      return new BrowserBuffer(source, (at as number | undefined) ?? 0, length)
    return new BrowserBuffer(source as ArrayLike<number>)
  }

  static alloc(length: number): BrowserBuffer {
    return new BrowserBuffer(length)
  }

  static allocUnsafe(length: number): BrowserBuffer {
    return new BrowserBuffer(length)
  }

  static isBuffer(value: unknown): value is BrowserBuffer {
    return value instanceof BrowserBuffer
  }

  static byteLength(text: string): number {
    return encoder.encode(text).length
  }

  static compare(a: Uint8Array, b: Uint8Array): number {
    const shorter = Math.min(a.length, b.length)
    for (let i = 0; i < shorter; i++) {
      const difference = (a[i] ?? 0) - (b[i] ?? 0)
      if (difference !== 0) return difference < 0 ? -1 : 1
    }
    return Math.sign(a.length - b.length)
  }

  static concat(parts: readonly Uint8Array[]): BrowserBuffer {
    const whole = new BrowserBuffer(parts.reduce((sum, { length }) => sum + length, 0))
    let at = 0
    for (const part of parts) {
      whole.set(part, at)
      at += part.length
    }
    return whole
  }

  override toString(encoding: Encoding = 'utf8', from = 0, to: number = this.length): string {
    const part = this.subarray(from, to)
    switch (encoding) {
      case 'utf8':
        return lenient.decode(part)
      case 'latin1':
        return latin1(part)
      case 'hex':
        return Array.from(part, (byte) => byte.toString(16).padStart(2, '0')).join('')
      case 'base64':
        return btoa(latin1(part))
      case 'base64url':
        return btoa(latin1(part)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
    }
  }

  equals(other: Uint8Array): boolean {
    return BrowserBuffer.compare(this, other) === 0
  }

  copy(to: Uint8Array, at = 0, from = 0, end: number = this.length): number {
    const part = this.subarray(from, Math.min(end, from + to.length - at))
    to.set(part, at)
    return part.length
  }

  readUInt32LE(at = 0): number {
    return this.#view().getUint32(at, true)
  }

  readBigUInt64LE(at = 0): bigint {
    return this.#view().getBigUint64(at, true)
  }

  #view(): DataView {
    return new DataView(this.buffer, this.byteOffset, this.length)
  }
}

function latin1(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length; at += CHARS_AT_ONCE) {
    const some = bytes.subarray(at, at + CHARS_AT_ONCE)
    text += String.fromCharCode.apply(undefined, some as unknown as number[])
  }
  return text
}

function fromText(text: string, encoding: Encoding): BrowserBuffer {
  switch (encoding) {
    case 'utf8':
      return new BrowserBuffer(encoder.encode(text))
    case 'latin1':
      return fromChars(text)
    case 'hex':
      return new BrowserBuffer((text.match(/[\da-f]{2}/gi) ?? []).map((two) => parseInt(two, 16)))
    case 'base64':
    case 'base64url':
      return fromBase64(text.replaceAll('-', '+').replaceAll('_', '/'))
  }
}

function fromChars(text: string): BrowserBuffer {
  const bytes = new BrowserBuffer(text.length)
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i)
  return bytes
}

/** Nothing of a text that is none: who takes one from outside prints what came of it, and compares. */
function fromBase64(text: string): BrowserBuffer {
  try {
    return fromChars(atob(text))
  } catch {
    return new BrowserBuffer(0)
  }
}

export function isUtf8(bytes: Uint8Array): boolean {
  try {
    strict.decode(bytes)
    return true
  } catch {
    return false
  }
}
