/**
 * Random access to a CAR on disk, version 1 or 2. Opening it reads the frame of every section, so a
 * file that is cut short or malformed anywhere is refused at once; a block is then found by its digest,
 * under any codec, as in a store. Nothing is hashed here: who reads proves (promise 5).
 *
 * The index of a CARv2 is believed only when asked to, and then nothing but the place it names: the
 * section there must have the digest. What it names wrongly or not at all is looked for by a scan.
 */
import { open, type FileHandle } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import { CairnError, throwIfAborted } from '../errors.ts'
import {
  bytesEqual,
  CID_BYTES,
  cidParts,
  DIGEST_BYTES,
  isEngineCid,
  type CidBytes,
} from '../model/cid.ts'
import type { CallOptions } from '../store/backend.ts'
import type { BlockReader } from '../store/proved.ts'
import { DigestMap } from '../util/digest-map.ts'
import { pooledCopy } from '../util/pooled-copy.ts'
import {
  headerBytes,
  notACar,
  parseHeader,
  parseLayout,
  SECTION_HEAD_BYTES,
  SectionFrame,
  V2_HEAD_BYTES,
  type CarLayout,
} from './frame.ts'
import { indexCodecOf, openSortedIndex, type SortedIndex } from './index-v2.ts'
import { FrameScan, sectionBatches, type CarSection, type SectionRange } from './scan.ts'
import { changed, checkUnchanged, FileWindow, readExactly, type OpenedFile } from './window.ts'

export type { CarSection }

export interface CarProgress {
  readonly step: string
  readonly done: number
  readonly total?: number
  readonly unit?: 'bytes'
}

export interface CarFileOptions {
  /** The folder for what does not fit in memory; the system's unless given. */
  readonly tempDir?: string | undefined
  readonly signal?: AbortSignal | undefined
  /** In bytes of the file. */
  readonly onProgress?: ((progress: CarProgress) => void) | undefined
  /** Take the index of a v2 file for granted: quick lookups of single blocks; never for restoring. */
  readonly trustIndex?: boolean | undefined
}

interface Sections extends SectionRange {
  readonly roots: readonly CidBytes[]
}

export class CarFile implements BlockReader {
  readonly version: 1 | 2
  readonly roots: readonly CidBytes[]
  /** The bytes of the CARv1: for version 1 all of the file. */
  readonly dataBytes: number
  /** The multicodec of the index of a version 2; undefined: it has none. */
  readonly indexCodec: number | undefined
  readonly #handle: FileHandle
  readonly #file: OpenedFile
  readonly #sections: SectionRange
  readonly #window: FileWindow
  readonly #frame = new SectionFrame()
  readonly #tempDir: string | undefined
  readonly #index: SortedIndex | undefined
  #places: DigestMap | undefined
  #blockCount: number | undefined
  #duplicates = 0
  #closed = false

  private constructor(
    handle: FileHandle,
    file: OpenedFile,
    layout: CarLayout,
    sections: Sections,
    options: CarFileOptions,
  ) {
    this.version = layout.version
    this.roots = sections.roots
    this.dataBytes = layout.limit - layout.from
    this.indexCodec = indexCodecOf(file, layout)
    this.#handle = handle
    this.#file = file
    this.#sections = sections
    this.#window = new FileWindow(file)
    this.#tempDir = options.tempDir
    this.#index = options.trustIndex === true ? openSortedIndex(file, layout) : undefined
  }

