/** The first 64 bits of murmur3 (x64, 128 bits, seed 0): by it sharded directories place their names. */

const MASK = 0xffff_ffff_ffff_ffffn
const C1 = 0x87c3_7b91_1142_53d5n
const C2 = 0x4cf5_ad43_2745_937fn

const rotated = (value: bigint, by: bigint): bigint =>
  ((value << by) | (value >> (64n - by))) & MASK

const mixed1 = (k: bigint): bigint => (rotated((k * C1) & MASK, 31n) * C2) & MASK
const mixed2 = (k: bigint): bigint => (rotated((k * C2) & MASK, 33n) * C1) & MASK

function finished(h: bigint): bigint {
  let value = h ^ (h >> 33n)
  value = (value * 0xff51_afd7_ed55_8ccdn) & MASK
  value ^= value >> 33n
  value = (value * 0xc4ce_b9fe_1a85_ec53n) & MASK
  return value ^ (value >> 33n)
}

export function murmur3x64(bytes: Uint8Array): bigint {
  // Zeros behind the end change nothing, so the rest is read like a block.
  const padded = Buffer.alloc(Math.ceil((bytes.length + 1) / 16) * 16)
  padded.set(bytes)
  const whole = bytes.length - (bytes.length % 16)
  let h1 = 0n
  let h2 = 0n
  for (let at = 0; at < whole; at += 16) {
    h1 ^= mixed1(padded.readBigUInt64LE(at))
    h1 = (((rotated(h1, 27n) + h2) & MASK) * 5n + 0x52dc_e729n) & MASK
    h2 ^= mixed2(padded.readBigUInt64LE(at + 8))
    h2 = (((rotated(h2, 31n) + h1) & MASK) * 5n + 0x3849_5ab5n) & MASK
  }
  h1 ^= mixed1(padded.readBigUInt64LE(whole))
  h2 ^= mixed2(padded.readBigUInt64LE(whole + 8))
  const length = BigInt(bytes.length)
  h1 = ((h1 ^ length) + (h2 ^ length)) & MASK
  h2 = ((h2 ^ length) + h1) & MASK
  h1 = finished(h1)
  h2 = finished(h2)
  return (h1 + h2) & MASK
}
