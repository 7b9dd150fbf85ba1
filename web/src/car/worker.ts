/** The worker: CARs are opened, proved and read here, by the same code as on the command line. */
import { serve } from './serve.ts'
import type { FromWorker, ToWorker } from './protocol.ts'

/** What of a worker's world is used here; the page's types do not know it. */
interface WorkerWorld {
  postMessage(message: FromWorker): void
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null
  readonly FileReaderSync: new () => { readAsArrayBuffer(part: Blob): ArrayBuffer }
}

const world = globalThis as unknown as WorkerWorld
const reader = new world.FileReaderSync()

function readFile(file: File, from: number, to: number): Uint8Array | undefined {
  try {
    return new Uint8Array(reader.readAsArrayBuffer(file.slice(from, to)))
  } catch (error) {
    // What the file has become is not told; the shared code says that it was changed.
    if (error instanceof DOMException) return undefined
    throw error
  }
}

const receive = serve((message) => world.postMessage(message), readFile)
world.onmessage = ({ data }) => receive(data)
