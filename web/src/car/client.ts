/** Opens CARs in a worker of their own; closing them ends it, and with it all memory that they took. */
import { CairnClientError } from '../../../src/client/error.ts'
import { blockViewOf } from '../block-view.ts'
import { contentOf } from '../content-view.ts'
import type { Described, Source } from '../source.ts'
import type {
  CallAsk,
  CarCalls,
  CarErrorRecord,
  CarProgress,
  CarStreams,
  CarSummary,
  CarVerification,
  FromWorker,
  StreamAsk,
  ToWorker,
} from './protocol.ts'
import { startWorker } from './start-worker.ts'

export type * from './protocol.ts'

export interface CarOptions {
  readonly onProgress?: ((progress: CarProgress) => void) | undefined
  /** Of `openCar`: closes what is open of it. Of `verify` and of streams: ends the work. */
  readonly signal?: AbortSignal | undefined
}

export interface CarHandle extends Source {
  readonly kind: 'car'
  readonly summary: CarSummary
  /** What `cairn car verify` says, in the same words. */
  readonly verify: (options?: CarOptions) => Promise<CarVerification>
  /** Where a block is, for showing it; null: it is in no file. */
  readonly place: (
    cid: string,
  ) => Promise<{ readonly path: string; readonly offset: number } | null>
  /** What is still asked for then fails with the code `closed`. */
  readonly close: () => void
}

/** One CAR, or a base and its deltas, in any order; or several of one dataset, to be compared. */
export async function openCar(
  files: readonly File[],
  { onProgress, signal }: CarOptions = {},
): Promise<CarHandle> {
  const line = lineTo(startWorker())
  try {
    line.post({ type: 'files', files })
    const summary = await line.call(['open'], { onProgress, signal })
    return handleOf(line, summary)
  } catch (error) {
    line.close()
    throw error
  }
}

function handleOf(line: Line, summary: CarSummary): CarHandle {
  const bytes: Source['bytes'] = (cid, options) => line.call(['block', cid], options)
  return {
    kind: 'car',
    summary,
    describe: async () => describedBy(summary),
    verify: (options) => line.call(['verify'], options),
    entities: (query = {}, options) => line.call(['entities', query], options),
    entity: (pi, { at_snapshot, signal } = {}) =>
      line.call(at_snapshot === undefined ? ['entity', pi] : ['entity', pi, at_snapshot], {
        signal,
      }),
    history: (pi, options) => line.call(['history', pi], options),
    snapshots: (options) => line.call(['snapshots'], options),
    chunks: (selector, options) => line.stream(['chunks', selector], options),
    diff: ({ from, to }, options) =>
      line.stream(to === undefined ? ['diff', from] : ['diff', from, to], options),
    bytes,
    block: async (cid, options) => blockViewOf(cid, await bytes(cid, options)),
    content: (cid, options) => contentOf(bytes, cid, options),
    place: (cid) => line.call(['place', cid]),
    close: line.close,
  }
}

function describedBy({ state, files }: CarSummary): Described {
  return {
    kind: 'car',
    name: files.map(({ name }) => name).join(', '),
    dataset: state?.dataset ?? null,
    snapshot: state?.snapshot ?? null,
    seq: state?.seq ?? null,
    ts: state?.ts ?? null,
    total_count: state?.total_count ?? null,
    recent_count: state?.recent_count ?? null,
  }
}

interface Line {
  readonly post: (message: ToWorker) => void
  readonly call: <A extends CallAsk>(
    ask: A,
    options?: CarOptions,
  ) => Promise<ReturnType<CarCalls[A[0]]>>
  readonly stream: <A extends StreamAsk>(
    ask: A,
    options?: CarOptions,
  ) => AsyncGenerator<ReturnType<CarStreams[A[0]]>, undefined>
  readonly close: () => void
}

/** Who waits for an answer. */
interface Waiting {
  readonly resolve: (message: Exclude<FromWorker, { type: 'progress' | 'error' }>) => void
  readonly reject: (error: unknown) => void
  readonly onProgress?: CarOptions['onProgress']
}

function lineTo(worker: Worker): Line {
  const waiting = new Map<number, Waiting>()
  let nextId = 1
  let ended: CairnClientError | undefined

  const end = (error: CairnClientError): void => {
    ended ??= error
    worker.terminate()
    for (const one of waiting.values()) one.reject(ended)
    waiting.clear()
  }
  worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
    const one = waiting.get(data.id)
    if (data.type === 'progress') return one?.onProgress?.(data.progress)
    waiting.delete(data.id)
    if (data.type === 'error') one?.reject(errorOf(data.error))
    else one?.resolve(data)
  }
  // What nothing in the worker has caught: it was not started, or ran out of memory.
  worker.onerror = (event) => {
    event.preventDefault()
    end(failed(event.message))
  }

  const ask = (
    message: Exclude<ToWorker, { type: 'files' }>,
    { onProgress, signal }: CarOptions = {},
  ): Promise<Exclude<FromWorker, { type: 'progress' | 'error' }>> => {
    const { id } = message
    return new Promise((resolve, reject) => {
      if (ended !== undefined) return reject(ended)
      if (signal?.aborted === true) return reject(aborted())
      const onAbort = (): void => {
        waiting.delete(id)
        worker.postMessage({ type: 'stop', id })
        reject(aborted())
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      const settled = (): void => signal?.removeEventListener('abort', onAbort)
      waiting.set(id, {
        resolve: (answer) => {
          settled()
          resolve(answer)
        },
        reject: (error) => {
          settled()
          reject(error)
        },
        onProgress,
      })
      worker.postMessage(message)
    })
  }
  return {
    post: (message) => worker.postMessage(message),
    close: () => end(closed()),
    call: async (what, options) => {
      const answer = await ask({ type: 'call', id: nextId++, ask: what }, options)
      return (answer.type === 'answer' ? answer.value : undefined) as never
    },
    stream: async function* (what, options = {}) {
      const id = nextId++
      let finished = false
      try {
        let part = await ask({ type: 'stream', id, ask: what }, options)
        for (;;) {
          if (part.type !== 'items') return undefined
          finished = part.done
          for (const item of part.items) yield item as never
          if (finished) return undefined
          part = await ask({ type: 'next', id }, options)
        }
      } finally {
        if (!finished && ended === undefined) worker.postMessage({ type: 'stop', id })
      }
    },
  }
}

/** As the HTTP client has them, so that one view shows both. */
function errorOf({ code, message, hint, details }: CarErrorRecord): CairnClientError {
  return new CairnClientError(message, { code, hint, details })
}

const closed = (): CairnClientError =>
  new CairnClientError('The CAR was closed.', { code: 'closed', hint: 'Open it again.' })

const aborted = (): CairnClientError =>
  new CairnClientError('The operation was aborted.', { code: 'aborted' })

const failed = (why: string): CairnClientError =>
  new CairnClientError('The reader of the CAR has stopped.', {
    code: 'internal',
    hint: 'Open it again; a very large one is read by `cairn car verify`.',
    details: { why },
  })
