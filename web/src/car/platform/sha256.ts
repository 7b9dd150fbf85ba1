/**
 * SHA-256 of bytes at hand, in one call (FIPS 180-4). WebCrypto answers later only, and what hashes streams pays
 * for each of a million small blocks with objects that this does not make. Held to Node's in test/web/car.
 */

const BLOCK_BYTES = 64
const LENGTH_BYTES = 8
const ROUNDS = 64

const primes = firstPrimes(ROUNDS)
/** The first 32 bits of the fractions of the primes' roots. */
const K = Int32Array.from(primes, (prime) => fraction(Math.cbrt(prime)))
const START = Int32Array.from(primes.slice(0, 8), (prime) => fraction(Math.sqrt(prime)))

const schedule = new Int32Array(ROUNDS)
const state = new Int32Array(8)
/** The last bytes, with their padding: one block, or two. */
const tail = new Uint8Array(2 * BLOCK_BYTES)
const tailView = new DataView(tail.buffer)

export function sha256(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  state.set(START)
  const { length } = bytes
  const whole = length - (length % BLOCK_BYTES)
  for (let at = 0; at < whole; at += BLOCK_BYTES) compress(bytes, at)
  const left = length - whole
  const padded = left + 1 + LENGTH_BYTES <= BLOCK_BYTES ? BLOCK_BYTES : 2 * BLOCK_BYTES
  tail.fill(0, left, padded)
  for (let i = 0; i < left; i++) tail[i] = bytes[whole + i] ?? 0
  tail[left] = 0x80
  tailView.setUint32(padded - 8, Math.floor(length / 2 ** 29))
  tailView.setUint32(padded - 4, length << 3)
  for (let at = 0; at < padded; at += BLOCK_BYTES) compress(tail, at)
  return digestOf(state)
}

function digestOf(words: Int32Array): Uint8Array<ArrayBuffer> {
  const digest = new Uint8Array(32)
  for (let i = 0; i < 8; i++) {
    const word = words[i] ?? 0
    digest[i * 4] = word >>> 24
    digest[i * 4 + 1] = word >>> 16
    digest[i * 4 + 2] = word >>> 8
    digest[i * 4 + 3] = word
  }
  return digest
}

/** One block into the state. */
function compress(bytes: Uint8Array, from: number): void {
  const w = schedule
  for (let i = 0, at = from; i < 16; i++, at += 4) {
    w[i] =
      ((bytes[at] ?? 0) << 24) |
      ((bytes[at + 1] ?? 0) << 16) |
      ((bytes[at + 2] ?? 0) << 8) |
      (bytes[at + 3] ?? 0)
  }
  for (let i = 16; i < ROUNDS; i++) {
    const x = w[i - 15] ?? 0
    const y = w[i - 2] ?? 0
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3)
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10)
    w[i] = ((w[i - 16] ?? 0) + s0 + (w[i - 7] ?? 0) + s1) | 0
  }
  let a = state[0] ?? 0
  let b = state[1] ?? 0
  let c = state[2] ?? 0
  let d = state[3] ?? 0
  let e = state[4] ?? 0
  let f = state[5] ?? 0
  let g = state[6] ?? 0
  let h = state[7] ?? 0
  for (let i = 0; i < ROUNDS; i++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7))
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + (K[i] ?? 0) + (w[i] ?? 0)) | 0
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10))
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0
    h = g
    g = f
    f = e
    e = (d + t1) | 0
    d = c
    c = b
    b = a
    a = (t1 + t2) | 0
  }
  state[0] = ((state[0] ?? 0) + a) | 0
  state[1] = ((state[1] ?? 0) + b) | 0
  state[2] = ((state[2] ?? 0) + c) | 0
  state[3] = ((state[3] ?? 0) + d) | 0
  state[4] = ((state[4] ?? 0) + e) | 0
  state[5] = ((state[5] ?? 0) + f) | 0
  state[6] = ((state[6] ?? 0) + g) | 0
  state[7] = ((state[7] ?? 0) + h) | 0
}

function fraction(root: number): number {
  return ((root - Math.floor(root)) * 2 ** 32) | 0
}

function firstPrimes(count: number): number[] {
  const found: number[] = []
  for (let n = 2; found.length < count; n++)
    if (found.every((prime) => n % prime !== 0)) found.push(n)
  return found
}
