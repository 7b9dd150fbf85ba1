/**
 * A map from 32-byte digests to numbers, for any number of keys in bounded memory: a hash table in
 * typed arrays, and past a limit a file of pages. Keys are compared whole. Where one goes is decided by
 * a hash with random seeds, since a hostile file names digests of its choosing: whatever two keys are,
 * their hashes are equal with a chance of about 1 in 2^32.
 */
import { randomFillSync } from 'node:crypto'
import { tmpdir } from 'node:os'
import { assert } from '../errors.ts'
import { Entries, KEY_WORDS, setValue } from './digest-entries.ts'
import { FileTable, MEMORY_ENTRIES } from './digest-file.ts'
import { MemoryTable } from './digest-memory.ts'

export interface DigestMapOptions {
  /** The folder for the file; the system's unless given. */
  readonly tempDir?: string | undefined
  /** Past so many keys they go to a file; 393,216 unless given. */
  readonly memoryEntries?: number | undefined
  /** So many pages of the file, of 4 KiB, are kept in memory; 4,096 unless given. */
  readonly cachedPages?: number | undefined
}

const KEY_BYTES = KEY_WORDS * 4

export class DigestMap {
  readonly #tempDir: string
  readonly #memoryEntries: number
  readonly #cachedPages: number | undefined
  readonly #seeds = randomFillSync(new Uint32Array(KEY_WORDS * 2))
  /** The entry that is looked for, aligned to words. */
  readonly #wanted = new Entries(1)
  readonly #wantedBytes = new Uint8Array(this.#wanted.words.buffer, 0, KEY_BYTES)
  #table: MemoryTable | FileTable | undefined
  #size = 0

  constructor(options: DigestMapOptions = {}) {
    this.#tempDir = options.tempDir ?? tmpdir()
    this.#memoryEntries = options.memoryEntries ?? MEMORY_ENTRIES
    this.#cachedPages = options.cachedPages
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
    setValue(this.#wanted.words, 0, value)
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
    const file = new FileTable(this.#seeds, this.#tempDir, this.#cachedPages)
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
