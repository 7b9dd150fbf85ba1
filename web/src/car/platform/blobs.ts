/**
 * Files that somebody has chosen, read by position at once, as a worker may. Reads here and there go through
 * pieces that are kept: asking the browser for one takes about as long as copying a megabyte.
 */

/** What is used of a File. */
export interface ByteFile {
  readonly name: string
  readonly size: number
  /** Undefined when it cannot be read any more: it was changed or removed. */
  readonly read: (from: number, to: number) => Uint8Array | undefined
}

const PIECE_BYTES = 256 * 1024
const MOST_PIECES = 128

interface OpenedBlob {
  readonly file: ByteFile
  /** Those used last come last. */
  readonly pieces: Map<number, Uint8Array>
}

const byPath = new Map<string, ByteFile>()
const opened = new Map<number, OpenedBlob>()
let nextFd = 3

/** Gives the file a path: its name, made different from those there are. */
export function addFile(file: ByteFile): string {
  let path = file.name
  for (let i = 2; byPath.has(path); i++) path = `${file.name} (${i})`
  byPath.set(path, file)
  return path
}

export function openBlob(path: string): { fd: number; size: number } | undefined {
  const file = byPath.get(path)
  if (file === undefined) return undefined
  const fd = nextFd++
  opened.set(fd, { file, pieces: new Map() })
  return { fd, size: file.size }
}

export function closeBlob(fd: number): void {
  opened.delete(fd)
}

export function sizeOfBlob(fd: number): number {
  return opened.get(fd)?.file.size ?? 0
}

/** How many bytes were read; 0 at the end, and of a file that was changed meanwhile. */
export function readBlob(fd: number, to: Uint8Array, position: number): number {
  const blob = opened.get(fd)
  if (blob === undefined) return 0
  if (to.length >= PIECE_BYTES) {
    const end = Math.min(blob.file.size, position + to.length)
    const bytes = blob.file.read(position, end)
    if (bytes === undefined) return 0
    to.set(bytes)
    return bytes.length
  }
  const number = Math.floor(position / PIECE_BYTES)
  const piece = pieceOf(blob, number)
  const from = position - number * PIECE_BYTES
  const part = piece?.subarray(from, from + to.length)
  if (part === undefined) return 0
  to.set(part)
  return part.length
}

function pieceOf({ file, pieces }: OpenedBlob, number: number): Uint8Array | undefined {
  const known = pieces.get(number)
  const from = number * PIECE_BYTES
  const piece = known ?? file.read(from, Math.min(file.size, from + PIECE_BYTES))
  if (piece === undefined) return undefined
  pieces.delete(number)
  pieces.set(number, piece)
  const [oldest] = pieces.keys()
  if (pieces.size > MOST_PIECES && oldest !== undefined) pieces.delete(oldest)
  return piece
}
