/**
 * The marks of a sweep: half a byte a block, by the block's number, so 5 MB for ten million blocks.
 *
 * A mark is of a CID, and a block has one place whatever codec it is asked for under; but what it links
 * to depends on the codec. So each codec has a bit of its own: were a block that was marked as raw
 * bytes taken for marked as dag-cbor, too, nobody would look for its links, and they would be freed.
 */
import {
  CODEC_DAG_CBOR,
  CODEC_DAG_JSON,
  CODEC_DAG_PB,
  cidParts,
  isEngineCid,
} from '../model/cid.ts'
import type { CidBytes } from '../model/cid.ts'

const FIRST_BYTES = 4096

export class Marks {
  #bits = new Uint8Array(FIRST_BYTES)

  /** Marks a block under the codec of `cid`; answers whether it was not. */
  add(number: number, cid: CidBytes): boolean {
    const at = Math.floor(number / 2)
    if (at >= this.#bits.length) this.#grow(at + 1)
    const bit = codecBit(cid) << shiftOf(number)
    const before = this.#bits[at] ?? 0
    this.#bits[at] = before | bit
    return (before & bit) === 0
  }

  /** Whether it is marked under any codec. */
  has(number: number): boolean {
    const both = this.#bits[Math.floor(number / 2)] ?? 0
    return (both & (0xf << shiftOf(number))) !== 0
  }

  #grow(least: number): void {
    const grown = new Uint8Array(Math.max(least, this.#bits.length * 2))
    grown.set(this.#bits)
    this.#bits = grown
  }
}

const shiftOf = (number: number): number => (number % 2) * 4

function codecBit(cid: CidBytes): number {
  if (isEngineCid(cid)) return 1
  const { codec } = cidParts(cid)
  if (codec === CODEC_DAG_CBOR) return 1
  if (codec === CODEC_DAG_PB) return 2
  return codec === CODEC_DAG_JSON ? 4 : 8
}
