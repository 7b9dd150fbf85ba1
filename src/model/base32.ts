/** CIDs as base32 texts, for the shape that nearly all of them have: pages and appends consist of little else. */

const ALPHABET = Buffer.from('abcdefghijklmnopqrstuvwxyz234567')
/** The letter that names the base. */
const PREFIX = 0x62
const MAX_BYTES = 40
const USUAL_BYTES = 36
const USUAL_CHARS = 1 + Math.ceil((USUAL_BYTES * 8) / 5)

const VALUES = new Int8Array(256).fill(-1)
for (const [value, char] of ALPHABET.entries()) VALUES[char] = value

const text = Buffer.alloc(1 + Math.ceil((MAX_BYTES * 8) / 5))

/** Undefined for what is longer than a tip may be. */
export function printBase32(bytes: Uint8Array): string | undefined {
  if (bytes.length > MAX_BYTES) return undefined
  text[0] = PREFIX
  let at = 1
  let bits = 0
  let left = 0
  for (let i = 0; i < bytes.length; i++) {
    left = (left << 8) | (bytes[i] ?? 0)
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text[at++] = ALPHABET[(left >>> bits) & 31] ?? 0
    }
  }
  if (bits > 0) text[at++] = ALPHABET[(left << (5 - bits)) & 31] ?? 0
  return text.toString('latin1', 0, at)
}

/** The 36 bytes that a text stands for; undefined for every other text, good or bad. */
export function parseUsualBase32(given: string): Uint8Array | undefined {
  if (given.length !== USUAL_CHARS || given.charCodeAt(0) !== PREFIX) return undefined
  const bytes = new Uint8Array(USUAL_BYTES)
  let at = 0
  let bits = 0
  let left = 0
  for (let i = 1; i < USUAL_CHARS; i++) {
    const value = VALUES[given.charCodeAt(i)] ?? -1
    if (value < 0) return undefined
    left = (left << 5) | value
    bits += 5
    if (bits < 8) continue
    bits -= 8
    bytes[at++] = left >>> bits
  }
  // What does not fill a byte must be nothing, or two texts would be one CID.
  return (left & ((1 << bits) - 1)) === 0 ? bytes : undefined
}
