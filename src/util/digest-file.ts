/**
 * The table of a digest map in a file, an extendible hash table: a directory in memory (4 bytes a page) has a
 * page number for each prefix of the hash; a page that is full is split by the next bit.
 */
import { assert } from '../errors.ts'
import { copyEntry, type Entries, ENTRY_WORDS, hashOf, sameKey, valueAt } from './digest-entries.ts'
import { PageCache, PAGE_WORDS } from './page-cache.ts'

/** A page begins with its count of entries and its depth: how many bits of the hash its entries share. */
const DEPTH_WORD = 1
const PAGE_HEAD_WORDS = 4
const PAGE_ENTRIES = Math.floor((PAGE_WORDS - PAGE_HEAD_WORDS) / ENTRY_WORDS)
/** Reached only by billions of keys: no page could be so full by chance. */
const MAX_DEPTH = 27

/** As many as a table in memory of 21 MB takes at three quarters full; a larger one is twice as large. */
export const MEMORY_ENTRIES: number = 3 * 2 ** 17

export class FileTable {
  readonly #seeds: Uint32Array
  readonly pages: PageCache
  #directory = new Uint32Array([0, 1])
  #depth = 1

  constructor(seeds: Uint32Array, tempDir: string, cachedPages?: number) {
    this.#seeds = seeds
    this.pages = new PageCache(tempDir, cachedPages)
    for (const _ of this.#directory) this.pages.words[this.pages.make() + DEPTH_WORD] = 1
  }

  find(wanted: Entries): number | undefined {
    const page = this.#pageOf(hashOf(wanted.halves, 0, this.#seeds))
    return this.#search(this.pages.load(page), wanted)
  }

  add(wanted: Entries): boolean {
    const hash = hashOf(wanted.halves, 0, this.#seeds)
    for (;;) {
      const page = this.#pageOf(hash)
      const from = this.pages.load(page)
      if (this.#search(from, wanted) !== undefined) return false
      if ((this.pages.words[from] ?? 0) < PAGE_ENTRIES) {
        this.#append(page, wanted.words, 0)
        return true
      }
      this.#split(page, hash)
    }
  }

  #pageOf(hash: number): number {
    return this.#directory[hash >>> (32 - this.#depth)] ?? 0
  }

  #search(from: number, wanted: Entries): number | undefined {
    const { words } = this.pages
    let at = from + PAGE_HEAD_WORDS
    for (let left = words[from] ?? 0; left > 0; left--, at += ENTRY_WORDS) {
      if (sameKey(words, at, wanted.words, 0)) return valueAt(words, at)
    }
    return undefined
  }

  #append(page: number, entries: Int32Array, at: number): void {
    const from = this.pages.load(page, 1)
    const count = this.pages.words[from] ?? 0
    const to = from + PAGE_HEAD_WORDS + count * ENTRY_WORDS
    copyEntry(entries, at, this.pages.words, to)
    this.pages.words[from] = count + 1
  }

  #split(page: number, hash: number): void {
    const from = this.pages.load(page, 1)
    const { words } = this.pages
    const old = words.slice(from, from + PAGE_WORDS)
    const depth = old[DEPTH_WORD] ?? 0
    if (depth === this.#depth) {
      assert(depth < MAX_DEPTH, 'pages that fill evenly')
      const narrow = this.#directory
      this.#directory = new Uint32Array(narrow.length * 2).map((_, i) => narrow[i >>> 1] ?? 0)
      this.#depth += 1
    }
    words[from] = 0
    words[from + DEPTH_WORD] = depth + 1
    const sibling = this.pages.count
    words[this.pages.make() + DEPTH_WORD] = depth + 1
    // The second half of the directory's places for this page is the sibling's.
    const places = 2 ** (this.#depth - depth)
    const first = Math.floor((hash >>> (32 - this.#depth)) / places) * places
    this.#directory.fill(sibling, first + places / 2, first + places)
    const halves = new Uint16Array(old.buffer)
    for (let i = 0; i < PAGE_ENTRIES; i++) {
      const at = PAGE_HEAD_WORDS + i * ENTRY_WORDS
      const bit = (hashOf(halves, at * 2, this.#seeds) >>> (31 - depth)) & 1
      this.#append(bit === 0 ? page : sibling, old, at)
    }
  }
}
