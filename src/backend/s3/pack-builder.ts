/** A pack while it grows: sections and then the index are written to where they stay. */
import { varintBytes, writeVarint } from '../../car/encode.ts'
import { V2_HEAD_BYTES } from '../../car/frame.ts'
import { indexHead, indexPlace, v2Head } from '../../car/index-v2.ts'
import { cidParts, DIGEST_BYTES, digestKey, type Block } from '../../model/cid.ts'

const FIRST_BYTES = 16 << 10
/** What has more will most likely be a full pack: room for one, so that none is left behind for the collector. */
const SMALL_BYTES = 1 << 20
const FULL_BYTES = 12 << 20
const PLACE_BYTES = 8

/** Where a block's section lies in an object, its head included. */
export interface Section {
  readonly digest: Uint8Array
  readonly at: number
  readonly length: number
}

export class PackBuilder {
  #bytes: Buffer
  #end = V2_HEAD_BYTES
  #indexAt = 0
  /** Of each section where it begins, and where its digest does. */
  readonly #places: number[] = []
  readonly #digests: number[] = []
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

  /** How many blocks it holds. */
  get count(): number {
    return this.#places.length
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
    this.#places.push(at)
    this.#digests.push(this.#end - DIGEST_BYTES)
    this.#write(bytes)
  }

  /** Nothing may be added any more. */
  finish(): { readonly bytes: Uint8Array; readonly indexAt: number } {
    const indexAt = this.#end
    this.#indexAt = indexAt
    // It is on its way for a while, and of no use there.
    this.#seen.clear()
    const head = indexHead(this.count)
    this.#reserve(head.length + this.count * (DIGEST_BYTES + PLACE_BYTES))
    const bytes = this.#bytes
    const digestAt = (i: number): number => this.#digests[i] ?? 0
    const sorted = Uint32Array.from(this.#digests.keys()).sort((a, b) =>
      bytes.compare(
        bytes,
        digestAt(b),
        digestAt(b) + DIGEST_BYTES,
        digestAt(a),
        digestAt(a) + DIGEST_BYTES,
      ),
    )
    this.#write(head)
    for (const i of sorted) {
      bytes.copyWithin(this.#end, digestAt(i), digestAt(i) + DIGEST_BYTES)
      this.#end += DIGEST_BYTES
      this.#write(indexPlace((this.#places[i] ?? 0) - V2_HEAD_BYTES))
    }
    bytes.set(v2Head(indexAt - V2_HEAD_BYTES))
    return { bytes: bytes.subarray(0, this.#end), indexAt }
  }

  /** Of a pack that was finished, in the order in which they were added. */
  sections(): Section[] {
    return this.#places.map((at, i) => {
      const digestAt = this.#digests[i] ?? 0
      return {
        digest: this.#bytes.subarray(digestAt, digestAt + DIGEST_BYTES),
        at,
        length: (this.#places[i + 1] ?? this.#indexAt) - at,
      }
    })
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
