/** The entries that the tables of a digest map are made of, and the hash that says where they go. */

/** An entry is 10 words: the digest's 8, and the value, low word first. */
export const ENTRY_WORDS = 10
export const KEY_WORDS = 8
const TWO_32 = 2 ** 32

/** A row of entries, seen as words and as the halves of words that the hash works on. */
export class Entries {
  readonly words: Int32Array<ArrayBuffer>
  readonly halves: Uint16Array<ArrayBuffer>

  constructor(count: number) {
    this.words = new Int32Array(count * ENTRY_WORDS)
    this.halves = new Uint16Array(this.words.buffer)
  }
}

/**
 * The multilinear hash modulo a prime just below 2^32. Its sums stay below 2^52, so that they
 * are exact. (The quotient may be one off at a boundary; that is a hash all the same.)
 */
export function hashOf(halves: Uint16Array, from: number, seeds: Uint32Array): number {
  const PRIME = 4_294_967_291
  let sum = 0
  for (let i = 0; i < KEY_WORDS * 2; i++) sum += (halves[from + i] ?? 0) * (seeds[i] ?? 0)
  return (sum - Math.floor(sum / PRIME) * PRIME) >>> 0
}

export function sameKey(a: Int32Array, aAt: number, b: Int32Array, bAt: number): boolean {
  for (let i = 0; i < KEY_WORDS; i++) if (a[aAt + i] !== b[bAt + i]) return false
  return true
}

export function copyEntry(from: Int32Array, fromAt: number, to: Int32Array, toAt: number): void {
  for (let i = 0; i < ENTRY_WORDS; i++) to[toAt + i] = from[fromAt + i] ?? 0
}

export function valueAt(words: Int32Array, at: number): number {
  return ((words[at + KEY_WORDS] ?? 0) >>> 0) + (words[at + KEY_WORDS + 1] ?? 0) * TWO_32
}

export function setValue(words: Int32Array, at: number, value: number): void {
  words[at + KEY_WORDS] = value % TWO_32
  words[at + KEY_WORDS + 1] = value / TWO_32
}
