/** Which blocks writers said that they need, while a sweep went on. */
import { digestKey } from '../../model/cid.ts'

export class DigestSet {
  readonly #digests = new Set<string>()

  /** Digests of 32 bytes, one behind the other. */
  addAll(bytes: Uint8Array): void {
    for (let at = 0; at + 32 <= bytes.length; at += 32) {
      this.#digests.add(digestKey(bytes.subarray(at, at + 32)))
    }
  }

  has(digest: Uint8Array): boolean {
    return this.#digests.has(digestKey(digest))
  }
}
