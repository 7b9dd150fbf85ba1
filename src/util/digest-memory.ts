/** The table of a digest map that fits into memory. */
import { assert } from '../errors.ts'
import { copyEntry, Entries, ENTRY_WORDS, hashOf, sameKey, valueAt } from './digest-entries.ts'
import type { FileTable } from './digest-file.ts'

const SEGMENT_BITS = 12
const SEGMENT_ENTRIES = 1 << SEGMENT_BITS

/** Open addressing, in the order of the hashes: a slot has the number of its entry plus 1, or 0. */
export class MemoryTable {
  readonly #seeds: Uint32Array
  readonly #segments: Entries[] = []
  #bits = 10
  #slots = new Uint32Array(2 ** this.#bits)
  #count = 0

  constructor(seeds: Uint32Array) {
    this.#seeds = seeds
  }

  find(wanted: Entries): number | undefined {
    const entry = (this.#slots[this.#slotOf(wanted)] ?? 0) - 1
    return entry === -1 ? undefined : valueAt(this.#segmentOf(entry).words, wordsAt(entry))
  }

  add(wanted: Entries): boolean {
    const slot = this.#slotOf(wanted)
    if (this.#slots[slot] !== 0) return false
    const entry = this.#count++
    this.#segments[entry >>> SEGMENT_BITS] ??= new Entries(SEGMENT_ENTRIES)
    copyEntry(wanted.words, 0, this.#segmentOf(entry).words, wordsAt(entry))
    this.#slots[slot] = this.#count
    if (this.#count > this.#slots.length * 0.7) this.#grow()
    return true
  }

  /** In the order of the hashes, so that each page is made once. */
  moveTo(file: FileTable): void {
    const one = new Entries(1)
    for (const number of this.#slots) {
      if (number === 0) continue
      copyEntry(this.#segmentOf(number - 1).words, wordsAt(number - 1), one.words, 0)
      file.add(one)
    }
  }

  /** Where the key is, or the free slot where it would go. */
  #slotOf(wanted: Entries): number {
    const mask = this.#slots.length - 1
    for (let slot = this.#home(wanted, 0); ; slot = (slot + 1) & mask) {
      const entry = this.#slots[slot] ?? 0
      if (entry === 0) return slot
      const { words } = this.#segmentOf(entry - 1)
      if (sameKey(words, wordsAt(entry - 1), wanted.words, 0)) return slot
    }
  }

  #grow(): void {
    this.#bits += 1
    const slots = new Uint32Array(2 ** this.#bits)
    for (let entry = 0; entry < this.#count; entry++) {
      let slot = this.#home(this.#segmentOf(entry), wordsAt(entry))
      while (slots[slot] !== 0) slot = (slot + 1) & (slots.length - 1)
      slots[slot] = entry + 1
    }
    this.#slots = slots
  }

  #home({ halves }: Entries, at: number): number {
    return hashOf(halves, at * 2, this.#seeds) >>> (32 - this.#bits)
  }

  #segmentOf(entry: number): Entries {
    const segment = this.#segments[entry >>> SEGMENT_BITS]
    assert(segment !== undefined, 'a segment for every entry')
    return segment
  }
}

const wordsAt = (entry: number): number => (entry & (SEGMENT_ENTRIES - 1)) * ENTRY_WORDS
