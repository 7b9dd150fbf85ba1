/** Node's `fs` for the files that somebody has chosen: reading by position. */
import { readBlob, sizeOfBlob } from './blobs.ts'

export function readSync(
  fd: number,
  to: Uint8Array,
  at: number,
  length: number,
  position: number,
): number {
  return readBlob(fd, to.subarray(at, at + length), position)
}

export function fstatSync(fd: number): { size: number } {
  return { size: sizeOfBlob(fd) }
}
