/** Node's `crypto`, as far as reading a CAR needs it. Hashing is done at once: the engine does not wait for it. */
import { BrowserBuffer } from './buffer.ts'
import { sha256 } from './sha256.ts'

/** As a text, one char per byte. */
export function hash(_algorithm: 'sha256', bytes: Uint8Array, _as: 'binary'): string {
  return String.fromCharCode(...sha256(bytes))
}

interface Hash {
  update(part: Uint8Array | string): Hash
  digest(): BrowserBuffer
  digest(as: 'hex'): string
}

/** For texts and other short things: their parts are kept until the end. */
export function createHash(_algorithm: 'sha256'): Hash {
  const parts: BrowserBuffer[] = []
  function digest(): BrowserBuffer
  function digest(as: 'hex'): string
  function digest(as?: 'hex'): BrowserBuffer | string {
    const bytes = BrowserBuffer.from(sha256(BrowserBuffer.concat(parts)))
    return as === undefined ? bytes : bytes.toString(as)
  }
  const made: Hash = {
    update(part) {
      parts.push(BrowserBuffer.from(part))
      return made
    },
    digest,
  }
  return made
}

export function randomFillSync(array: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  return crypto.getRandomValues(array)
}
