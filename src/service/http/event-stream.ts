/**
 * Server-Sent Events as an answer: a source's events, each written only when the reader has room for it, and
 * a comment now and then so that nobody in between takes the connection for dead. So a slow reader makes its
 * source wait, and memory holds no more than what its socket does.
 */
import { once } from 'node:events'
import { PassThrough, type Readable } from 'node:stream'

export interface ServerEvent {
  /** What `Last-Event-ID` says when the reader comes back. */
  readonly id: string
  /** Not given: only the id is told. */
  readonly event?: string
  readonly data?: unknown
}

export const EVENT_STREAM = 'text/event-stream'

const HEARTBEAT_MS = 15_000
/** What is read ahead of a slow reader, beside the buffers of its connection. */
const AHEAD_BYTES = 16 << 10

/** JSON has no line breaks in it, which would end the event. */
function printEvent({ id, event, data }: ServerEvent): string {
  const name = event === undefined ? '' : `event: ${event}\n`
  const text = data === undefined ? '' : `data: ${JSON.stringify(data)}\n`
  return `id: ${id}\n${name}${text}\n`
}

export interface EventStreamOptions {
  /** The reader is gone, or the service ends: so does the answer, without an error. */
  readonly signal: AbortSignal
  readonly heartbeatMs?: number
}

/** An error of the source destroys the answer, which resets the connection. */
export function eventStream(
  events: AsyncIterable<ServerEvent>,
  { signal, heartbeatMs = HEARTBEAT_MS }: EventStreamOptions,
): Readable {
  const out = new PassThrough({ highWaterMark: AHEAD_BYTES })
  let quiet = true
  const heartbeat = setInterval(() => {
    if (quiet && !out.writableNeedDrain) out.write(':\n\n')
    quiet = true
  }, heartbeatMs)
  // Whom a failed answer concerns is told by the reset; without a listener it would end the process.
  out.on('error', () => {})
  const run = async (): Promise<void> => {
    for await (const event of events) {
      quiet = false
      if (!out.write(printEvent(event))) await once(out, 'drain', { signal })
    }
  }
  void run()
    .then(() => out.end())
    .catch((error: unknown) => {
      if (signal.aborted) out.end()
      else out.destroy(error instanceof Error ? error : new Error(String(error)))
    })
    .finally(() => clearInterval(heartbeat))
  return out
}
