/** Pages of a temporary file, as many of them in memory as are cached. */
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { assert } from '../errors.ts'
import { tempFailure } from './temp-failure.ts'

const PAGE_BYTES = 4096
export const PAGE_WORDS: number = PAGE_BYTES / 4
const CACHED_PAGES = 4096

/** A place in `words` is good until another page is loaded or made. */
export class PageCache {
  readonly words: Int32Array<ArrayBuffer>
  count = 0
  readonly #bytes: Uint8Array
  readonly #tempDir: string
  readonly #frames: number
  #folder = ''
  #file = -1
  /** The page in each frame (-1: none), and whether it must be written. */
  readonly #pageIn: Int32Array
  readonly #changed: Uint8Array
  /** After a failed read or write the frames may hold anything: from then on every use fails. */
  #failure: { readonly error: unknown } | undefined

  constructor(tempDir: string, frames: number = CACHED_PAGES) {
    this.#tempDir = tempDir
    this.#frames = frames
    this.words = new Int32Array(frames * PAGE_WORDS)
    this.#bytes = new Uint8Array(this.words.buffer)
    this.#pageIn = new Int32Array(frames).fill(-1)
    this.#changed = new Uint8Array(frames)
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
    const frame = page % this.#frames
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
    const frame = page % this.#frames
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
