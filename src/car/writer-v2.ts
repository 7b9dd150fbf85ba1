/**
 * Writing a CARv2 with its index into a file:
 *
 *   1 the CARv1, behind the room for the header
 *   2 the index, from the frames of what was written, sorted outside memory
 *   3 the header, which says where both are
 *
 * So a file that was not finished does not begin with the header of a CAR.
 */
import { createHash, type Hash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import { cidParts, type CidBytes } from '../model/cid.ts'
import { ExternalSort } from '../util/external-sort.ts'
import { carHeader } from './encode.ts'
import { FileSink, writeFully } from './file-sink.ts'
import { V2_HEAD_BYTES } from './frame.ts'
import { indexHead, indexPlace, v2Head } from './index-v2.ts'
import { FrameScan } from './scan.ts'
import { readExactly, WINDOW_BYTES, type OpenedFile } from './window.ts'
import { CarWriter, type BlockWriter, type CarWritten } from './writer.ts'

export interface CarV2Options {
  /** The folder for what does not fit in memory; the system's unless given. */
  readonly tempDir?: string | undefined
}

export class CarV2Writer implements BlockWriter {
  readonly #handle: FileHandle
  readonly #data: CarWriter
  readonly #headerBytes: number
  readonly #tempDir: string | undefined

  private constructor(
    handle: FileHandle,
    data: CarWriter,
    headerBytes: number,
    tempDir: string | undefined,
  ) {
    this.#handle = handle
    this.#data = data
    this.#headerBytes = headerBytes
    this.#tempDir = tempDir
  }

  /** Into an empty file that is open for reading and writing. The caller syncs and closes it. */
  static async begin(
    handle: FileHandle,
    roots: readonly CidBytes[],
    options: CarV2Options = {},
  ): Promise<CarV2Writer> {
    const data = await CarWriter.begin(new FileSink(handle, V2_HEAD_BYTES), roots)
    return new CarV2Writer(handle, data, carHeader(roots).length, options.tempDir)
  }

  put(cid: CidBytes, bytes: Uint8Array): void | Promise<void> {
    return this.#data.put(cid, bytes)
  }

  async finish(): Promise<CarWritten> {
    const { bytes: dataBytes, blocks } = await this.#data.finish()
    const limit = V2_HEAD_BYTES + dataBytes
    const file = { fd: this.#handle.fd, path: 'that is being written', size: limit }
    const head = v2Head(dataBytes)
    const hash = createHash('sha256').update(head)
    const entries = new ExternalSort({ tempDir: this.#tempDir })
    try {
      const count = await this.#collect(file, entries)
      await hashData(file, hash)
      const bytes = await this.#writeIndex(limit, count, entries, hash)
      await writeFully(this.#handle, head, 0)
      return { bytes, blocks, sha256: hash.digest('hex') }
    } finally {
      await entries.dispose()
    }
  }

  async #collect(file: OpenedFile, entries: ExternalSort): Promise<number> {
    let found: { key: string; payload: Buffer }[] = []
    const range = { from: V2_HEAD_BYTES + this.#headerBytes, limit: file.size }
    const scan = new FrameScan(file, range, (cid, offset) => {
      const { hash, digest } = cidParts(cid)
      if (hash === 'identity') return
      const key = Buffer.from(digest).toString('latin1')
      found.push({ key, payload: indexPlace(offset - V2_HEAD_BYTES) })
    })
    let count = 0
    while (scan.step()) {
      for (const entry of found) await entries.add(entry)
      count += found.length
      found = []
    }
    return count
  }

  /** Returns where the file ends. */
  async #writeIndex(at: number, count: number, entries: ExternalSort, hash: Hash): Promise<number> {
    const sink = new FileSink(this.#handle, at)
    const write = async (bytes: Uint8Array): Promise<void> => {
      hash.update(bytes)
      await sink.write(bytes)
    }
    await write(indexHead(count))
    for await (const batch of entries.sorted()) {
      await write(
        Buffer.concat(batch.flatMap(({ key, payload }) => [Buffer.from(key, 'latin1'), payload])),
      )
    }
    return sink.position
  }
}

async function hashData(file: OpenedFile, hash: Hash): Promise<void> {
  for (let at = V2_HEAD_BYTES; at < file.size; at += WINDOW_BYTES) {
    const bytes = new Uint8Array(Math.min(WINDOW_BYTES, file.size - at))
    readExactly(file, bytes, at)
    hash.update(bytes)
    await setImmediate()
  }
}
