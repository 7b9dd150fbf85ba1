/**
 * A map from 32-byte digests to numbers, for any number of keys in bounded memory: a hash table in
 * typed arrays, and past a limit a file of pages. Keys are compared whole. Where one goes is decided by
 * a hash with random seeds, since a hostile file names digests of its choosing: whatever two keys are,
 * their hashes are equal with a chance of about 1 in 2^32.
 *
 * The file is an extendible hash table: a directory in memory (4 bytes a page) has a page number for each
 * prefix of the hash; a page that is full is split by the next bit.
 */
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { randomFillSync } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert } from '../errors.ts'
import { tempFailure } from './temp-failure.ts'

export interface DigestMapOptions {
  /** The folder for the file; the system's unless given. */
  readonly tempDir?: string | undefined
  /** Past so many keys they go to a file; 393,216 unless given. */
  readonly memoryEntries?: number | undefined
}

const KEY_BYTES = 32
/** As many as a table of 21 MB takes at three quarters full; a larger one is twice as large. */
const MEMORY_ENTRIES = 3 * 2 ** 17
const TWO_32 = 2 ** 32

/** An entry is 10 words: the digest's 8, and the value, low word first. */
const ENTRY_WORDS = 10
const KEY_WORDS = 8

export class DigestMap {
  readonly #tempDir: string
  readonly #memoryEntries: number
  readonly #seeds = randomFillSync(new Uint32Array(KEY_WORDS * 2))
  /** The entry that is looked for, aligned to words. */
  readonly #wanted = new Entries(1)
  readonly #wantedBytes = new Uint8Array(this.#wanted.words.buffer, 0, KEY_BYTES)
  #table: MemoryTable | FileTable | undefined
  #size = 0

  constructor(options: DigestMapOptions = {}) {
    this.#tempDir = options.tempDir ?? tmpdir()
    this.#memoryEntries = options.memoryEntries ?? MEMORY_ENTRIES
    this.#table = new MemoryTable(this.#seeds)
  }

  get size(): number {
    return this.#size
  }

  get(key: Uint8Array): number | undefined {
    return this.#look(key).find(this.#wanted)
  }

  has(key: Uint8Array): boolean {
    return this.get(key) !== undefined
  }

