/** A pack while it grows: sections and then the index are written to where they stay. */
import { varintBytes, writeVarint } from '../../car/encode.ts'
import { V2_HEAD_BYTES } from '../../car/frame.ts'
import { indexHead, indexPlace, v2Head } from '../../car/index-v2.ts'
import { cidParts, DIGEST_BYTES, digestKey, type Block } from '../../model/cid.ts'
import type { Section } from './pack.ts'

const FIRST_BYTES = 16 << 10
/** What has more will most likely be a full pack: room for one, so that none is left behind for the collector. */
const SMALL_BYTES = 1 << 20
const FULL_BYTES = 12 << 20
const PLACE_BYTES = 8

export class PackBuilder {
  #bytes: Buffer
  #end = V2_HEAD_BYTES
  readonly #sections: { readonly at: number; readonly digestAt: number; readonly end: number }[] =
    []
  readonly #seen = new Set<string>()

  /** `header`: of the CARv1 that lies in a pack. `room`: that of a pack which nobody needs any more. */
  constructor(header: Uint8Array, room: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES)) {
    this.#bytes = room
    this.#write(header)
  }

  /** Bytes up to now. */
  get size(): number {
    return this.#end
  }

  /** For another pack, when this one and its sections are no longer needed. */
  get room(): Buffer {
    return this.#bytes
  }

  /** It holds no block. */
  get empty(): boolean {
    return this.#sections.length === 0
  }

  /** Copies a block, unless it is there or has an identity CID. */
  add({ cid, bytes }: Block): void {
    const { hash, digest } = cidParts(cid)
    if (hash === 'identity') return
    const name = digestKey(digest)
    if (this.#seen.has(name)) return
    this.#seen.add(name)
    const at = this.#end
    const length = cid.length + bytes.length
    this.#reserve(varintBytes(length) + length)
    this.#end = writeVarint(this.#bytes, at, length)
    this.#write(cid)
    const digestAt = this.#end - DIGEST_BYTES
    this.#write(bytes)
    this.#sections.push({ at, digestAt, end: this.#end })
  }

  /** Nothing may be added any more. */
  finish(): { readonly bytes: Uint8Array; readonly indexAt: number } {
    const indexAt = this.#end
    const head = indexHead(this.#sections.length)
    this.#reserve(head.length + this.#sections.length * (DIGEST_BYTES + PLACE_BYTES))
    const bytes = this.#bytes
    const sorted = this.#sections.toSorted((a, b) =>
      bytes.compare(
        bytes,
        b.digestAt,
        b.digestAt + DIGEST_BYTES,
        a.digestAt,
        a.digestAt + DIGEST_BYTES,
      ),
    )
    this.#write(head)
    for (const { at, digestAt } of sorted) {
      bytes.copyWithin(this.#end, digestAt, digestAt + DIGEST_BYTES)
      this.#end += DIGEST_BYTES
      this.#write(indexPlace(at - V2_HEAD_BYTES))
    }
    bytes.set(v2Head(indexAt - V2_HEAD_BYTES))
    return { bytes: bytes.subarray(0, this.#end), indexAt }
  }

  /** In the order in which they were added. */
  sections(): Section[] {
    return this.#sections.map(({ at, digestAt, end }) => ({
      digest: this.#bytes.subarray(digestAt, digestAt + DIGEST_BYTES),
      at,
      length: end - at,
    }))
  }

  #write(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#end)
    this.#end += bytes.length
  }

  #reserve(more: number): void {
    const least = this.#end + more
    if (least <= this.#bytes.length) return
    const usual = least <= SMALL_BYTES ? this.#bytes.length * 4 : FULL_BYTES
    const larger = Buffer.allocUnsafeSlow(Math.max(least + (least >> 2), usual))
    larger.set(this.#bytes.subarray(0, this.#end))
    this.#bytes = larger
  }
}
