/**
 * Keys and numbers as they lie in the store. Changing any of them is a new format: raise `FORMAT` in
 * tables.ts, and keep reading the old one.
 *
 * - Numbers (of blocks and of commits) are 8 bytes, big-endian, so that they sort as numbers.
 * - A commit's key is its dataset's name, a zero byte, and its number.
 * - A block's digest is the 32 bytes of its sha2-256, without the codec.
 */
import { cidParts, isEngineCid } from '../../model/cid.ts'

const NUMBER_BYTES = 8

function writeNumber(target: Buffer, at: number, value: number): void {
  target.writeUInt32BE(Math.floor(value / 2 ** 32), at)
  target.writeUInt32BE(value % 2 ** 32, at + 4)
}

export function readNumber(source: Buffer, at: number): number {
  return source.readUInt32BE(at) * 2 ** 32 + source.readUInt32BE(at + 4)
}

export function numberBytes(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(NUMBER_BYTES)
  writeNumber(bytes, 0, value)
  return bytes
}

export function commitKey(dataset: string, number: number): Buffer {
  const nameBytes = Buffer.byteLength(dataset)
  const key = Buffer.alloc(nameBytes + 1 + NUMBER_BYTES)
  key.write(dataset, 0)
  writeNumber(key, nameBytes + 1, number)
  return key
}

/** A copy of the digest under which a block is stored, or the block's own bytes when its CID contains them. */
export function placeOf(cid: Uint8Array): { digest: Uint8Array } | { inline: Uint8Array } {
  if (isEngineCid(cid)) return { digest: copyFrom(cid, 4) }
  const { hash, digest } = cidParts(cid)
  return hash === 'identity' ? { inline: digest } : { digest: copyFrom(digest, 0) }
}

/** Of a Buffer, too, whose own `slice` is a view: of memory that threads share, lmdb-js crashes. */
const copyFrom = (bytes: Uint8Array, at: number): Uint8Array =>
  Uint8Array.prototype.slice.call(bytes, at)
