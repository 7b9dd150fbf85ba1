/** A part of a pack as it was read, from the beginning of a section on: its blocks are found by their digests. */
import { randomFillSync } from 'node:crypto'
import { SectionFrame } from '../../car/frame.ts'
import { isCairnError } from '../../errors.ts'
import { cidMatches, DIGEST_BYTES, type CidBytes } from '../../model/cid.ts'

/** Unknown outside: digests may be chosen so that they would lie beside each other. */
const [SEED = 0, OTHER_SEED = 0] = randomFillSync(new Uint32Array(2))

export class Segment {
  readonly bytes: Uint8Array
  /** Open addressing: for each block where its digest begins, and where its bytes end, which are between; or 0, 0. */
  readonly #slots: Int32Array
  readonly #shift: number

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    const found = wholeSections(bytes)
    const bits = Math.ceil(Math.log2(found.length + 2))
    this.#slots = new Int32Array(2 ** (bits + 1))
    this.#shift = 32 - bits
    for (let i = 0; i < found.length; i += 2) {
      const [digestAt = 0, end = 0] = [found[i], found[i + 1]]
      this.#slots.set([digestAt, end], this.#slotOf(bytes, digestAt))
    }
  }

  /** Proved; `damaged`: other bytes are here under its name. */
  find(cid: CidBytes): Uint8Array | 'damaged' | undefined {
    const slot = this.#slotOf(cid, cid.length - DIGEST_BYTES)
    const digestAt = this.#slots[slot] ?? 0
    if (digestAt === 0) return undefined
    const block = this.bytes.subarray(digestAt + DIGEST_BYTES, this.#slots[slot + 1])
    return cidMatches(cid, block) ? block : 'damaged'
  }

  #slotOf(digests: Uint8Array, at: number): number {
    const last = this.#slots.length - 2
    let slot = (hashAt(digests, at) >>> this.#shift) * 2
    for (; ; slot = slot === last ? 0 : slot + 2) {
      const digestAt = this.#slots[slot] ?? 0
      if (digestAt === 0 || sameDigest(this.bytes, digestAt, digests, at)) return slot
    }
  }
}

/** Where the digest of each begins, and where its block ends; up to what is cut off, or damaged. */
function wholeSections(bytes: Uint8Array): number[] {
  const found: number[] = []
  const frame = new SectionFrame()
  try {
    for (let at = 0; at < bytes.length; at = frame.end) {
      frame.parse(bytes, at, at, bytes.length)
      if (frame.blockAt - frame.cidAt < DIGEST_BYTES) break
      found.push(frame.blockAt - DIGEST_BYTES, frame.end)
    }
  } catch (error) {
    if (!isCairnError(error)) throw error
  }
  return found
}

function hashAt(bytes: Uint8Array, at: number): number {
  return Math.imul(wordAt(bytes, at), SEED | 1) + Math.imul(wordAt(bytes, at + 4), OTHER_SEED | 1)
}

const wordAt = (bytes: Uint8Array, at: number): number =>
  (bytes[at] ?? 0) |
  ((bytes[at + 1] ?? 0) << 8) |
  ((bytes[at + 2] ?? 0) << 16) |
  ((bytes[at + 3] ?? 0) << 24)

function sameDigest(a: Uint8Array, aAt: number, b: Uint8Array, bAt: number): boolean {
  for (let i = 0; i < DIGEST_BYTES; i++) if (a[aAt + i] !== b[bAt + i]) return false
  return true
}
