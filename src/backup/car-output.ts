/**
 * The way of a CAR's blocks into a file or a stream: as CARv1 or CARv2, plain or encrypted.
 *
 *   CARv1            writer -> destination
 *   CARv2            writer -> destination, if that is a file; else a spool -> destination
 *   encrypted        ... -> age -> destination
 */
import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { encryptTo } from '../car/age.ts'
import { FileSink } from '../car/file-sink.ts'
import { CarV2Writer } from '../car/writer-v2.ts'
import { CarWriter, type BlockWriter, type CarSink, type CarWritten } from '../car/writer.ts'
import type { CidBytes } from '../model/cid.ts'
import { Handoff } from '../util/handoff.ts'
import { readAll } from './read-file.ts'
import { openSpool } from './spool.ts'

export interface CarForm {
  readonly version: 1 | 2
  /** Public keys of age; none: not encrypted. */
  readonly recipients: readonly string[]
  /** The folder for what has to be written elsewhere first; the system's unless given. */
  readonly tempDir?: string | undefined
}

export interface FileWritten {
  readonly bytes: number
  readonly sha256: string
}

export class CarOutput {
  readonly #form: CarForm
  readonly #file: FileHandle | undefined
  readonly #spoolDir: string | undefined
  readonly #to: CarSink
  #sealed: SealedSink | undefined
  #spool: FileHandle | undefined

  private constructor(form: CarForm, to: CarSink, file?: FileHandle, spoolDir?: string) {
    this.#form = form
    this.#to = to
    this.#file = file
    this.#spoolDir = form.tempDir ?? spoolDir
  }

  /** `file` is empty, and open for reading and writing; `folder` is where it is, and where there is room. */
  static toFile(form: CarForm, file: FileHandle, folder: string): CarOutput {
    return new CarOutput(form, new FileSink(file), file, folder)
  }

  static toSink(form: CarForm, sink: CarSink): CarOutput {
    return new CarOutput(form, sink)
  }

  async begin(root: CidBytes): Promise<BlockWriter> {
    const { version, recipients, tempDir } = this.#form
    if (recipients.length > 0) this.#sealed = await SealedSink.begin(recipients, this.#to)
    if (version === 1) return CarWriter.begin(this.#plain(), [root])
    if (this.#file !== undefined && this.#sealed === undefined)
      return CarV2Writer.begin(this.#file, [root], { tempDir })
    this.#spool = await openSpool(this.#spoolDir)
    return CarV2Writer.begin(this.#spool, [root], { tempDir })
  }

  /** Brings the rest on its way, when the writer has finished. Says what the destination got. */
  async end({ bytes, sha256 }: CarWritten): Promise<FileWritten> {
    if (this.#spool !== undefined) {
      for await (const part of readAll(this.#spool, bytes)) await this.#plain().write(part)
    }
    return (await this.#sealed?.end()) ?? { bytes, sha256 }
  }

  /** Whatever happened. An encrypted stream that was not ended by `end` stays one that is cut off. */
  async close(): Promise<void> {
    await this.#spool?.close()
  }

  #plain(): CarSink {
    return this.#sealed ?? this.#to
  }
}

class SealedSink implements CarSink {
  readonly #plain = new Handoff<Uint8Array>()
  #done: Promise<FileWritten> | undefined

  static async begin(recipients: readonly string[], to: CarSink): Promise<SealedSink> {
    const sink = new SealedSink()
    sink.#done = sink.#pour(await encryptTo(recipients, sink.#plain), to)
    // Whoever writes or ends is told.
    sink.#done.catch(() => {})
    return sink
  }

  write(chunk: Uint8Array): Promise<void> {
    return this.#plain.push(chunk)
  }

  async end(): Promise<FileWritten | undefined> {
    this.#plain.end()
    return this.#done
  }

  async #pour(cipher: AsyncIterable<Uint8Array>, to: CarSink): Promise<FileWritten> {
    const hash = createHash('sha256')
    let bytes = 0
    try {
      for await (const part of cipher) {
        await to.write(part)
        hash.update(part)
        bytes += part.length
      }
    } catch (error) {
      this.#plain.fail(error)
      throw error
    }
    return { bytes, sha256: hash.digest('hex') }
  }
}
