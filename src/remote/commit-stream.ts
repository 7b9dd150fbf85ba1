/** The numbers of a dataset's commits as another service makes them, over one connection for as long as it lasts. */
import { readEvents } from '../client/events.ts'
import type { Transport } from '../client/transport.ts'
import { CairnError } from '../errors.ts'
import { translated } from './service-errors.ts'

/** The service says something every 15 s. */
const IDLE_MS = 45_000

export class CommitStream {
  readonly #http: Transport
  readonly #path: string
  #events: AsyncGenerator<number> | undefined

  constructor(http: Transport, path: string) {
    this.#http = http
    this.#path = path
  }

  /**
   * Resolves when the newest commit has another number than `than`, or may have. Where the connection is lost it
   * rejects, and the next call makes a new one.
   */
  async changed(than: number, signal: AbortSignal | undefined): Promise<void> {
    const isNew = this.#events === undefined
    const events = (this.#events ??= this.#open(signal))
    try {
      for (let first = isNew; ; first = false) {
        const { value, done } = await translated(() => events.next())
        if (done === true) throw ended()
        // Those that were told meanwhile are behind; on a new connection the service may be another one.
        if (first ? value !== than : value > than) return
      }
    } catch (error) {
      this.#events = undefined
      if (signal?.aborted !== true) throw error
    }
  }

  async *#open(signal: AbortSignal | undefined): AsyncGenerator<number> {
    const call = {
      method: 'GET',
      path: this.#path,
      headers: { accept: 'text/event-stream' },
      // Who follows comes back by itself, and says so meanwhile.
      retry: 'unbegun',
      signal,
    } as const
    const { parts } = await this.#http.open(call, IDLE_MS)
    for await (const { event, data = '' } of readEvents(parts))
      if (event === 'commit') yield numberOf(data)
  }
}

function numberOf(data: string): number {
  try {
    const { number } = JSON.parse(data) as { readonly number?: unknown }
    if (typeof number === 'number') return number
  } catch {
    // Said below.
  }
  throw new CairnError('backend_refused', 'The service told of a commit in words of its own.', {
    hint: 'Is it a Cairn service that answers at this address?',
  })
}

function ended(): CairnError {
  return new CairnError('backend_unavailable', 'The service has ended the stream of commits.', {
    hint: 'It may be starting anew.',
  })
}
