/**
 * Where each block lies: digest -> object, place, about how long. In bounded memory, past a limit in a
 * temporary file. Made from the indexes of the packs; what it says is a hint, since another process may
 * have moved the block since: who finds the object gone asks for a new one.
 *
 * A place is one number below 2^48: 18 bits for the object, 24 for where the section begins, 6 for its
 * length, rounded up by a third at most.
 */
import { CairnError } from '../../errors.ts'
import { DIGEST_BYTES, digestKey, type CidBytes } from '../../model/cid.ts'
import { DigestMap } from '../../util/digest-map.ts'
import type { Section } from './pack-builder.ts'

/** 4 MiB: who reads one block after the other finds most of them in what was read ahead. */
const CACHED_PAGES = 1024
const LENGTH_CLASSES = 64
const CLASS_STEP = 24 / LENGTH_CLASSES
const PLACES = 2 ** 24
const OBJECTS = 2 ** 18

export interface Location {
  readonly key: string
  readonly at: number
  /** At least as long as the section. */
  readonly length: number
}

export class Locations {
  readonly #map = new DigestMap({ cachedPages: CACHED_PAGES })
  /** Healed blocks, which go before all others. */
  readonly #first = new Map<string, number>()
  readonly #keys: (string | undefined)[] = []
  readonly #numbers = new Map<string, number>()

  has(key: string): boolean {
    return this.#numbers.has(key)
  }

  /** How many were ever added. */
  get objects(): number {
    return this.#keys.length
  }

  get full(): boolean {
    return this.#keys.length >= OBJECTS
  }

  get keys(): IterableIterator<string> {
    return this.#numbers.keys()
  }

  /** What no object of ours has is passed over: digests of other lengths, places too far, sections too large. */
  add(key: string, sections: readonly Section[], healed = false): void {
    const object = this.#numberOf(key)
    for (const { digest, at, length } of sections) {
      if (digest.length !== DIGEST_BYTES || at >= PLACES || classOf(length) >= LENGTH_CLASSES)
        continue
      const value = (object * PLACES + at) * LENGTH_CLASSES + classOf(length)
      if (healed) this.#first.set(digestKey(digest), value)
      else this.#map.set(digest, value)
    }
  }

  /** Undefined: not known. `gone`: it was in an object that is there no more. */
  find(cid: CidBytes): Location | 'gone' | undefined {
    const digest = cid.subarray(cid.length - DIGEST_BYTES)
    const value = this.#first.get(digestKey(digest)) ?? this.#map.get(digest)
    if (value === undefined) return undefined
    const place = Math.floor(value / LENGTH_CLASSES)
    const key = this.#keys[Math.floor(place / PLACES)]
    if (key === undefined) return 'gone'
    return { key, at: place % PLACES, length: longestOf(value % LENGTH_CLASSES) }
  }

  /** The object is there no more; what was in it may be elsewhere. */
  drop(key: string): void {
    const number = this.#numbers.get(key)
    if (number === undefined) return
    this.#numbers.delete(key)
    this.#keys[number] = undefined
  }

  close(): void {
    this.#map.close()
  }

  #numberOf(key: string): number {
    const known = this.#numbers.get(key)
    if (known !== undefined) return known
    if (this.full) throw tooMany()
    const number = this.#keys.push(key) - 1
    this.#numbers.set(key, number)
    return number
  }
}

function tooMany(): CairnError {
  return new CairnError('backend_refused', `The bucket has more than ${OBJECTS} packs.`, {
    hint: 'Compact the store: small packs become fewer that are large.',
  })
}

const classOf = (length: number): number =>
  Math.ceil(Math.log2(Math.max(1, length)) / CLASS_STEP - 1e-9)
const longestOf = (lengthClass: number): number => Math.ceil(2 ** (lengthClass * CLASS_STEP) + 1e-6)
