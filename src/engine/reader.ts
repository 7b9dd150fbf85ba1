/**
 * Reading the entities of a dataset: one, a page, a range, or how many there are; as they are now, or as they
 * were at another moment.
 */
import { parseId } from '../model/entity-id.ts'
import { isExpired, type Entry } from '../model/entry.ts'
import type { CallOptions } from '../store/backend.ts'
import { momentOf, type Context } from './context.ts'
import { listPage, rangeOf, type ListOptions, type Page } from './list.ts'
import { secondsSince } from './observe.ts'
import type { Pointer } from './pointer.ts'
import type { State } from './state.ts'
import { PastStates, type At } from './time.ts'
import { View } from './view.ts'

export interface AtOptions {
  /** Now, unless given. */
  readonly at?: At | undefined
}

export interface RangeOptions extends AtOptions, Pick<ListOptions, 'prefix' | 'from' | 'to'> {}

export interface EntriesOptions extends RangeOptions, Pick<ListOptions, 'order'> {
  /** Deleted entities, too. */
  readonly deleted?: boolean | undefined
}

interface Seen {
  readonly view: View
  readonly identity: string
  readonly totalCount: number
}

export class Reader {
  readonly #context: Context
  readonly #pointer: Pointer
  readonly #past: PastStates

  constructor(context: Context, pointer: Pointer) {
    this.#context = context
    this.#pointer = pointer
    this.#past = new PastStates(context)
  }

  async get(pi: string, { at, signal }: AtOptions & CallOptions): Promise<Entry | undefined> {
    const key = parseId(pi)
    return this.#pointer.reading(async (state) => {
      if (at !== undefined) {
        const entry = await (await this.#view(state, at, signal)).view.get(key)
        return entry === undefined || entry.tip === null ? undefined : entry
      }
      // From here to the first await nothing else runs: tree and overlay are of one commit.
      const { commit, overlay } = this.#pointer.seen
      const entry = overlay.get(key)?.entry ?? (await overlay.tree.get(key))
      if (entry === undefined || entry.tip === null) return undefined
      return isExpired(entry.exp, momentOf(this.#context, commit)) ? undefined : entry
    }, signal)
  }

  async list(options: ListOptions & AtOptions): Promise<Page> {
    const began = performance.now()
    const page = await this.#pointer.reading(async (state) => {
      const { view, identity, totalCount } = await this.#view(state, options.at, options.signal)
      return listPage(view, { identity, totalCount }, options)
    }, options.signal)
    this.#context.observe?.('page', secondsSince(began), { dataset: this.#pointer.dataset })
    return page
  }

  async *entries(options: EntriesOptions & CallOptions): AsyncGenerator<Entry> {
    const { at, order, deleted = false, signal } = options
    const { view } = await this.#view(await this.#pointer.current(signal), at, signal)
    const descending = order === 'desc'
    const batches = view.walk({ range: rangeOf(options), descending, deleted, signal })
    for await (const batch of batches) yield* batch
  }

  async count(options: RangeOptions & CallOptions): Promise<number> {
    return this.#pointer.reading(async (state) => {
      const { view } = await this.#view(state, options.at, options.signal)
      const { from, to } = rangeOf(options)
      const end = to === undefined ? await view.liveCount() : await view.rankOf(to)
      return Math.max(0, end - (from === undefined ? 0 : await view.rankOf(from)))
    }, options.signal)
  }

  async #view(now: State, at: At | undefined, signal: AbortSignal | undefined): Promise<Seen> {
    if (at !== undefined) {
      const past = await this.#past.at(now, at, signal)
      const view = new View(past.overlay, past.at)
      return { view, identity: past.commit.identity, totalCount: past.totalCount }
    }
    // Commit and overlay are taken together, without an await between them.
    const { commit, overlay } = this.#pointer.seen
    const view = new View(overlay, momentOf(this.#context, commit))
    return { view, identity: commit.identity, totalCount: commit.totalCount }
  }
}
