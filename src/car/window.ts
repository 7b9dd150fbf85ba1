/**
 * Reading a file of a known size by position. A file that ends before it should has been changed
 * meanwhile, which is an `invalid_car`: what was found in it before no longer holds.
 */
import { fstatSync, readSync } from 'node:fs'
import { invalidCar } from './frame.ts'

export interface OpenedFile {
  readonly fd: number
  readonly path: string
  readonly size: number
}

/** Fills `to` with the bytes from `position` on. */
export function readExactly(file: OpenedFile, to: Uint8Array, position: number): void {
  let done = 0
  while (done < to.length) {
    const read = readSync(file.fd, to, done, to.length - done, position + done)
    if (read === 0) throw changed(file, position + done)
    done += read
  }
}

export function checkUnchanged(file: OpenedFile): void {
  const { size } = fstatSync(file.fd)
  if (size !== file.size) throw changed(file, Math.min(size, file.size))
}

export function changed(file: OpenedFile, offset: number): Error {
  return invalidCar(`The file ${file.path} was changed while it was read.`, offset, {
    path: file.path,
  })
}

export const WINDOW_BYTES: number = 1 << 20
const SMALL_WINDOW_BYTES = 4096
/** Reads that go on within so many bytes of the last window's end are taken for reads in order. */
const NEAR_BYTES = 64 * 1024

/**
 * A piece of the file in memory, which moves to where it is wanted: small for reads here and there,
 * growing up to WINDOW_BYTES while they go on in order.
 */
export class FileWindow {
  /** The piece, and the place in the file where it begins. */
  bytes: Uint8Array = new Uint8Array(0)
  from = 0
  readonly #file: OpenedFile
  #buffer = new Uint8Array(SMALL_WINDOW_BYTES)

  constructor(file: OpenedFile) {
    this.#file = file
  }

  /** Moves the window, if it must, so that it has `length` (few) bytes from `position` on. */
  show(position: number, length: number): void {
    const end = this.from + this.bytes.length
    if (position >= this.from && position + length <= end) return
    checkUnchanged(this.#file)
    const near = position >= this.from && position - end <= NEAR_BYTES
    const size = near ? Math.min(WINDOW_BYTES, this.#buffer.length * 4) : SMALL_WINDOW_BYTES
    if (size !== this.#buffer.length) this.#buffer = new Uint8Array(size)
    this.bytes = this.#buffer.subarray(0, 0)
    const bytes = this.#buffer.subarray(0, Math.min(size, this.#file.size - position))
    readExactly(this.#file, bytes, position)
    this.bytes = bytes
    this.from = position
  }
}
