/**
 * The log as it grows, over as many connections as it takes. The id of the last event that was whole goes
 * back with the next connection, so that nothing is left out and nothing comes twice.
 */
import { CairnClientError, isClientError } from './error.ts'
import { readEvents, type ServerEvent } from './events.ts'
import type { EntryRecord } from './records.ts'
import { aborted, backOff, isPassing, pause } from './retry.ts'
import type { CallOptions } from './transport.ts'
import type { Target } from './write.ts'

export interface EntryChange extends EntryRecord {
  readonly kind: 'entry'
  /** To go on behind this change another time. */
  readonly id: string
  readonly position: number
}

/** Entries that came before may not count any more: read the entities anew. What follows goes on at `next`. */
export interface GenerationChange {
  readonly kind: 'generation'
  readonly id: string
  readonly generation: number
  readonly next: number
  readonly reason: string | null
}

export type FollowedChange = EntryChange | GenerationChange

export interface FollowOptions extends CallOptions {
  /** The first position that is wanted; not given: from now on. */
  readonly since?: number | undefined
  /** The `id` of the last change that was seen; it counts before `since`. */
  readonly lastId?: string | undefined
  /** A connection that says nothing for so long is given up (45,000; the service says something every 15 s). */
  readonly idleMs?: number | undefined
}

/** Ends by `signal`, by leaving the loop, or with an error that another connection would meet as well. */
export async function* followChanges(
  { http, place }: Target,
  { since, lastId = '', signal, idleMs = 45_000 }: FollowOptions,
): AsyncGenerator<FollowedChange, undefined> {
  let last = lastId
  let failures = 0
  let retryMs = 0
  for (;;) {
    try {
      const { parts } = await http.open(
        {
          method: 'GET',
          path: `${place}/changes`,
          query: { since },
          headers: {
            accept: 'text/event-stream',
            ...(last === '' ? {} : { 'last-event-id': last }),
          },
          retry: 'always',
          signal,
        },
        idleMs,
      )
      for await (const event of readEvents(parts)) {
        failures = 0
        if (event.id !== '') last = event.id
        retryMs = event.retryMs ?? retryMs
        const change = changeOf(event)
        if (change !== undefined) yield change
      }
    } catch (error) {
      if (!isClientError(error) || !isPassing(error)) throw error
    }
    if (signal?.aborted === true) throw aborted(signal)
    await pause(backOff(failures++, http.policy.random, retryMs), signal)
  }
}

/** Undefined for what tells an id alone, and for kinds that later services may have. */
function changeOf({ id, event, data }: ServerEvent): FollowedChange | undefined {
  if (data === undefined || (event !== 'entry' && event !== 'generation')) return undefined
  try {
    return { kind: event, id, ...(JSON.parse(data) as object) } as FollowedChange
  } catch (cause) {
    throw new CairnClientError('An event is no JSON.', {
      code: 'bad_answer',
      hint: 'Is it the service that answers at this address?',
      cause,
    })
  }
}