  static async open(path: string, options: CarFileOptions = {}): Promise<CarFile> {
    throwIfAborted(options.signal)
    const handle = await open(path, 'r').catch((cause: unknown) => {
      throw cannotOpen(path, cause)
    })
    let car: CarFile | undefined
    try {
      const stats = await handle.stat()
      if (!stats.isFile()) throw notAFile(path)
      const file = { fd: handle.fd, path, size: stats.size }
      const layout = parseLayout(beginning(file), file.size)
      car = new CarFile(handle, file, layout, readHeader(file, layout), options)
      if (car.#index === undefined) await car.#scanInSteps(options)
      return car
    } catch (error) {
      await (car ?? handle).close()
      throw error
    }
  }

  get path(): string {
    return this.#file.path
  }

  /** The bytes of the file. */
  get size(): number {
    return this.#file.size
  }

  /** How many sections there are; undefined as long as the index spared the scan. */
  get blockCount(): number | undefined {
    return this.#blockCount
  }

  /** How many sections repeat the digest of an earlier one. */
  get duplicates(): number {
    return this.#duplicates
  }

  has(cid: CidBytes): boolean {
    const digest = digestIn(cid)
    return digest === undefined || this.#find(digest) !== undefined
  }

  /** Where the section of the block begins in the file; undefined for identity CIDs too. */
  offsetOf(cid: CidBytes): number | undefined {
    const digest = digestIn(cid)
    return digest === undefined ? undefined : this.#find(digest)
  }

  /** The block's bytes, the caller's to keep, not hashed. An identity CID has its block in itself. */
  read(cid: CidBytes): Uint8Array | undefined {
    const digest = digestIn(cid)
    if (digest === undefined) return Uint8Array.from(cidParts(cid).digest)
    const offset = this.#find(digest)
    if (offset === undefined) return undefined
    if (!this.#hasDigestAt(offset, digest)) throw changed(this.#file, offset)
    return this.#blockOfFrame()
  }

  async getBlocks(
    cids: readonly CidBytes[],
    options?: CallOptions,
  ): Promise<(Uint8Array | undefined)[]> {
    throwIfAborted(options?.signal)
    return cids.map((cid) => this.read(cid))
  }

  async hasBlocks(cids: readonly CidBytes[], options?: CallOptions): Promise<boolean[]> {
    throwIfAborted(options?.signal)
    return cids.map((cid) => this.has(cid))
  }

  /** All sections in file order, repeated ones too. The bytes stay good, and keep their batch in memory. */
  async *sections(options: CallOptions = {}): AsyncGenerator<readonly CarSection[]> {
    this.#checkOpen()
    for (const batch of sectionBatches(this.#file, this.#sections)) {
      throwIfAborted(options.signal)
      yield batch
      await setImmediate()
      this.#checkOpen()
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#places?.close()
    await this.#handle.close()
  }

  #checkOpen(): void {
    if (!this.#closed) return
    throw new CairnError('closed', `The CAR ${this.path} is closed.`, {
      hint: 'Open it again.',
    })
  }

  #find(digest: Uint8Array): number | undefined {
    this.#checkOpen()
    if (this.#places === undefined) {
      const named = this.#index?.find(digest)
      if (named !== undefined && this.#isSectionOf(named, digest)) return named
    }
    return (this.#places ?? this.#scanNow()).get(digest)
  }

  /** Whether the index is right that a section of this digest begins at `offset`. */
  #isSectionOf(offset: number, digest: Uint8Array): boolean {
    try {
      return this.#hasDigestAt(offset, digest)
    } catch (error) {
      checkUnchanged(this.#file)
      if (error instanceof CairnError && error.code === 'invalid_car') return false
      throw error
    }
  }

  /** Parses the frame at `offset` into the window. */
  #hasDigestAt(offset: number, digest: Uint8Array): boolean {
    const { limit } = this.#sections
    this.#window.show(offset, Math.min(SECTION_HEAD_BYTES, limit - offset))
    const { bytes, from } = this.#window
    this.#frame.parse(bytes, offset - from, offset, limit)
    const { cidAt, blockAt } = this.#frame
    return (
      blockAt - cidAt > DIGEST_BYTES &&
      bytesEqual(bytes.subarray(blockAt - DIGEST_BYTES, blockAt), digest)
    )
  }

  #blockOfFrame(): Uint8Array {
    const { blockAt, end } = this.#frame
    const { bytes, from } = this.#window
    if (end <= bytes.length) return pooledCopy(bytes.subarray(blockAt, end))
    const block = new Uint8Array(end - blockAt)
    checkUnchanged(this.#file)
    readExactly(this.#file, block, from + blockAt)
    return block
  }

  #scan(): { scan: FrameScan; places: DigestMap; counts: { blocks: number; duplicates: number } } {
    const places = new DigestMap({ tempDir: this.#tempDir })
    const counts = { blocks: 0, duplicates: 0 }
    const scan = new FrameScan(this.#file, this.#sections, (cid, offset) => {
      counts.blocks += 1
      const digest = digestIn(cid)
      if (digest !== undefined && !places.set(digest, offset)) counts.duplicates += 1
    })
    return { scan, places, counts }
  }

  async #scanInSteps({ signal, onProgress }: CarFileOptions): Promise<void> {
    const { scan, places, counts } = this.#scan()
    try {
      while (scan.step()) {
        onProgress?.({ step: 'scan', done: scan.offset, total: this.size, unit: 'bytes' })
        await setImmediate()
        throwIfAborted(signal)
      }
      this.#adopt(places, counts)
    } catch (error) {
      places.close()
      throw error
    }
  }

  #scanNow(): DigestMap {
    const { scan, places, counts } = this.#scan()
    try {
      while (scan.step());
      return this.#adopt(places, counts)
    } catch (error) {
      places.close()
      throw error
    }
  }

  #adopt(places: DigestMap, counts: { blocks: number; duplicates: number }): DigestMap {
    checkUnchanged(this.#file)
    this.#blockCount = counts.blocks
    this.#duplicates = counts.duplicates
    this.#places = places
    return places
  }
}

/** The sha2-256 digest in a CID; undefined if it is an identity CID. */
function digestIn(cid: CidBytes): Uint8Array | undefined {
  if (isEngineCid(cid)) return cid.subarray(CID_BYTES - DIGEST_BYTES)
  const { hash, digest } = cidParts(cid)
  return hash === 'identity' ? undefined : digest
}

export function beginning(file: OpenedFile): Uint8Array {
  const start = new Uint8Array(Math.min(V2_HEAD_BYTES, file.size))
  readExactly(file, start, 0)
  if (start.length === 0) throw notACar(start, 0)
  return start
}

export function readHeader(file: OpenedFile, { from, limit }: CarLayout): Sections {
  const start = new Uint8Array(Math.min(V2_HEAD_BYTES, limit - from))
  readExactly(file, start, from)
  const header = new Uint8Array(headerBytes(start, from, limit - from))
  readExactly(file, header, from)
  return { roots: parseHeader(header, from), from: from + header.length, limit }
}

export function notAFile(path: string): CairnError {
  return new CairnError('usage', `The path ${path} is no file.`, {
    hint: 'A CAR is read here and there; write what comes through a pipe to a file first.',
    path,
  })
}

export function cannotOpen(path: string, cause: unknown): unknown {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    const hint = 'Check the path.'
    return new CairnError('usage', `There is no file ${path}.`, { hint, path, cause })
  }
  if (code === 'EISDIR') return notAFile(path)
  if (code !== 'EACCES' && code !== 'EPERM') return cause
  return new CairnError('access_denied', `The file ${path} may not be read by this user.`, {
    hint: 'Check who may use it, or run as its owner.',
    path,
    cause,
  })
}
