/**
 * Saving what is streamed as a file. The browser that can writes it to disk as it comes; any other holds it
 * first, so that what is too large for that is refused before it starts, or where it turns out to be.
 */
import type { Download } from '../../../../src/client/index.ts'
import { bytesText } from '../../ui/format.ts'

/** What a browser is trusted to hold. */
const MOST_HELD = 1_000_000_000
/** Below, asking where to put it is not worth it. */
const LEAST_ASKED = 64_000_000

type Picker = (options: { suggestedName: string }) => Promise<{
  createWritable: () => Promise<WritableStream<Uint8Array>>
}>

export interface SaveOptions {
  readonly name: string
  /** Null: known when it has come. */
  readonly size: number | null
  readonly open: () => Promise<Download>
  readonly onBytes: (bytes: number) => void
  readonly signal: AbortSignal
}

/** False when the question where to put it was left. To be called by a click. */
export async function saveStream(options: SaveOptions): Promise<boolean> {
  const { name, size, open, signal } = options
  const pick = (window as { showSaveFilePicker?: Picker }).showSaveFilePicker
  if (pick === undefined || (size !== null && size < LEAST_ASKED)) {
    if (size !== null && size > MOST_HELD) throw tooLarge(size)
    await hold(options)
    return true
  }
  const file = await pick.call(window, { suggestedName: name }).catch((error: unknown) => {
    if (isNamed(error, 'AbortError')) return undefined
    throw error
  })
  if (file === undefined) return false
  const [download, writable] = [await open(), await file.createWritable()]
  await download.stream.pipeThrough(counting(options.onBytes)).pipeTo(writable, { signal })
  return true
}

async function hold({ name, open, onBytes, signal }: SaveOptions): Promise<void> {
  const { stream } = await open()
  const parts: Uint8Array<ArrayBuffer>[] = []
  let come = 0
  const keep = new WritableStream<Uint8Array>({
    write: (part) => {
      come += part.length
      if (come > MOST_HELD) throw tooLarge(come)
      parts.push(part as Uint8Array<ArrayBuffer>)
    },
  })
  await stream.pipeThrough(counting(onBytes)).pipeTo(keep, { signal })
  const url = URL.createObjectURL(new Blob(parts, { type: 'application/vnd.ipld.car' }))
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}

function counting(onBytes: (bytes: number) => void): TransformStream<Uint8Array, Uint8Array> {
  let come = 0
  return new TransformStream({
    transform: (part, control) => {
      come += part.length
      onBytes(come)
      control.enqueue(part)
    },
  })
}

const isNamed = (error: unknown, name: string): boolean =>
  error instanceof DOMException && error.name === name

function tooLarge(size: number): Error {
  const message = `This browser cannot write to disk as it downloads, and ${bytesText(size)} is too much to hold.`
  const hint =
    'Use Chrome or Edge over https or on this machine, `curl` with the token, or copy the file from the folder of backups.'
  return Object.assign(new Error(message), { code: 'too_large', hint })
}
