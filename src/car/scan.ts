/**
 * Walking the sections of a CAR in file order: by their frames alone, in steps that the caller takes as
 * fast as it likes, or whole, in batches. Neither hashes.
 */
import type { CidBytes } from '../model/cid.ts'
import { SECTION_HEAD_BYTES, SectionFrame } from './frame.ts'
import { checkUnchanged, readExactly, WINDOW_BYTES, type OpenedFile } from './window.ts'

/** Where sections are in a file. */
export interface SectionRange {
  readonly from: number
  readonly limit: number
}

/** Called with a section's CID, a view that is good until the call returns, and its place in the file. */
export type FrameVisitor = (cid: CidBytes, offset: number) => void

/** After a section of so many bytes only a little is read of the next: large ones come together. */
const LARGE_SECTION_BYTES = 64 * 1024
const SMALL_WINDOW_BYTES = 4096

/** Reads the heads of the sections and skips what is in them, a window at a step. */
export class FrameScan {
  offset: number
  readonly #file: OpenedFile
  readonly #limit: number
  readonly #visit: FrameVisitor
  readonly #buffer: Uint8Array
  readonly #frame = new SectionFrame()
  #window = WINDOW_BYTES

  constructor(file: OpenedFile, { from, limit }: SectionRange, visit: FrameVisitor) {
    this.#file = file
    this.offset = from
    this.#limit = limit
    this.#buffer = new Uint8Array(Math.min(WINDOW_BYTES, limit - from))
    this.#visit = visit
  }

  /** Goes on by a window; false when there was nothing left. */
  step(): boolean {
    const from = this.offset
    if (from === this.#limit) return false
    const bytes = this.#buffer.subarray(0, Math.min(this.#window, this.#limit - from))
    readExactly(this.#file, bytes, from)
    const frame = this.#frame
    let at = 0
    const last = bytes.length - Math.min(SECTION_HEAD_BYTES, this.#limit - from)
    const whole = from + bytes.length === this.#limit
    while (at < bytes.length && (at <= last || whole)) {
      frame.parse(bytes, at, from + at, this.#limit)
      this.#visit(bytes.subarray(frame.cidAt, frame.blockAt), from + at)
      at = frame.end
    }
    this.offset = from + at
    this.#window = at - bytes.length > LARGE_SECTION_BYTES ? SMALL_WINDOW_BYTES : WINDOW_BYTES
    return true
  }
}

export interface CarSection {
  readonly cid: CidBytes
  readonly bytes: Uint8Array
  /** Where the section begins in the file. */
  readonly offset: number
}

/** All sections in batches of about WINDOW_BYTES, each in memory of its own. */
export function* sectionBatches(
  file: OpenedFile,
  { from, limit }: SectionRange,
): Generator<readonly CarSection[]> {
  let offset = from
  let size = WINDOW_BYTES
  while (offset < limit) {
    const bytes = new Uint8Array(Math.min(size, limit - offset))
    readExactly(file, bytes, offset)
    const { batch, at, needed } = sectionsIn(bytes, offset, limit)
    size = Math.max(WINDOW_BYTES, needed)
    offset += at
    if (batch.length > 0) yield batch
  }
  checkUnchanged(file)
}

/** The sections that are whole in `bytes`, where they end, and how long the one is that is not. */
function sectionsIn(
  bytes: Uint8Array,
  offset: number,
  limit: number,
): { batch: CarSection[]; at: number; needed: number } {
  const frame = new SectionFrame()
  const batch: CarSection[] = []
  const last = bytes.length - Math.min(SECTION_HEAD_BYTES, limit - offset)
  const whole = offset + bytes.length === limit
  let at = 0
  let needed = 0
  while (at < bytes.length && (at <= last || whole)) {
    frame.parse(bytes, at, offset + at, limit)
    if (frame.end > bytes.length) {
      needed = frame.end - at
      break
    }
    batch.push({
      cid: bytes.subarray(frame.cidAt, frame.blockAt),
      bytes: bytes.subarray(frame.blockAt, frame.end),
      offset: offset + at,
    })
    at = frame.end
  }
  return { batch, at, needed }
}
