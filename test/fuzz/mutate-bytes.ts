/** What a change of an input is given, and changes of bytes whatever they are. */
import type { Random } from '../helpers/random.ts'

export type InputKind = 'bytes' | 'cbor' | 'json' | 'car'

export interface Mutation {
  readonly random: Random
  readonly kind: InputKind
  /** Other inputs, to take parts from. */
  readonly pool: readonly Uint8Array[]
  /** What is worth putting in. */
  readonly tokens: readonly Uint8Array[]
  readonly maxBytes: number
}

const TELLING = [
  0, 1, 0x0a, 0x17, 0x18, 0x1a, 0x1b, 0x1f, 0x20, 0x22, 0x40, 0x55, 0x58, 0x5b, 0x60, 0x7f, 0x80,
  0x9f, 0xa0, 0xbf, 0xd8, 0xf6, 0xf9, 0xfb, 0xff,
]

export function mutateBytes(bytes: Buffer, mutation: Mutation): Buffer {
  const { random, tokens } = mutation
  const at = random.int(0, Math.max(0, bytes.length - 1))
  const length = Math.min(bytes.length - at, random.scaled(1, 64))
  const insert = (what: Uint8Array, instead = 0): Buffer =>
    Buffer.concat([bytes.subarray(0, at), what, bytes.subarray(at + instead)])
  const set = (change: (old: number) => number): Buffer => {
    const changed = Buffer.from(bytes)
    if (changed.length > 0) changed[at] = change(changed[at] ?? 0) & 0xff
    return changed
  }
  switch (random.int(0, 10)) {
    case 0:
      return set((old) => old ^ (1 << random.int(0, 7)))
    case 1:
      return set(() => TELLING[random.int(0, TELLING.length - 1)] ?? 0)
    case 2:
      return set((old) => old + random.int(-4, 4))
    case 3:
      return set(() => random.int(0, 255))
    case 4:
      return insert(new Uint8Array(0), length)
    case 5:
      return insert(bytes.subarray(at, at + length))
    case 6:
      return insert(tokens[random.int(0, tokens.length - 1)] ?? Buffer.of(0))
    case 7: {
      const token = tokens[random.int(0, tokens.length - 1)] ?? Buffer.of(0xff)
      return insert(token, token.length)
    }
    case 8:
      return bytes.subarray(0, at)
    case 9:
      return insert(partOf(mutation), random.int(0, length))
    default:
      return number(bytes, at, random)
  }
}

function partOf({ random, pool }: Mutation): Uint8Array {
  const other = pool[random.int(0, pool.length - 1)] ?? new Uint8Array(0)
  const from = random.int(0, Math.max(0, other.length - 1))
  return other.subarray(from, from + random.scaled(1, 200))
}

/** A number of 2, 4 or 8 bytes, of either order, made another: lengths, counts, places. */
function number(bytes: Buffer, at: number, random: Random): Buffer {
  const changed = Buffer.from(bytes)
  const size = random.pick([2, 4, 8])
  if (at + size > changed.length) return changed
  const values = [0n, 1n, 0xffn, 0x100n, 0xffffn, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 64n - 1n]
  const value = BigInt.asUintN(size * 8, values[random.int(0, values.length - 1)] ?? 0n)
  const eight = Buffer.alloc(8)
  if (random.next() < 0.5) eight.writeBigUInt64LE(value)
  else eight.writeBigUInt64BE(value << BigInt(64 - size * 8))
  eight.copy(changed, at, 0, size)
  return changed
}
