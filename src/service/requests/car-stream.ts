/**
 * What writes into a sink, as a stream to read: it writes no faster than is read. The first bytes are there
 * before the stream is given out, so what fails before that is thrown here; what fails later fails the
 * stream, and a reader that goes away ends the writing, whether anything was written yet or not.
 */
import type { Readable } from 'node:stream'
import type { CarSink } from '../../car/writer.ts'
import { CairnError } from '../../errors.ts'
import { Handoff } from '../../util/handoff.ts'
import { started } from '../http/stream.ts'

export async function carStream(
  write: (sink: CarSink, ending: AbortSignal) => Promise<unknown>,
  reader: AbortSignal,
): Promise<Readable> {
  const parts = new Handoff<Uint8Array>()
  const ending = new AbortController()
  const stop = (): void => {
    const gone = new CairnError('aborted', 'Nobody reads the CAR any more.')
    ending.abort(gone)
    parts.fail(gone)
  }
  reader.addEventListener('abort', stop, { once: true })
  // The writer fills its buffer anew when it was handed over; the stream may still hold it then.
  const sink: CarSink = { write: (chunk) => parts.push(new Uint8Array(chunk)) }
  const written = write(sink, ending.signal)
  written.then(
    () => parts.end(),
    () => parts.end(),
  )
  async function* read(): AsyncGenerator<Uint8Array> {
    try {
      yield* parts
      // An end that is none is thrown here.
      await written
    } finally {
      stop()
    }
  }
  return started(read())
}
