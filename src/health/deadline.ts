/** An end to waiting, also for what does not listen to an abort. */
import { CairnError } from '../errors.ts'

export interface Deadline {
  readonly deadlineMs: number
  readonly signal?: AbortSignal | undefined
}

/** A store or a disk may hang so that nothing reaches it: nobody waits for `what` longer than this. */
export async function withinDeadline<T>(
  { deadlineMs, signal }: Deadline,
  what: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const stop = new AbortController()
  let reject: (error: CairnError) => void = () => {}
  const ended = new Promise<never>((_, refuse) => {
    reject = refuse
  })
  const end = (error: CairnError): void => {
    reject(error)
    stop.abort(error)
  }
  const timer = setTimeout(() => {
    const message = `${what} did not answer within ${deadlineMs} ms.`
    const hint =
      'Is it running, its disk there, its machine not overloaded? `cairn doctor` tries each step.'
    end(new CairnError('backend_timeout', message, { hint }))
  }, deadlineMs)
  const abort = (): void => end(new CairnError('aborted', 'The operation was aborted.'))
  signal?.addEventListener('abort', abort, { once: true })
  if (signal?.aborted === true) abort()
  try {
    return await Promise.race([ended, work(stop.signal)])
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
}
