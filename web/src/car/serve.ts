/** Answers what the page asks of a session. */
import { CairnError } from '../../../src/errors.ts'
import { addFile } from './platform/blobs.ts'
import type {
  CallAsk,
  CarProgress,
  CarVerification,
  FromWorker,
  StreamAsk,
  ToWorker,
} from './protocol.ts'
import { errorRecord, openSession, type CarSession, type NamedPath } from './session.ts'

const PROGRESS_EVERY_MS = 50
/** A part of a stream is sent when it has so many items, or after so long. */
const PART_ITEMS = 500
const PART_MS = 50

export type Send = (message: FromWorker, transfer?: readonly ArrayBuffer[]) => void
/** Reads from a file at once. */
export type ReadFile = (file: File, from: number, to: number) => Uint8Array | undefined

export function serve(send: Send, readFile: ReadFile): (message: ToWorker) => void {
  let files: readonly NamedPath[] = []
  let session: CarSession | undefined
  const streams = new Map<number, AsyncGenerator<unknown>>()
  const verifying = new Map<number, AbortController>()

  const opened = (): CarSession => {
    if (session !== undefined) return session
    throw new CairnError('closed', 'The CAR is not open.')
  }
  const call = async (id: number, ask: CallAsk): Promise<unknown> => {
    const onProgress = throttled((progress) => send({ type: 'progress', id, progress }))
    switch (ask[0]) {
      case 'open':
        session = await openSession(files, { onProgress })
        return session.summary
      case 'verify':
        return verify(id, onProgress)
      case 'block':
        return opened().block(ask[1])
      case 'place':
        return opened().place(ask[1])
      case 'snapshots':
        return opened().states().snapshots()
      case 'entities':
        return opened().states().entities(ask[1])
      case 'entity':
        return opened().states().entity(ask[1], ask[2])
      case 'history':
        return opened().states().history(ask[1], ask[2])
    }
  }
  const verify = async (
    id: number,
    onProgress: (progress: CarProgress) => void,
  ): Promise<CarVerification> => {
    const stop = new AbortController()
    verifying.set(id, stop)
    try {
      return await opened().verify({ onProgress, signal: stop.signal })
    } finally {
      verifying.delete(id)
    }
  }
  const stream = (ask: StreamAsk): AsyncGenerator<unknown> => {
    const states = opened().states()
    return ask[0] === 'chunks' ? states.chunks(ask[1]) : states.diff(ask[1], ask[2])
  }
  const sendPart = async (id: number): Promise<void> => {
    const items = streams.get(id)
    const part = items === undefined ? { items: [], done: true } : await partOf(items)
    if (part.done) streams.delete(id)
    send({ type: 'items', id, ...part })
  }
  const answer = async (message: Exclude<ToWorker, { type: 'files' }>): Promise<void> => {
    const { id } = message
    switch (message.type) {
      case 'call': {
        const value = await call(id, message.ask)
        return send({ type: 'answer', id, value })
      }
      case 'stream':
        streams.set(id, stream(message.ask))
        return sendPart(id)
      case 'next':
        return sendPart(id)
      case 'stop':
        verifying.get(id)?.abort()
        await streams.get(id)?.return(undefined)
        streams.delete(id)
    }
  }
  return (message) => {
    if (message.type === 'files') {
      files = message.files.map((file) => ({
        name: file.name,
        path: addFile({
          name: file.name,
          size: file.size,
          read: (from, to) => readFile(file, from, to),
        }),
      }))
      return
    }
    answer(message).catch((error: unknown) => {
      streams.delete(message.id)
      send({ type: 'error', id: message.id, error: errorRecord(error) })
    })
  }
}

async function partOf(
  items: AsyncGenerator<unknown>,
): Promise<{ items: readonly unknown[]; done: boolean }> {
  const part: unknown[] = []
  const until = performance.now() + PART_MS
  while (part.length < PART_ITEMS && performance.now() < until) {
    const next = await items.next()
    if (next.done === true) return { items: part, done: true }
    part.push(next.value)
  }
  return { items: part, done: false }
}

/** Each step's beginning and end, and between them not too often. */
function throttled(tell: (progress: CarProgress) => void): (progress: CarProgress) => void {
  let step = ''
  let next = 0
  return (progress) => {
    const now = performance.now()
    const atEdge = progress.step !== step || progress.done === progress.total
    if (!atEdge && now < next) return
    step = progress.step
    next = now + PROGRESS_EVERY_MS
    tell(progress)
  }
}