  /** True when the key is new; a key that is there keeps its value. Values are whole numbers below 2^48. */
  set(key: Uint8Array, value: number): boolean {
    assert(Number.isSafeInteger(value) && value >= 0 && value < 2 ** 48, 'a value below 2^48')
    let table = this.#look(key)
    this.#wanted.words[KEY_WORDS] = value % TWO_32
    this.#wanted.words[KEY_WORDS + 1] = value / TWO_32
    if (table instanceof MemoryTable && this.#size >= this.#memoryEntries) {
      if (table.find(this.#wanted) !== undefined) return false
      table = this.#spill(table)
    }
    const added = table.add(this.#wanted)
    if (added) this.#size += 1
    return added
  }

  close(): void {
    if (this.#table instanceof FileTable) this.#table.pages.close()
    this.#table = undefined
  }

  #look(key: Uint8Array): MemoryTable | FileTable {
    assert(key.length === KEY_BYTES, 'a key of 32 bytes')
    assert(this.#table !== undefined, 'a map that is open')
    this.#wantedBytes.set(key)
    return this.#table
  }

  #spill(memory: MemoryTable): FileTable {
    const file = new FileTable(this.#seeds, this.#tempDir)
    try {
      memory.moveTo(file)
    } catch (error) {
      file.pages.close()
      throw error
    }
    this.#table = file
    return file
  }
}

/** A row of entries, seen as words and as the halves of words that the hash works on. */
class Entries {
  readonly words: Int32Array<ArrayBuffer>
  readonly halves: Uint16Array<ArrayBuffer>

  constructor(count: number) {
    this.words = new Int32Array(count * ENTRY_WORDS)
    this.halves = new Uint16Array(this.words.buffer)
  }
}

/**
 * The multilinear hash modulo a prime just below 2^32. Its sums stay below 2^52, so that they
 * are exact. (The quotient may be one off at a boundary; that is a hash all the same.)
 */
function hashOf(halves: Uint16Array, from: number, seeds: Uint32Array): number {
  const PRIME = 4_294_967_291
  let sum = 0
  for (let i = 0; i < KEY_WORDS * 2; i++) sum += (halves[from + i] ?? 0) * (seeds[i] ?? 0)
  return (sum - Math.floor(sum / PRIME) * PRIME) >>> 0
}

function sameKey(a: Int32Array, aAt: number, b: Int32Array, bAt: number): boolean {
  for (let i = 0; i < KEY_WORDS; i++) if (a[aAt + i] !== b[bAt + i]) return false
  return true
}

function copyEntry(from: Int32Array, fromAt: number, to: Int32Array, toAt: number): void {
  for (let i = 0; i < ENTRY_WORDS; i++) to[toAt + i] = from[fromAt + i] ?? 0
}

function valueAt(words: Int32Array, at: number): number {
  return ((words[at + KEY_WORDS] ?? 0) >>> 0) + (words[at + KEY_WORDS + 1] ?? 0) * TWO_32
}

const SEGMENT_BITS = 12
const SEGMENT_ENTRIES = 1 << SEGMENT_BITS

/** Open addressing, in the order of the hashes: a slot has the number of its entry plus 1, or 0. */
class MemoryTable {
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

const PAGE_BYTES = 4096
const PAGE_WORDS = PAGE_BYTES / 4
const CACHED_PAGES = 4096
/** A page begins with its count of entries and its depth: how many bits of the hash its entries share. */
const DEPTH_WORD = 1
const PAGE_HEAD_WORDS = 4
const PAGE_ENTRIES = Math.floor((PAGE_WORDS - PAGE_HEAD_WORDS) / ENTRY_WORDS)
/** Reached only by billions of keys: no page could be so full by chance. */
const MAX_DEPTH = 27

class FileTable {
  readonly #seeds: Uint32Array
  readonly pages: PageCache
  #directory = new Uint32Array([0, 1])
  #depth = 1

  constructor(seeds: Uint32Array, tempDir: string) {
    this.#seeds = seeds
    this.pages = new PageCache(tempDir)
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

/** Pages of a temporary file. A place in `words` is good until another page is loaded or made. */
class PageCache {
  readonly words: Int32Array<ArrayBuffer> = new Int32Array(CACHED_PAGES * PAGE_WORDS)
  count = 0
  readonly #bytes = new Uint8Array(this.words.buffer)
  readonly #tempDir: string
  #folder = ''
  #file = -1
  /** The page in each frame (-1: none), and whether it must be written. */
  readonly #pageIn = new Int32Array(CACHED_PAGES).fill(-1)
  readonly #changed = new Uint8Array(CACHED_PAGES)
  /** After a failed read or write the frames may hold anything: from then on every use fails. */
  #failure: { readonly error: unknown } | undefined

  constructor(tempDir: string) {
    this.#tempDir = tempDir
    this.#try(() => {
      this.#folder = mkdtempSync(join(tempDir, 'cairn-digests-'))
      this.#file = openSync(join(this.#folder, 'pages'), 'wx+', 0o600)
    })
    // Open, but without a name: nothing is left of it when this process dies.
    this.#removeFolder()
  }

  close(): void {
    closeSync(this.#file)
    this.#removeFolder()
  }

  #removeFolder(): void {
    try {
      rmSync(this.#folder, { recursive: true, force: true })
    } catch {
      // Where an open file cannot be removed it goes when the map is closed.
    }
  }

  /** `changing`: 1 if the page will be changed. */
  load(page: number, changing = 0): number {
    const frame = page % CACHED_PAGES
    if (this.#failure !== undefined) throw this.#failure.error
    if (this.#pageIn[frame] !== page) {
      this.#empty(frame)
      this.#try(() => {
        const at = frame * PAGE_BYTES
        const read = readSync(this.#file, this.#bytes, at, PAGE_BYTES, page * PAGE_BYTES)
        assert(read === PAGE_BYTES, 'a temporary file that keeps its pages')
      })
      this.#pageIn[frame] = page
    }
    this.#changed[frame] ||= changing
    return frame * PAGE_WORDS
  }

  /** A new, empty page, the next after the last. */
  make(): number {
    const page = this.count++
    const frame = page % CACHED_PAGES
    this.#empty(frame)
    this.#pageIn[frame] = page
    this.#changed[frame] = 1
    this.words.fill(0, frame * PAGE_WORDS, (frame + 1) * PAGE_WORDS)
    return frame * PAGE_WORDS
  }

  /** Writes what is in a frame before another page comes there. */
  #empty(frame: number): void {
    const page = this.#pageIn[frame] ?? -1
    if (this.#changed[frame] === 0) return
    this.#try(() => {
      for (let done = 0; done < PAGE_BYTES;) {
        const at = frame * PAGE_BYTES + done
        done += writeSync(this.#file, this.#bytes, at, PAGE_BYTES - done, page * PAGE_BYTES + done)
      }
    })
    this.#changed[frame] = 0
  }

  #try(act: () => void): void {
    try {
      act()
    } catch (error) {
      this.#failure = { error: tempFailure(error, this.#tempDir) }
      throw this.#failure.error
    }
  }
}
